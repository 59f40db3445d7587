//! What a device signs to approve or deny a challenge: a JWT (RFC 7519).
//!
//! Header: `{"typ":"JWT","alg":"ES256"}`, the type being optional. Payload: the members of the challenge that the header
//! [`SIGNATURE_FIELDS`] names, as the device saw them, and `status`, the answer. An app may add what its holder typed
//! (`number`) or why they say no (`reason`). Values are compared as JSON, because the SDKs escape and order them in their
//! own ways.

use std::fmt;

use axum::http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};

use super::challenges::DetailsJson;
use super::error::{ApiError, Parameter};
use super::json::{Object, Text};
use crate::crypto::jws::{JwsError, UnverifiedJws};
use crate::domain::challenge::Challenge;
use crate::domain::entity::EntityScope;
use crate::domain::opaque::DevicePublicKey;
use crate::domain::push_answer::{BadProof, Decision, FormFault, GivenAnswer, PushAnswer};
use crate::domain::sid::{AccountSid, ChallengeSid, EntitySid, FactorSid, ServiceSid};
use crate::domain::time::Timestamp;

/// Tells a device which members of the challenge it has to sign; neither SDK trims blanks. `status` is signed, too, but the
/// device puts in its answer.
pub(super) const SIGNATURE_FIELDS: (HeaderName, HeaderValue) = (
    HeaderName::from_static("twilio-verify-signature-fields"),
    HeaderValue::from_static(
        "sid,account_sid,service_sid,entity_sid,identity,factor_sid,date_created,expiration_date,details,\
         hidden_details,status",
    ),
);

/// A text that should be what a device signed about a challenge.
pub(super) struct Approval<'t>(pub(super) &'t str);

impl GivenAnswer for Approval<'_> {
    fn code(&self) -> &str {
        self.0
    }

    fn verify(
        &self,
        scope: &EntityScope,
        challenge: &Challenge,
        key: &DevicePublicKey,
    ) -> Result<PushAnswer, BadProof> {
        let Self(text) = *self;
        let members = signed_members(scope, challenge);
        if text.len() > longest(&members) {
            return Err(ApprovalFault::TooLong.into());
        }
        let jwt = ApprovalJwt::parse(text).map_err(|_| ApprovalFault::Unreadable)?;
        let mut signed = jwt.verify(key).map_err(|_| BadProof::Unsigned)?;
        let claims = Claims::take(&mut signed)?;
        // Exactly what was shown: nothing missing, nothing else, nothing added to swell what is kept.
        if signed.fields.len() != members.len() {
            return Err(ApprovalFault::FieldsDiffer.into());
        }
        let altered = |(name, value): (&String, &Value)| signed.fields.get(name) != Some(value);
        if members.iter().any(altered) {
            return Err(BadProof::FieldAltered);
        }
        Ok(PushAnswer {
            decision: claims.decide(signed.approved)?,
            signed: text.to_owned(),
        })
    }
}

/// What is wrong with the form of a device's JWT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApprovalFault {
    /// What the holder typed, or why they say no, is there but is no text.
    ClaimNoText,
    /// More or less was signed than was shown.
    FieldsDiffer,
    /// It is longer than any answer to the challenge can be.
    TooLong,
    /// It is nothing that a device would have signed.
    Unreadable,
}

impl ApprovalFault {
    const ALL: [Self; 4] = [
        Self::ClaimNoText,
        Self::FieldsDiffer,
        Self::TooLong,
        Self::Unreadable,
    ];

    /// The fault that this dialect handed to the core.
    fn of(fault: FormFault) -> Self {
        let known = Self::ALL.get(usize::from(fault.0));
        *known.unwrap_or(&Self::Unreadable)
    }
}

impl From<ApprovalFault> for BadProof {
    fn from(fault: ApprovalFault) -> Self {
        Self::Malformed(FormFault(fault as u8))
    }
}

