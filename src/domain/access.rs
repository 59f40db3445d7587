//! Who is let in, and to what.

use std::time::Duration;

use super::opaque::DevicePublicKey;
use super::refusal::AreaRefusal;
use super::sid::{AccountSid, CredentialSid};
use super::time::Timestamp;

/// What a device shows to be let in. Each dialect knows what its devices sign; the core knows whose key has to have signed
/// it, and what it may claim.
pub trait DevicePass: Send + Sync {
    /// Which factor's credential is said to have signed it: the only pointer to the key.
    fn credential(&self) -> CredentialSid;

    /// What it claims, if `key` signed it.
    fn verify(&self, key: &DevicePublicKey) -> Option<DeviceClaims>;
}

/// What a device claims of itself. They still have to be [checked](DeviceClaims::check).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceClaims {
    /// The account that the device's factor belongs to.
    pub account_sid: AccountSid,
    /// From when on they hold, by the device's clock.
    pub not_before: Timestamp,
    /// Until when they hold, by the device's clock.
    pub expires: Timestamp,
}

/// Why claims do not hold now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitClaims {
    /// Their end is past.
    #[error("the claims have expired")]
    Expired,
    /// They would hold longer than [`DeviceClaims::MAX_LIFETIME`].
    #[error("the claims hold for too long")]
    LiveTooLong,
    /// Their end does not come after their beginning.
    #[error("the claims never hold")]
    NeverValid,
    /// Their beginning is still to come.
    #[error("the claims do not hold yet")]
    NotYetValid,
}

impl DeviceClaims {
    /// The longest time for which they may hold. The SDKs ask for ten minutes.
    pub const MAX_LIFETIME: Duration = Duration::from_hours(1);

    /// Whether they hold now, when the device's clock may be off by `skew`.
    ///
    /// # Errors
    /// When they do not hold yet or any more, or for a time that no device asks for.
    pub fn check(&self, now: Timestamp, skew: Duration) -> Result<(), UnfitClaims> {
        if self.expires <= self.not_before {
            return Err(UnfitClaims::NeverValid);
        }
        if self.expires.since(self.not_before) > Self::MAX_LIFETIME {
            return Err(UnfitClaims::LiveTooLong);
        }
        if self.not_before > now + skew {
            return Err(UnfitClaims::NotYetValid);
        }
        // Not `now - skew`, which would stop at the epoch.
        if self.expires + skew <= now {
            return Err(UnfitClaims::Expired);
        }
        Ok(())
    }
}

/// Why a caller is not let in, or not to what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The credentials are wrong. All kinds of wrong look the same.
    #[error("the credentials are wrong, revoked, or their account is suspended")]
    Credentials,
    /// A device, or the holder of an access token, may not do this, or not to this.
    #[error("a device is only let in to its own factor and that factor's challenges")]
    Forbidden,
    /// The credentials are right, and their account is suspended: only who has them learns that.
    #[error("the account is suspended; its operator can let it go on (`countersign account resume`)")]
    Suspended,
}

impl AreaRefusal for Refusal {
    /// What credentials name and the store does not know makes them wrong.
    const NOT_FOUND: Self = Self::Credentials;

    fn code(&self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKEW: Duration = Duration::from_secs(30);
    const NOW: u64 = 1_790_000_000;

    fn claims(not_before: u64, expires: u64) -> DeviceClaims {
        DeviceClaims {
            account_sid: AccountSid::from_bytes([1; 16]),
            not_before: Timestamp::from_seconds(not_before),
            expires: Timestamp::from_seconds(expires),
        }
    }

    #[test]
    fn claims_hold_from_beginning_to_end_give_or_take_the_skew() {
        let claims = claims(NOW, NOW + 600);
        let at = |seconds: u64| claims.check(Timestamp::from_seconds(seconds), SKEW);
        assert_eq!(at(NOW - 31), Err(UnfitClaims::NotYetValid));
        assert_eq!(at(NOW - 30), Ok(()));
        assert_eq!(at(NOW + 629), Ok(()));
        assert_eq!(at(NOW + 630), Err(UnfitClaims::Expired));
        assert_eq!(at(0), Err(UnfitClaims::NotYetValid));
        let last = Timestamp::from_millis(NOW * 1000 + 629_999);
        assert_eq!(claims.check(last, SKEW), Ok(()));
    }

    #[test]
    fn the_time_claimed_is_one_that_a_device_asks_for() {
        let check = |claims: DeviceClaims| claims.check(Timestamp::from_seconds(NOW), SKEW);
        assert_eq!(check(claims(NOW, NOW)), Err(UnfitClaims::NeverValid));
        assert_eq!(check(claims(NOW + 1, NOW)), Err(UnfitClaims::NeverValid));
        assert_eq!(
            check(claims(u64::MAX - 1, u64::MAX)),
            Err(UnfitClaims::NeverValid)
        );
        assert_eq!(check(claims(NOW, NOW + 3600)), Ok(()));
        assert_eq!(check(claims(NOW, NOW + 3601)), Err(UnfitClaims::LiveTooLong));
        assert_eq!(check(claims(0, u64::MAX)), Err(UnfitClaims::LiveTooLong));
    }
}
