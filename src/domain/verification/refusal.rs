//! Why nothing became of what somebody wanted of a verification.

use std::time::Duration;

use crate::domain::channel::Channel;
use crate::domain::fraud::Blocked;
use crate::domain::message::Unrenderable;
use crate::domain::rate_limit;
use crate::domain::refusal::AreaRefusal;
use crate::domain::sid::VerificationSid;

/// Why nothing became of what somebody wanted of a verification. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum Refusal {
    /// It was approved; there is nothing left to send.
    #[error("the verification was approved already")]
    Approved,
    /// A guard against toll fraud does not let the code out.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// The code has had its time; the verification goes on.
    #[error("the code has expired; have a new one sent")]
    CodeExpired,
    /// It is no code, so it is no guess either.
    #[error("it is no code: a code has 4 to 10 digits (or letters, where codes have some), and nothing else")]
    CodeMalformed,
    /// Nothing was given that could be checked.
    #[error("no code was given")]
    CodeMissing,
    /// The operator does not let callers choose this sender of an e-mail.
    #[error("an e-mail may not come from this address; the operator has not allowed it")]
    FromNotAllowed,
    /// The service does not let callers choose codes.
    #[error("this service does not let callers choose codes")]
    CustomCodeNotAllowed,
    /// Too many wrong codes of one destination, over all its verifications: none is evaluated for a while.
    #[error("too many wrong codes were given for this destination")]
    DestinationLocked {
        /// For how long.
        retry_after: Duration,
    },
    /// The channel does not lead to a destination of this kind.
    #[error("the channel does not lead to this kind of destination")]
    DestinationUnfit,
    /// Another verification waits for the same destination.
    #[error("verification {sid} waits for the same destination")]
    Exists { sid: VerificationSid },
    #[error(
        "the number is a landline's, and this service sends those no text messages; use the channel call"
    )]
    LandlineSms,
    #[error("no code was sent yet; have one sent first")]
    NoCodeSent,
    /// No sender is configured for the channel, or none that serves the destination's country.
    #[error("the channel {} has no sender for this destination; configure one, or choose another channel", channel.name())]
    NoSender { channel: Channel },
    #[error("no step of this verification's plan is left")]
    NoStepLeft,
    /// It was created a moment ago.
    #[error("the verification cannot be canceled yet")]
    NotCancellableYet {
        /// For how long.
        retry_after: Duration,
    },
    /// None of the templates that the caller offers can be sent.
    #[error("none of these templates can be sent")]
    NoTemplateFits,
    /// It or its service does not exist, or not for whoever asks, or it is over.
    #[error("there is no such verification, or it is over")]
    NotFound,
    /// The service's verifications carry an amount and a payee (PSD2).
    #[error("this service's verifications need an amount and a payee")]
    PaymentRequired,
    /// The call would not read out an amount and a payee, or it is silent authentication, which shows nobody anything.
    #[error("the channel {} cannot show an amount and a payee", channel.name())]
    PaymentUnfit { channel: Channel },
    /// A rate limit of the service says no.
    #[error(transparent)]
    RateLimit(#[from] rate_limit::Refusal),
    /// The caller names a template that this server does not have.
    #[error("there is no such template")]
    TemplateUnknown,
    /// The wrong codes that are evaluated are used up.
    #[error("the wrong codes of this verification are used up")]
    TooManyChecks {
        /// When the verification is over.
        retry_after: Duration,
    },
    /// It was sent as often as may be.
    #[error("this verification was sent as often as it may be")]
    TooManySends {
        /// When the verification is over.
        retry_after: Duration,
    },
    /// There has to be a pause between two of them.
    #[error("too soon; there has to be a pause")]
    TooSoon {
        /// How long it still is.
        retry_after: Duration,
    },
    /// The message that the caller wants cannot be written.
    #[error("the message cannot be written: {why}")]
    Unwritable { why: Unrenderable },
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        match self {
            Self::RateLimit(refusal) => refusal.code(),
            other => other.into(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Blocked(blocked) => blocked.retry_after,
            Self::DestinationLocked { retry_after }
            | Self::NotCancellableYet { retry_after }
            | Self::TooManyChecks { retry_after }
            | Self::TooManySends { retry_after }
            | Self::TooSoon { retry_after } => Some(*retry_after),
            Self::RateLimit(refusal) => refusal.retry_after(),
            Self::Approved
            | Self::CodeExpired
            | Self::CodeMalformed
            | Self::CodeMissing
            | Self::CustomCodeNotAllowed
            | Self::DestinationUnfit
            | Self::Exists { .. }
            | Self::FromNotAllowed
            | Self::LandlineSms
            | Self::NoCodeSent
            | Self::NoSender { .. }
            | Self::NoStepLeft
            | Self::NoTemplateFits
            | Self::NotFound
            | Self::PaymentRequired
            | Self::PaymentUnfit { .. }
            | Self::TemplateUnknown
            | Self::Unwritable { .. } => None,
        }
    }
}
