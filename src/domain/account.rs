//! Accounts and their API keys: who may call the API.

use serde::{Deserialize, Serialize};

use super::opaque::TokenHash;
use super::refusal::AreaRefusal;
use super::sid::{AccountSid, ApiKeySid};
use super::text::{FriendlyName, KeyName};
use super::time::Timestamp;
use super::webhook_secrets::WebhookSecrets;

/// An account: the owner of services.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Account {
    /// The identifier, and the user name of HTTP Basic authentication.
    pub sid: AccountSid,
    /// A name for people.
    pub friendly_name: FriendlyName,
    /// The hash of the auth token, the password of HTTP Basic authentication.
    pub token: TokenHash,
    /// Whether its credentials are accepted.
    pub status: AccountStatus,
    pub date_created: Timestamp,
    /// What its webhooks are signed with.
    pub webhook_secrets: WebhookSecrets,
}

/// Whether an account's credentials are accepted, and since when they are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum AccountStatus {
    Active,
    /// They are refused, and so are its API keys and its devices.
    Suspended {
        at: Timestamp,
    },
}

impl Account {
    /// Whether its credentials are accepted.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == AccountStatus::Active
    }
}

/// An API key: a second pair of credentials of an account, revocable on its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct ApiKey {
    /// The identifier, and the user name of HTTP Basic authentication.
    pub sid: ApiKeySid,
    /// The account it acts for.
    pub account: AccountSid,
    /// What it is called besides, if it was made elsewhere and imported: a user name, too.
    pub imported: Option<KeyName>,
    /// A name for people.
    pub friendly_name: FriendlyName,
    pub secret: TokenHash,
    pub date_created: Timestamp,
}

/// Why nothing became of what somebody wanted of an account, its secrets or its API keys.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// There is no such account, or no such key.
    #[error("the account or API key does not exist")]
    NotFound,
}

/// Why an API key that was made elsewhere was not taken over.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum ImportRefusal {
    /// Another key has this name already, of this account or of another one.
    #[error("an API key has this name already; revoke it first")]
    NameTaken,
    /// There is no such account.
    #[error("the account does not exist")]
    NotFound,
}

impl AreaRefusal for ImportRefusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }
}
