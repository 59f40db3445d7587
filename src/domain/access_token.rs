//! Enrolment access tokens: permission for one device to create one factor.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refusal::AreaRefusal;
use super::sid::{AccessTokenSid, AccountSid, FactorSid};
use super::text::{FriendlyName, Identity};
use super::time::Timestamp;

/// An access token. The token itself is derived from the master key and is not stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessToken {
    /// The identifier.
    pub sid: AccessTokenSid,
    /// The account that issued it.
    pub account: AccountSid,
    /// The entity whose factor may be created.
    pub identity: Identity,
    /// The name that the issuer thought of for the factor.
    pub factor_friendly_name: Option<FriendlyName>,
    /// How many seconds it lives.
    pub ttl: u16,
    /// When it was created.
    pub date_created: Timestamp,
    /// The factor that was created with it.
    pub spent_on: Option<FactorSid>,
}

impl AccessToken {
    /// How many seconds an access token lives if nothing else is said.
    pub const DEFAULT_TTL: u16 = 60;
    /// The fewest and the most seconds that an access token lives.
    pub const TTL_RANGE: std::ops::RangeInclusive<u16> = 60..=300;
    /// How long it can still be fetched after its end.
    pub const KEPT: Duration = Duration::from_hours(24);

    /// When it ends.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.date_created + Duration::from_secs(self.ttl.into())
    }

    /// Spends the token on a factor of `identity`.
    ///
    /// # Errors
    /// [`Refusal::Unfit`] when it was spent before, is over, or was issued for somebody else.
    pub fn spend(&mut self, identity: &Identity, factor: FactorSid, now: Timestamp) -> Result<(), Refusal> {
        if self.spent_on.is_some() || now >= self.expires_at() || self.identity != *identity {
            return Err(Refusal::Unfit);
        }
        self.spent_on = Some(factor);
        Ok(())
    }
}

/// Why nothing became of what somebody wanted of an access token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The access token, or its service, does not exist, or not for whoever asks.
    #[error("there is no such access token")]
    NotFound,
    /// It was spent, is over, or was issued for somebody else.
    #[error("the access token was used before, has expired, or was issued for another entity")]
    Unfit,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;
}
