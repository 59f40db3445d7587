//! Why nothing becomes of what somebody wants of a factor.

use std::time::Duration;

use super::{Factor, FactorType};
use crate::domain::limits::Failures;
use crate::domain::push_guard::PushGuard;
use crate::domain::refusal::AreaRefusal;
use crate::domain::{access, access_token, entity};

/// Why nothing became of what somebody wanted of a factor, or to prove with it.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum Refusal {
    /// Whoever asks is not let in to the factor.
    #[error(transparent)]
    Access(#[from] access::Refusal),
    /// The access token does not permit the enrolment.
    #[error(transparent)]
    AccessToken(#[from] access_token::Refusal),
    /// The factor is verified; codes are checked by challenges.
    #[error("the factor is verified already")]
    AlreadyVerified,
    /// The signature is not one of the factor's key over the factor's SID.
    #[error("the signature is not one of this factor's key over the factor's SID")]
    BadProof,
    /// What was given as a code is none of the factor's length; it was not evaluated.
    #[error("what was given as a code is none of the factor's length")]
    CodeMalformed,
    /// Too many wrong codes: no code is evaluated for a while.
    #[error("too many wrong codes; no code is checked for a while")]
    Delayed {
        /// For how long.
        retry_after: Duration,
    },
    /// Too many wrong codes: the factor is disabled for good.
    #[error(
        "the factor was disabled after {} wrong codes in a row",
        Failures::DISABLED_AT
    )]
    Disabled,
    /// The entity has a factor with this key or secret.
    #[error("the entity has a factor with this key or secret already")]
    Duplicate,
    /// The entity cannot be created, or not now.
    #[error(transparent)]
    Entity(#[from] entity::Refusal),
    /// The secret has fewer than 128 bits, as those of older systems, and the operator takes none of these.
    #[error("the secret has fewer than 128 bits, and secrets of older systems are not taken here")]
    LegacySecret,
    /// The factor, its entity or its service does not exist, or not for whoever asks.
    #[error("there is no such factor")]
    NotFound,
    /// The factor's holder reported a challenge, or typed too many wrong numbers: nobody may ask, and nothing is approved.
    #[error(
        "the factor's holder reported a challenge, or typed {} wrong numbers",
        PushGuard::MAX_WRONG_NUMBERS
    )]
    Paused {
        /// When the pause ends, unless the account ends it sooner.
        retry_after: Duration,
    },
    /// A push subscription was given for a platform that knows devices by a token.
    #[error("only Web Push takes a push subscription")]
    TokenIsSubscription,
    /// The platform knows devices by something that was not given.
    #[error("the platform needs what it knows the device by")]
    TokenMissing,
    /// A token was given for Web Push, which knows devices by a subscription.
    #[error("Web Push needs a push subscription")]
    TokenNoSubscription,
    /// All codes for verifying this factor are used up.
    #[error(
        "{} codes were tried to verify this factor",
        Factor::MAX_VERIFICATION_ATTEMPTS
    )]
    TooManyAttempts,
    /// See [`Factor::add_challenge`] for how many there may be in which time.
    #[error("too many challenges were created for this factor")]
    TooManyChallenges {
        /// When one may be created again.
        retry_after: Duration,
    },
    /// Too many factors were created for this entity within a day.
    #[error("too many factors were created for this entity within a day")]
    TooManyCreations {
        /// When one may be created again.
        retry_after: Duration,
    },
    /// The entity has as many factors of this type as it may.
    #[error("the entity has {limit} factors of this type already")]
    TooManyOfType {
        kind: FactorType,
        /// How many it may have.
        limit: u32,
    },
    /// As many challenges of the factor wait for an answer as may.
    #[error("{limit} challenges of this factor wait for an answer already")]
    TooManyPending {
        /// How many may wait.
        limit: usize,
        /// When the first of them expires.
        retry_after: Duration,
    },
    /// The factor's holder was asked as often as may be without saying yes.
    #[error("{limit} pushes were sent to this factor since its last approval")]
    TooManyPushes {
        /// How often it may be asked.
        limit: usize,
        /// When the oldest of them counts no more.
        retry_after: Duration,
    },
    /// The factor is not verified yet.
    #[error("the factor is not verified")]
    Unverified,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        match self {
            Self::Access(refusal) => refusal.code(),
            Self::AccessToken(refusal) => refusal.code(),
            Self::Entity(refusal) => refusal.code(),
            other => other.into(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Access(refusal) => refusal.retry_after(),
            Self::AccessToken(refusal) => refusal.retry_after(),
            Self::Entity(refusal) => refusal.retry_after(),
            Self::Delayed { retry_after }
            | Self::Paused { retry_after }
            | Self::TooManyChallenges { retry_after }
            | Self::TooManyCreations { retry_after }
            | Self::TooManyPending { retry_after, .. }
            | Self::TooManyPushes { retry_after, .. } => Some(*retry_after),
            Self::AlreadyVerified
            | Self::BadProof
            | Self::CodeMalformed
            | Self::Disabled
            | Self::Duplicate
            | Self::LegacySecret
            | Self::NotFound
            | Self::TokenIsSubscription
            | Self::TokenMissing
            | Self::TokenNoSubscription
            | Self::TooManyAttempts
            | Self::TooManyOfType { .. }
            | Self::Unverified => None,
        }
    }
}
