//! Why nothing becomes of what somebody wants of a challenge.

use std::time::Duration;

use super::Challenge;
use crate::domain::push_answer::BadProof;
use crate::domain::refusal::AreaRefusal;
use crate::domain::{access, factor};

/// Why nothing became of what somebody wanted of a challenge, or to say to it.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum Refusal {
    /// Whoever asks is not let in to the challenge.
    #[error(transparent)]
    Access(#[from] access::Refusal),
    #[error("the challenge has been answered already")]
    Answered,
    /// Neither an answer nor anything else was said to the challenge.
    #[error("there is no answer")]
    AnswerMissing,
    /// What a device sent does not answer the challenge.
    #[error("the signed answer does not belong to this challenge: {why}")]
    BadProof { why: BadProof },
    /// A code was given for a challenge that a device has to answer.
    #[error("a push challenge is answered by its device, not by a code")]
    CodeForPush,
    #[error("the challenge has expired")]
    Expired,
    /// A new challenge cannot end at this moment.
    #[error("a challenge ends in the future, at the latest in {} minutes", Challenge::LONGEST_LIFE.as_secs() / 60)]
    ExpiryOutOfRange,
    /// The factor says no.
    #[error(transparent)]
    Factor(#[from] factor::Refusal),
    /// The factor that a new challenge is for does not exist, or not under this entity.
    #[error("the entity has no such factor")]
    FactorUnknown,
    /// Nothing was said that a push factor's holder could be asked.
    #[error("a push challenge needs a message")]
    MessageMissing,
    /// The challenge, its entity or its service does not exist, or not for whoever asks.
    #[error("there is no such challenge")]
    NotFound,
    /// The factor's device cannot be notified.
    #[error("the factor's device has no notification platform")]
    NotNotifiable,
    /// Only the holder of a push factor can be asked to type a number.
    #[error("only a push challenge can ask for a number")]
    NumberForCode,
    /// All codes of this challenge are used up.
    #[error("{} codes were tried on this challenge", Challenge::MAX_ATTEMPTS)]
    TooManyAttempts,
    /// All notifications of this challenge are used up.
    #[error("{} notifications were sent for this challenge", Challenge::MAX_NOTIFICATIONS)]
    TooManyNotifications {
        /// When the challenge expires and does not stand in the way of a new one any more.
        retry_after: Duration,
    },
    /// As many callers wait as may, or as may for the same thing.
    #[error("too many requests wait already, altogether or for the same challenge or factor")]
    TooManyWaiters,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        match self {
            Self::Access(refusal) => refusal.code(),
            Self::Factor(refusal) => refusal.code(),
            other => other.into(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Access(refusal) => refusal.retry_after(),
            Self::Factor(refusal) => refusal.retry_after(),
            Self::TooManyNotifications { retry_after } => Some(*retry_after),
            Self::TooManyWaiters => Some(Duration::from_secs(5)),
            Self::Answered
            | Self::AnswerMissing
            | Self::BadProof { .. }
            | Self::CodeForPush
            | Self::Expired
            | Self::ExpiryOutOfRange
            | Self::FactorUnknown
            | Self::MessageMissing
            | Self::NotFound
            | Self::NotNotifiable
            | Self::NumberForCode
            | Self::TooManyAttempts => None,
        }
    }
}
