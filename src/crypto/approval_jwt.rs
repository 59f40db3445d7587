//! The token with which a device approves or denies a challenge.
//!
//! Header: `{"typ":"JWT","alg":"ES256"}`, the type being optional. Payload: the fields of the challenge as the device
//! saw them, and `status`, the answer. Which fields have to be there, and that they are the challenge's, is for the
//! caller to check; values have to be compared as JSON, because the SDKs escape and order them in their own ways.

use std::fmt;

use serde_json::{Map, Value};

use super::jws::{JwsError, UnverifiedJws};
use crate::domain::opaque::DevicePublicKey;

/// A device's answer whose signature nobody has checked yet.
pub struct ApprovalJwt<'t>(UnverifiedJws<'t>);

impl<'t> ApprovalJwt<'t> {
    /// Reads an answer.
    ///
    /// # Errors
    /// When it is no ES256 token, or its header is not that of an answer.
    pub fn parse(text: &'t str) -> Result<Self, ApprovalJwtError> {
        let jws = UnverifiedJws::parse(text, &["alg", "typ"])?;
        if jws.has_header("typ") && jws.header_text("typ") != Some("JWT") {
            return Err(ApprovalJwtError::Type);
        }
        Ok(Self(jws))
    }

    /// Checks the signature and reads the answer.
    ///
    /// # Errors
    /// When the key did not sign it, or it neither approves nor denies.
    pub fn verify(self, key: &DevicePublicKey) -> Result<SignedAnswer, ApprovalJwtError> {
        let mut fields = self.0.verify(key)?.into_payload();
        let answer = match fields.shift_remove("status").as_ref().and_then(Value::as_str) {
            Some("approved") => Answer::Approved,
            Some("denied") => Answer::Denied,
            _ => return Err(ApprovalJwtError::Status),
        };
        Ok(SignedAnswer { answer, fields })
    }
}

impl fmt::Debug for ApprovalJwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApprovalJwt(..)")
    }
}

/// What a device signed about a challenge.
#[derive(Clone, PartialEq)]
pub struct SignedAnswer {
    /// The answer.
    pub answer: Answer,
    /// Every other member of the payload, in its order.
    pub fields: Map<String, Value>,
}

/// The fields may hold hidden details; only their number is shown.
impl fmt::Debug for SignedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedAnswer({:?}, {} fields)", self.answer, self.fields.len())
    }
}

/// What a device may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `approved`.
    Approved,
    /// `denied`.
    Denied,
}

/// Why a token answers no challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalJwtError {
    /// It is no token that the key signed.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// `status` is missing, or neither `approved` nor `denied`.
    #[error("the token's status is neither approved nor denied")]
    Status,
    /// `typ` is there and is not `JWT`.
    #[error("the token's type is not JWT")]
    Type,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::test_device::TestDevice;
    use super::*;

    const HEADER: &str = r#"{"typ":"JWT","alg":"ES256"}"#;

    fn read(header: &str, payload: &str) -> Result<SignedAnswer, ApprovalJwtError> {
        let device = TestDevice::new();
        ApprovalJwt::parse(&device.jws(header, payload))?.verify(&device.key())
    }

    #[test]
    fn the_answer_of_an_sdk_is_read() {
        let details = r#"{"message":"a\/b","fields":[]}"#;
        let payload =
            format!(r#"{{"hidden_details":null,"sid":"YC00","details":{details},"status":"approved"}}"#);
        let signed = read(HEADER, &payload).unwrap();
        assert_eq!(signed.answer, Answer::Approved);
        let expected =
            json!({"hidden_details": null, "sid": "YC00", "details": {"message": "a/b", "fields": []}});
        assert_eq!(Value::Object(signed.fields), expected);
        assert_eq!(
            read(r#"{"alg":"ES256"}"#, r#"{"status":"denied"}"#)
                .unwrap()
                .answer,
            Answer::Denied
        );
    }

    #[test]
    fn the_status_is_one_of_two_words() {
        for payload in [
            "{}",
            r#"{"status":null}"#,
            r#"{"status":"Approved"}"#,
            r#"{"status":"pending"}"#,
            r#"{"status":["approved"]}"#,
            r#"{"Status":"approved"}"#,
            r#"{"details":{"status":"approved"}}"#,
        ] {
            assert_eq!(read(HEADER, payload), Err(ApprovalJwtError::Status), "{payload}");
        }
        let twice = r#"{"status":"denied","status":"approved"}"#;
        assert_eq!(read(HEADER, twice), Err(ApprovalJwtError::Jws(JwsError::Json)));
    }

    #[test]
    fn the_header_has_no_other_members() {
        let answer = r#"{"status":"approved"}"#;
        for member in ["kid", "cty", "crit", "jwk", "jku", "x5u", "x5c", "b64", "zip"] {
            let header = format!(r#"{{"alg":"ES256","{member}":"x"}}"#);
            let expected = ApprovalJwtError::Jws(JwsError::HeaderMember);
            assert_eq!(read(&header, answer), Err(expected), "{member}");
        }
        assert_eq!(
            read(r#"{"alg":"ES256","typ":"jwt"}"#, answer),
            Err(ApprovalJwtError::Type)
        );
        assert_eq!(
            read(r#"{"alg":"ES256","typ":1}"#, answer),
            Err(ApprovalJwtError::Type)
        );
    }

    #[test]
    fn another_devices_answer_is_refused() {
        let (device, other) = (TestDevice::new(), TestDevice::new());
        let token = device.jws(HEADER, r#"{"status":"approved"}"#);
        let result = ApprovalJwt::parse(&token).unwrap().verify(&other.key());
        assert_eq!(result, Err(ApprovalJwtError::Jws(JwsError::Signature)));
    }

    #[test]
    fn a_device_token_is_no_answer_and_an_answer_is_no_device_token() {
        let device = TestDevice::new();
        assert!(ApprovalJwt::parse(&device.device_jwt()).is_err());
        assert!(super::super::device_jwt::DeviceJwt::parse(&device.jws(HEADER, "{}")).is_err());
    }

    #[test]
    fn debug_shows_no_field() {
        let signed = read(
            HEADER,
            r#"{"hidden_details":{"ip":"10.0.0.1"},"status":"denied"}"#,
        )
        .unwrap();
        assert_eq!(format!("{signed:?}"), "SignedAnswer(Denied, 1 fields)");
    }
}
