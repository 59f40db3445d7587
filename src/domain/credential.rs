//! Credentials: the keys that push providers gave an account, and which of its apps they are for.

use serde::{Deserialize, Serialize};

use super::opaque::Sealed;
use super::refusal::AreaRefusal;
use super::sid::{AccountSid, CredentialSid, ServiceSid};
use super::text::{ApnsIdentifier, ApnsTopic, FriendlyName};
use super::time::Timestamp;

/// A push provider's key. What is secret in it is sealed and never shown again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Credential {
    /// The identifier, which a service's settings name.
    pub sid: CredentialSid,
    /// The account that owns it.
    pub account: AccountSid,
    /// A name for people.
    pub friendly_name: Option<FriendlyName>,
    pub key: CredentialKey,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

impl Credential {
    /// Which provider's it is.
    #[must_use]
    pub fn provider(&self) -> CredentialKind {
        match self.key {
            CredentialKey::Apn(_) => CredentialKind::Apn,
            CredentialKey::Fcm { .. } => CredentialKind::Fcm,
        }
    }
}

/// A push provider that needs a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// Apple Push Notification service.
    Apn,
    /// Firebase Cloud Messaging.
    Fcm,
}

impl CredentialKind {
    /// The provider's name in short.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apn => "apn",
            Self::Fcm => "fcm",
        }
    }
}

/// The key of a push provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum CredentialKey {
    /// Apple's.
    Apn(ApnCredential),
    /// Google's.
    Fcm {
        /// The service account's key as JSON, sealed.
        service_account: Sealed,
    },
}

/// A key that signs Apple's provider tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApnCredential {
    /// The P-256 key (PKCS #8 in PEM), sealed.
    pub private_key: Sealed,
    /// What Apple calls the key.
    pub key_id: ApnsIdentifier,
    /// The team that the key belongs to.
    pub team_id: ApnsIdentifier,
    /// The app that is woken; the one that the factor names if there is none.
    pub topic: Option<ApnsTopic>,
    /// Whether Apple's development environment is meant.
    pub sandbox: bool,
}

/// Why nothing became of what somebody wanted of a push provider's key.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// A service uses it.
    #[error("the credential is used by service {service}")]
    InUse {
        /// Which service; there may be more.
        service: ServiceSid,
    },
    /// The credential does not exist, or not for whoever asks.
    #[error("there is no such credential")]
    NotFound,
    /// The service account wants its tokens from somebody whom nobody asks here.
    #[error("the service account gets its tokens from an address that this server does not ask")]
    UnknownTokenUri,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }
}
