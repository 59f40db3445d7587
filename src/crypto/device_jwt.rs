//! The token that a device authenticates with: a JWT (RFC 7519) that it signs for each request.
//!
//! Header: `{"alg":"ES256","cty":"twilio-pba;v=1","kid":"CR...","typ":"JWT"}`, the type being optional.
//! Claims: `sub`, the account; `nbf` and `exp`, whole seconds. There is no `aud` and no `jti`: what a token may be used
//! for follows from its key, and it may be used again until it expires.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::jws::{JwsError, UnverifiedJws};
use crate::domain::opaque::DevicePublicKey;
use crate::domain::sid::{AccountSid, CredentialSid};
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

    /// Which credential is said to have signed the token: the only pointer to its key.
    #[must_use]
    pub fn credential_sid(&self) -> CredentialSid {
        self.credential_sid
    }

    /// Checks the signature and reads the claims. They still have to be [checked](DeviceClaims::check).
    ///
    /// # Errors
    /// When the key did not sign the token, or a claim is missing or of the wrong type.
    pub fn verify(self, key: &DevicePublicKey) -> Result<DeviceClaims, DeviceJwtError> {
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

/// What a device's token claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceClaims {
    /// The account that the device's factor belongs to.
    pub account_sid: AccountSid,
    /// From when on the token may be used, by the device's clock.
    pub not_before: Timestamp,
    /// Until when the token may be used, by the device's clock.
    pub expires: Timestamp,
}

impl DeviceClaims {
    /// The longest time between `nbf` and `exp`. The SDKs ask for ten minutes.
    pub const MAX_LIFETIME: Duration = Duration::from_hours(1);

    /// Whether the token may be used now, when the device's clock may be off by `skew`.
    ///
    /// # Errors
    /// When the token is not valid yet or any more, or claims a time that no device asks for.
    pub fn check(&self, now: Timestamp, skew: Duration) -> Result<(), DeviceJwtError> {
        if self.expires <= self.not_before {
            return Err(DeviceJwtError::NeverValid);
        }
        if self.expires.since(self.not_before) > Self::MAX_LIFETIME {
            return Err(DeviceJwtError::LivesTooLong);
        }
        if self.not_before > now + skew {
            return Err(DeviceJwtError::NotYetValid);
        }
        // Not `now - skew`, which would stop at the epoch.
        if self.expires + skew <= now {
            return Err(DeviceJwtError::Expired);
        }
        Ok(())
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
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// It is no token that the key signed.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// `kid` is missing or names no credential.
    #[error("the token names no credential")]
    KeyId,
    /// More than an hour lies between `nbf` and `exp`.
    #[error("the token is valid for too long")]
    LivesTooLong,
    /// `exp` does not come after `nbf`.
    #[error("the token is never valid")]
    NeverValid,
    /// `nbf` is still to come.
    #[error("the token is not valid yet")]
    NotYetValid,
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
mod tests {
    use super::super::tests::device::{ACCOUNT, CREDENTIAL, NOW, TestDevice};
    use super::*;

    const SKEW: Duration = Duration::from_secs(30);

    fn claims(not_before: u64, expires: u64) -> DeviceClaims {
        DeviceClaims {
            account_sid: ACCOUNT.parse().unwrap(),
            not_before: Timestamp::from_seconds(not_before),
            expires: Timestamp::from_seconds(expires),
        }
    }

    #[test]
    fn the_token_of_an_sdk_authenticates() {
        let device = TestDevice::new();
        let token = device.device_jwt();
        let unverified = DeviceJwt::parse(&token).unwrap();
        assert_eq!(unverified.credential_sid().to_string(), CREDENTIAL);
        let verified = unverified.verify(&device.key()).unwrap();
        assert_eq!(verified, claims(NOW, NOW + 600));
        assert_eq!(verified.check(Timestamp::from_seconds(NOW), SKEW), Ok(()));
    }

    #[test]
    fn the_type_may_be_left_out_and_members_stand_in_any_order() {
        let device = TestDevice::new();
        let header = format!(r#"{{"kid":"{CREDENTIAL}","alg":"ES256","cty":"twilio-pba;v=1"}}"#);
        let payload = format!(
            r#"{{"more":{{}},"exp":{},"nbf":{NOW},"sub":"{ACCOUNT}"}}"#,
            NOW + 600
        );
        let token = device.jws(&header, &payload);
        assert!(DeviceJwt::parse(&token).unwrap().verify(&device.key()).is_ok());
    }

    #[test]
    fn a_token_is_valid_from_nbf_to_exp_give_or_take_the_skew() {
        let claims = claims(NOW, NOW + 600);
        let at = |seconds: u64| claims.check(Timestamp::from_seconds(seconds), SKEW);
        assert_eq!(at(NOW - 31), Err(DeviceJwtError::NotYetValid));
        assert_eq!(at(NOW - 30), Ok(()));
        assert_eq!(at(NOW + 629), Ok(()));
        assert_eq!(at(NOW + 630), Err(DeviceJwtError::Expired));
        assert_eq!(at(0), Err(DeviceJwtError::NotYetValid));
        let last = Timestamp::from_millis(NOW * 1000 + 629_999);
        assert_eq!(claims.check(last, SKEW), Ok(()));
    }

    #[test]
    fn the_time_claimed_is_one_that_a_device_asks_for() {
        let check = |claims: DeviceClaims| claims.check(Timestamp::from_seconds(NOW), SKEW);
        assert_eq!(check(claims(NOW, NOW)), Err(DeviceJwtError::NeverValid));
        assert_eq!(check(claims(NOW + 1, NOW)), Err(DeviceJwtError::NeverValid));
        assert_eq!(
            check(claims(u64::MAX - 1, u64::MAX)),
            Err(DeviceJwtError::NeverValid)
        );
        assert_eq!(check(claims(NOW, NOW + 3600)), Ok(()));
        assert_eq!(check(claims(NOW, NOW + 3601)), Err(DeviceJwtError::LivesTooLong));
        assert_eq!(check(claims(0, u64::MAX)), Err(DeviceJwtError::LivesTooLong));
    }

    #[test]
    fn debug_shows_no_part_of_the_token() {
        let device = TestDevice::new();
        let token = device.device_jwt();
        let unverified = DeviceJwt::parse(&token).unwrap();
        assert_eq!(format!("{unverified:?}"), format!("DeviceJwt({CREDENTIAL})"));
    }
}
