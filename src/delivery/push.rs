//! What all push providers are told, and what they can answer.

use std::time::Duration;

use super::Outcome;
use crate::domain::sid::{ChallengeSid, EventSid, FactorSid};
use crate::domain::time::Timestamp;

/// A notification that a challenge waits.
#[derive(Clone, Copy, Debug)]
pub struct PushMessage<'a> {
    /// Which notification it is; the same for every try.
    pub id: EventSid,
    /// The challenge that waits.
    pub challenge: ChallengeSid,
    /// The factor that is to answer.
    pub factor: FactorSid,
    /// What the user is asked.
    pub text: &'a str,
    /// From when on the notification is of no use.
    pub expires_at: Timestamp,
}

/// What every app looks for in a notification, as the SDKs' samples read it.
pub(super) const TYPE: &str = "verify_push_challenge";

/// What came of one notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// What came of the try.
    Settled(Outcome),
    /// The provider does not know the device (any more).
    Unregistered {
        /// The provider's word for it.
        why: String,
    },
}

impl Sent {
    pub(super) fn delivered() -> Self {
        Self::Settled(Outcome::Delivered)
    }

    pub(super) fn retry(why: impl Into<String>, after: Option<Duration>) -> Self {
        Self::Settled(Outcome::Retry {
            why: why.into(),
            after,
        })
    }

    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self::Settled(Outcome::Refused { why: why.into() })
    }

    pub(super) fn unregistered(why: impl Into<String>) -> Self {
        Self::Unregistered { why: why.into() }
    }
}