/// What the answer says to somebody whose proof is none.
pub(super) fn refused(why: BadProof) -> ApiError {
    let sentence = match why {
        BadProof::FieldAltered => "a field that has to be signed is missing or is not the challenge's",
        BadProof::Malformed(fault) => match ApprovalFault::of(fault) {
            ApprovalFault::ClaimNoText => "\"number\" and \"reason\" must be texts",
            ApprovalFault::FieldsDiffer => "it signs other fields than those that have to be signed",
            ApprovalFault::TooLong => return ApiError::invalid(Parameter::AUTH_PAYLOAD, TOO_LONG),
            ApprovalFault::Unreadable => "AuthPayload is no ES256 JWT as a device makes it",
        },
        BadProof::NumberMalformed => {
            "\"number\" must be a text of exactly as many digits as number_matching.digits says"
        }
        BadProof::NumberMissing => {
            "this challenge asks for the number that the login page shows: ask the user for it and sign it as \"number\""
        }
        BadProof::NumberOfDenial => "a denial has no \"number\"",
        BadProof::NumberUnasked => {
            "it signs other fields than those that have to be signed: this challenge asks for no \"number\""
        }
        BadProof::ReasonOfApproval => "an approval has no \"reason\"",
        BadProof::ReasonUnknown => "the \"reason\" of a denial can only be \"not_me\"",
        BadProof::Unsigned => {
            "the signature is not the device's, or the status is neither approved nor denied"
        }
    };
    ApiError::bad_challenge_proof(sentence)
}

const TOO_LONG: &str =
    "must be at most 5456 characters long, or as long as what this challenge has to be signed needs";

/// The members of a challenge that a device signs, without `status`.
#[derive(Serialize)]
struct SignedJson<'a> {
    sid: Text<ChallengeSid>,
    account_sid: Text<AccountSid>,
    service_sid: Text<ServiceSid>,
    entity_sid: Text<EntitySid>,
    identity: &'a str,
    factor_sid: Text<FactorSid>,
    date_created: Text<Timestamp>,
    expiration_date: Text<Timestamp>,
    details: Option<DetailsJson<'a>>,
    hidden_details: Option<Object<'a>>,
}

/// What a device has to have signed: what it was shown of the challenge, but for its answer.
fn signed_members(scope: &EntityScope, challenge: &Challenge) -> Map<String, Value> {
    let shown = SignedJson {
        sid: Text(challenge.sid),
        account_sid: Text(scope.account),
        service_sid: Text(scope.service),
        entity_sid: Text(scope.entity),
        identity: scope.identity.as_str(),
        factor_sid: Text(challenge.factor),
        date_created: Text(challenge.date_created),
        expiration_date: Text(challenge.expires_at),
        details: challenge.details.as_ref().map(DetailsJson::new),
        hidden_details: challenge.hidden_details.as_ref().map(Object),
    };
    match serde_json::to_value(shown) {
        Ok(Value::Object(members)) => members,
        // Nothing that was signed equals this.
        _ => Map::from_iter([("sid".to_owned(), Value::Null)]),
    }
}

/// Twilio takes 5456 characters, but a challenge within the limits of its creation can need more: whatever may be asked
/// can be answered, also by a device that escapes all but ASCII, unless it would not fit into the store.
fn longest(members: &Map<String, Value>) -> usize {
    const DOCUMENTED: usize = 5456;
    const STORABLE: usize = 40 * 1024;
    let escaped = |c: char| match c {
        '/' => 2,
        _ if c.is_ascii() => 1,
        _ => 6 * c.len_utf16(),
    };
    let json: usize = Value::Object(members.clone())
        .to_string()
        .chars()
        .map(escaped)
        .sum();
    // Base64 grows by a third; the header, the answer and the signature need less than the rest.
    DOCUMENTED.max(STORABLE.min(json / 3 * 4 + 1024))
}

/// What the holder adds to an answer.
struct Claims {
    number: Option<String>,
    reason: Option<String>,
}

