//! Bearer tokens (RFC 6750): what callers show in protocols that know no user names.

use serde::{Deserialize, Serialize};

use super::opaque::TokenHash;
use super::refusal::AreaRefusal;
use super::sid::{AccountSid, BearerTokenSid};
use super::text::{DialectName, FriendlyName, Identity};
use super::time::Timestamp;

/// A bearer token of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct BearerToken {
    pub sid: BearerTokenSid,
    /// The account it acts for.
    pub account: AccountSid,
    /// In which protocol it is accepted.
    pub dialect: DialectName,
    /// Whose it is, where the protocol has users.
    pub user: Option<TokenUser>,
    /// A name for people.
    pub friendly_name: FriendlyName,
    pub secret: TokenHash,
    pub date_created: Timestamp,
    /// From when on it is refused, if that is limited.
    pub expires_at: Option<Timestamp>,
}

/// The user that a token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUser {
    /// Which of the protocol's service.
    pub name: Identity,
    /// Whether it may do everything for every user of its account, which includes to vouch for them.
    pub manages_users: bool,
}

impl BearerToken {
    /// Whether it is accepted at `now` by the protocol `dialect`.
    #[must_use]
    pub fn holds(&self, dialect: &str, now: Timestamp) -> bool {
        self.dialect.as_str() == dialect && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Why nothing became of what somebody wanted of a bearer token.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// There is no such account, or no such token.
    #[error("the account or bearer token does not exist")]
    NotFound,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }
}
