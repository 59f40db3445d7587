//! The token that a device authenticates with: a JWT (RFC 7519) that it signs for each request.
//!
//! Header: `{"alg":"ES256","cty":"twilio-pba;v=1","kid":"CR...","typ":"JWT"}`, the type being optional.
//! Claims: `sub`, the account; `nbf` and `exp`, whole seconds. There is no `aud` and no `jti`: what a token may be used
//! for follows from its key, and it may be used again until it expires.

use std::fmt;

use serde_json::{Map, Value};

use crate::crypto::jws::{JwsError, UnverifiedJws};
use crate::domain::access::{DeviceClaims, DevicePass};
use crate::domain::opaque::DevicePublicKey;
use crate::domain::sid::CredentialSid;
use crate::domain::time::Timestamp;

/// A device's token whose signature nobody has checked yet.
pub struct DeviceJwt<'t> {
    jws: UnverifiedJws<'t>,
    credential_sid: CredentialSid,
}

impl<'t> DeviceJwt<'t> {
    /// Reads a token.
    ///
    /// # Errors
    /// When it is no ES256 token, or its header is not that of a device's token.
    pub fn parse(text: &'t str) -> Result<Self, DeviceJwtError> {
        let jws = UnverifiedJws::parse(text, &["alg", "cty", "kid", "typ"])?;
        if jws.header_text("cty") != Some(CONTENT_TYPE) {
            return Err(DeviceJwtError::ContentType);
        }
        if jws.has_header("typ") && jws.header_text("typ") != Some("JWT") {
            return Err(DeviceJwtError::Type);
        }
        let credential_sid = jws
            .kid()
            .and_then(|kid| kid.parse().ok())
            .ok_or(DeviceJwtError::KeyId)?;
        Ok(Self { jws, credential_sid })
    }

    /// Checks the signature and reads the claims.
    ///
    /// # Errors
    /// When the key did not sign the token, or a claim is missing or of the wrong type.
    pub fn claims(&self, key: &DevicePublicKey) -> Result<DeviceClaims, DeviceJwtError> {
        let verified = self.jws.verify(key)?;
        let claims = verified.payload();
        let account_sid = claims
            .get("sub")
            .and_then(Value::as_str)
            .and_then(|sub| sub.parse().ok());
        Ok(DeviceClaims {
            account_sid: account_sid.ok_or(DeviceJwtError::Claim("sub"))?,
            not_before: moment(claims, "nbf")?,
            expires: moment(claims, "exp")?,
        })
    }
}

impl fmt::Debug for DeviceJwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceJwt({})", self.credential_sid)
    }
}

impl DevicePass for DeviceJwt<'_> {
    fn credential(&self) -> CredentialSid {
        self.credential_sid
    }

    fn verify(&self, key: &DevicePublicKey) -> Option<DeviceClaims> {
        self.claims(key).ok()
    }
}

/// Why a token does not authenticate a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceJwtError {
    /// A claim is missing or of the wrong type.
    #[error("the token's claim {0} is missing or cannot be read")]
    Claim(&'static str),
    /// `cty` does not say that this is a device's token.
    #[error("the token is of another kind than a device's")]
    ContentType,
    /// It is no token that the key signed.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// `kid` is missing or names no credential.
    #[error("the token names no credential")]
    KeyId,
    /// `typ` is there and is not `JWT`.
    #[error("the token's type is not JWT")]
    Type,
}

/// A claim in whole seconds. RFC 7519 would allow fractions; no SDK sends any, and whatever else a number may look like
/// must not count as "no limit".
fn moment(claims: &Map<String, Value>, name: &'static str) -> Result<Timestamp, DeviceJwtError> {
    let seconds = claims
        .get(name)
        .and_then(Value::as_u64)
        .ok_or(DeviceJwtError::Claim(name))?;
    Ok(Timestamp::from_seconds(seconds))
}

const CONTENT_TYPE: &str = "twilio-pba;v=1";

#[cfg(test)]
pub(super) mod tests;
