//! Signed tokens in the compact form of JWS (RFC 7515, section 7.1), with ES256 and nothing else.
//!
//! Reading takes two steps, because the header names the key: [`UnverifiedJws`] gives out the header only, and what was
//! signed comes out of a [`VerifiedJws`]. The algorithm is fixed here; the header can only agree (RFC 8725, section
//! 3.1).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::unique_json::{self, NotUniqueJson};
use crate::domain::opaque::DevicePublicKey;

/// A token whose signature nobody has checked yet.
pub(crate) struct UnverifiedJws<'t> {
    header: Map<String, Value>,
    signing_input: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

impl<'t> UnverifiedJws<'t> {
    /// Reads a token: three parts of base64url without padding, at most 60 KiB together. Its header may have the members
    /// that `allowed` names and no others, so that no extension (`crit`, `b64`, `zip`) and no key that the token brings
    /// itself (`jwk`, `jku`, `x5c`, `x5u`) is ever understood. `alg` must be there and say `ES256`.
    ///
    /// # Errors
    /// When the token is spelt in any other way.
    pub(crate) fn parse(text: &'t str, allowed: &[&str]) -> Result<Self, JwsError> {
        if text.len() > MAX_LENGTH {
            return Err(JwsError::TooLong);
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Parts)?;
        if payload.contains('.') {
            return Err(JwsError::Parts);
        }
        let header = unique_json::parse_object(&decode(header)?)?;
        if header.keys().any(|name| !allowed.contains(&name.as_str())) {
            return Err(JwsError::HeaderMember);
        }
        if header.get("alg").and_then(Value::as_str) != Some(ALGORITHM) {
            return Err(JwsError::Algorithm);
        }
        let signature = decode(signature)?;
        if signature.len() != SIGNATURE_LENGTH {
            return Err(JwsError::SignatureLength);
        }
        Ok(Self {
            header,
            signing_input,
            payload,
            signature,
        })
    }

    /// The name of the key that is said to have signed the token.
    #[must_use]
    pub(crate) fn kid(&self) -> Option<&str> {
        self.header_text("kid")
    }

    /// A member of the header, if it is there and a text.
    #[must_use]
    pub(crate) fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    /// Whether the header has this member, whatever its value.
    #[must_use]
    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.header.contains_key(name)
    }

    /// Checks the signature, and only then reads what was signed.
    ///
    /// # Errors
    /// When the key did not sign the token, or what it signed is no JSON object with unique member names.
    pub(crate) fn verify(&self, key: &DevicePublicKey) -> Result<VerifiedJws, JwsError> {
        if !is_signed_by(key, self.signing_input.as_bytes(), &self.signature) {
            return Err(JwsError::Signature);
        }
        let payload = unique_json::parse_object(&decode(self.payload)?)?;
        Ok(VerifiedJws { payload })
    }
}

/// Nothing of it can be trusted yet, so nothing of it is printed.
impl fmt::Debug for UnverifiedJws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedJws(..)")
    }
}

/// What a device signed.
#[derive(Clone, PartialEq)]
pub(crate) struct VerifiedJws {
    payload: Map<String, Value>,
}

impl VerifiedJws {
    #[must_use]
    pub(crate) fn payload(&self) -> &Map<String, Value> {
        &self.payload
    }

    #[must_use]
    pub(crate) fn into_payload(self) -> Map<String, Value> {
        self.payload
    }
}

/// A payload may carry hidden details of a challenge.
impl fmt::Debug for VerifiedJws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedJws({} members)", self.payload.len())
    }
}

/// Why a text is no token that was signed with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// `alg` is missing or is not ES256.
    #[error("the token's algorithm is not ES256")]
    Algorithm,
    /// A part is no base64url, has padding, or is spelt in a way that is not the shortest.
    #[error("the token is not base64url without padding")]
    Base64,
    /// The header has a member that has no place in such a token.
    #[error("the token's header has a member that is not allowed")]
    HeaderMember,
    /// Header or payload is no JSON object with unique member names.
    #[error("the token is not made of JSON objects with unique member names")]
    Json,
    /// The token does not have three parts.
    #[error("the token does not have three parts")]
    Parts,
    /// The key did not sign the token.
    #[error("the token's signature is not the key's")]
    Signature,
    /// The signature does not have 64 bytes.
    #[error("the token's signature does not have 64 bytes")]
    SignatureLength,
    /// The token is longer than 60 KiB.
    #[error("the token is too long")]
    TooLong,
}

impl From<NotUniqueJson> for JwsError {
    fn from(NotUniqueJson: NotUniqueJson) -> Self {
        Self::Json
    }
}

/// The check itself: ES256 over the signing input (RFC 7515, section 5.2, step 8).
pub(super) fn is_signed_by(key: &DevicePublicKey, signing_input: &[u8], signature: &[u8]) -> bool {
    // Other sizes are the 63 bytes of a coordinate cut short, DER, or another curve's; the library is not asked.
    if signature.len() != SIGNATURE_LENGTH {
        return false;
    }
    let key = DecodingKey::from_ec_der(key.as_sec1_bytes());
    // The provider is named here, not taken from the process-wide slot, which other code could have filled.
    (DEFAULT_PROVIDER.verifier_factory)(&Algorithm::ES256, &key)
        .is_ok_and(|verifier| verifier.verify(signing_input, &signature.to_vec()).is_ok())
}

fn decode(part: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Base64)
}

const ALGORITHM: &str = "ES256";
const MAX_LENGTH: usize = 60 * 1024;
const SIGNATURE_LENGTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::tests::device::TestDevice;
    use super::*;

    #[test]
    fn the_payload_comes_out_after_the_signature_was_checked() {
        let (device, other) = (TestDevice::new(), TestDevice::new());
        let token = device.jws(r#"{"alg":"ES256","kid":"a"}"#, r#"{"b":1,"a":"secret"}"#);
        let read = || UnverifiedJws::parse(&token, &["alg", "kid"]).unwrap();
        assert_eq!(
            (read().kid(), read().header_text("alg"), read().has_header("typ")),
            (Some("a"), Some(ALGORITHM), false)
        );
        assert_eq!(read().verify(&other.key()), Err(JwsError::Signature));
        let verified = read().verify(&device.key()).unwrap();
        assert_eq!(verified.payload().keys().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(
            format!("{:?} {verified:?}", read()),
            "UnverifiedJws(..) VerifiedJws(2 members)"
        );
    }

    #[test]
    fn a_payload_that_is_no_object_is_refused_even_if_signed() {
        let device = TestDevice::new();
        for payload in ["", "[]", "null", r#"{"a":1,"a":1}"#, "{} "] {
            let token = device.jws(r#"{"alg":"ES256"}"#, payload);
            let result = UnverifiedJws::parse(&token, &["alg"])
                .unwrap()
                .verify(&device.key());
            assert_eq!(result.is_ok(), payload == "{} ", "{payload}");
        }
    }
}
