//! Senders: how a message leaves this server. Each knows one protocol of somebody else's and nothing of the store.
//!
//! Invariant: no flow, no store, no dialect. A sender is handed everything it needs, sends once, and says what came of
//! it; whether and when to try again is the outbox's business.

pub mod codes;
pub mod http;
pub mod push;
pub mod trust;
pub mod webhook;

use std::time::Duration;

use self::codes::CodeSenders;
use self::http::HttpClient;
use self::push::PushProviders;
use crate::domain::circuit::FailureScope;

/// The senders, built once at the start and shared by all deliveries.
#[derive(Debug, Default)]
pub struct Senders {
    /// Those of the settings, in the operator's order of preference.
    pub codes: CodeSenders,
    /// One for each push provider.
    pub push: PushProviders,
    /// For the URLs of webhooks, which their owners name. Reaches public addresses only, unless the operator allows more.
    pub webhooks: HttpClient,
}

/// What came of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The receiver has it.
    Delivered,
    /// There is nothing to deliver any more: the receiver was deleted or switched off, or the message is of no use now.
    Obsolete,
    /// It may work later: at the earliest after `after`, if the receiver said so.
    Retry {
        /// What went wrong, for the operator; names no secret.
        why: String,
        /// How long the receiver wants to be left alone.
        after: Option<Duration>,
        /// Whom it is about.
        about: FailureScope,
    },
    /// It will never work as it is: straight to the dead letters.
    Refused {
        /// What went wrong, for the operator; names no secret.
        why: String,
    },
}

impl DeliveryOutcome {
    /// Whom the failure is about, if it is one that may end.
    #[must_use]
    pub fn scope(&self) -> Option<FailureScope> {
        match self {
            Self::Retry { about, .. } => Some(*about),
            Self::Delivered | Self::Obsolete | Self::Refused { .. } => None,
        }
    }
}
