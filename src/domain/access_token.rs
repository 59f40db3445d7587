//! Enrolment access tokens: permission for one device to create one factor.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refusal::AreaRefusal;
use super::sid::{AccessTokenSid, AccountSid, FactorSid};
use super::text::{FriendlyName, Identity, Invalid};
use super::time::Timestamp;

/// An access token. The token itself is derived from the master key and is not stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct AccessToken {
    pub sid: AccessTokenSid,
    /// The account that issued it.
    pub account: AccountSid,
    /// The entity whose factor may be created.
    pub identity: Identity,
    /// The name that the issuer thought of for the factor.
    pub factor_friendly_name: Option<FriendlyName>,
    /// How long it lives.
    pub life: TokenLife,
    pub date_created: Timestamp,
    /// `None` until a factor is created with it: it works once.
    pub spent_on: Option<FactorSid>,
}

/// How long an access token lives: 60 to 300 seconds, 60 if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenLife(u16);

impl TokenLife {
    /// The longest one.
    pub const LONGEST: Duration = Duration::from_mins(5);

    /// Checks the range.
    ///
    /// # Errors
    /// [`Invalid`] with the range.
    pub fn new(seconds: u16) -> Result<Self, Invalid> {
        if (60..=300).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(Invalid::seconds(60, 300))
        }
    }

    /// 60 to 300.
    #[must_use]
    pub fn seconds(self) -> u16 {
        self.0
    }
}

impl Default for TokenLife {
    fn default() -> Self {
        Self(60)
    }
}

impl AccessToken {
    /// How long it can still be fetched after its end.
    pub const KEPT: Duration = Duration::from_hours(24);

    /// [`AccessToken::life`] after it was created.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.date_created + Duration::from_secs(self.life.seconds().into())
    }

    /// Has it end at `end`, if it does not end before.
    pub fn end_at(&mut self, end: Timestamp) {
        if end < self.expires_at() {
            self.life = TokenLife(0);
            self.date_created = self.date_created.min(end);
        }
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
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
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

    fn code(&self) -> &'static str {
        self.into()
    }
}