impl Claims {
    /// Takes the claims out of `signed`: what is left has to be what was shown, and nothing else.
    ///
    /// # Errors
    /// [`ApprovalFault::ClaimNoText`] when one is there and no text: nobody typed a JSON number or `null`.
    fn take(signed: &mut SignedAnswer) -> Result<Self, BadProof> {
        let mut take = |name| match signed.fields.shift_remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ApprovalFault::ClaimNoText),
        };
        Ok(Self {
            number: take("number")?,
            reason: take("reason")?,
        })
    }

    fn decide(self, approved: bool) -> Result<Decision, BadProof> {
        match (approved, self.number, self.reason.as_deref()) {
            (true, number, None) => Ok(Decision::Approve { number }),
            (true, _, Some(_)) => Err(BadProof::ReasonOfApproval),
            (false, Some(_), _) => Err(BadProof::NumberOfDenial),
            (false, None, None) => Ok(Decision::Deny { not_me: false }),
            (false, None, Some("not_me")) => Ok(Decision::Deny { not_me: true }),
            (false, None, Some(_)) => Err(BadProof::ReasonUnknown),
        }
    }
}

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
        let approved = match fields.shift_remove("status").as_ref().and_then(Value::as_str) {
            Some("approved") => true,
            Some("denied") => false,
            _ => return Err(ApprovalJwtError::Status),
        };
        Ok(SignedAnswer { approved, fields })
    }
}

impl fmt::Debug for ApprovalJwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApprovalJwt(..)")
    }
}

/// What a device signed; that it belongs to a challenge is still to be checked.
#[derive(Clone, PartialEq)]
pub struct SignedAnswer {
    /// Whether the status is `approved`; it is `denied` otherwise.
    pub approved: bool,
    /// Every other member of the payload, in its order.
    pub fields: Map<String, Value>,
}

/// The fields may hold hidden details; only their number is shown.
impl fmt::Debug for SignedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = if self.approved { "approved" } else { "denied" };
        write!(f, "SignedAnswer({status}, {} fields)", self.fields.len())
    }
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

    use super::super::device_jwt::DeviceJwt;
    use super::super::device_jwt::tests::token_of;
    use super::*;
    use crate::crypto::tests::device::TestDevice;

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
        assert!(signed.approved);
        let expected =
            json!({"hidden_details": null, "sid": "YC00", "details": {"message": "a/b", "fields": []}});
        assert_eq!(Value::Object(signed.fields), expected);
        assert!(
            !read(r#"{"alg":"ES256"}"#, r#"{"status":"denied"}"#)
                .unwrap()
                .approved
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
        assert!(ApprovalJwt::parse(&token_of(&device)).is_err());
        assert!(DeviceJwt::parse(&device.jws(HEADER, "{}")).is_err());
    }

    #[test]
    fn debug_shows_no_field() {
        let signed = read(
            HEADER,
            r#"{"hidden_details":{"ip":"10.0.0.1"},"status":"denied"}"#,
        )
        .unwrap();
        assert_eq!(format!("{signed:?}"), "SignedAnswer(denied, 1 fields)");
    }

    #[test]
    fn a_number_belongs_to_an_approval_and_a_reason_to_a_denial() {
        let approve = |number: Option<&str>| {
            let number = number.map(str::to_owned);
            Ok(Decision::Approve { number })
        };
        let deny = |not_me| Ok(Decision::Deny { not_me });
        for (approved, number, reason, expected) in [
            (true, None, None, approve(None)),
            (true, Some("47"), None, approve(Some("47"))),
            (true, Some(""), None, approve(Some(""))),
            (true, None, Some("not_me"), Err(BadProof::ReasonOfApproval)),
            (true, Some("47"), Some(""), Err(BadProof::ReasonOfApproval)),
            (false, None, None, deny(false)),
            (false, None, Some("not_me"), deny(true)),
            (false, None, Some(""), Err(BadProof::ReasonUnknown)),
            (false, None, Some("NOT_ME"), Err(BadProof::ReasonUnknown)),
            (false, Some("47"), None, Err(BadProof::NumberOfDenial)),
            (false, Some("47"), Some("other"), Err(BadProof::NumberOfDenial)),
        ] {
            let claims = Claims {
                number: number.map(str::to_owned),
                reason: reason.map(str::to_owned),
            };
            assert_eq!(
                claims.decide(approved),
                expected,
                "{approved} {number:?} {reason:?}"
            );
        }
    }
}
