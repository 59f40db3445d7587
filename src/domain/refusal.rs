//! Why a use case said no. Each dialect has its own words for these; none has a rule of its own.

use std::time::Duration;

use super::channel::Channel;
use super::fraud::BlockReason;
use super::message::Unrenderable;
use super::sid::VerificationSid;
use super::{account, rate_limit};

/// What the refusals of every area have in common.
pub trait AreaRefusal: std::error::Error + Clone + Send + Sync + 'static {
    /// The thing does not exist, or not for whoever asks.
    const NOT_FOUND: Self;

    /// After which time the same may succeed; `None` if no waiting changes it.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// Why a use case said no. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A guard against toll fraud does not let the code out.
    #[error("the code was not sent: {}", why.explanation())]
    Blocked {
        /// Why.
        why: BlockReason,
        /// When it may be asked for again; `None` if no waiting changes it.
        retry_after: Option<Duration>,
    },
    /// The code has had its time; the verification goes on.
    #[error("the code has expired; have a new one sent")]
    CodeExpired,
    /// The service does not let callers choose codes.
    #[error("CustomCode is not enabled for this service; set CustomCodeEnabled first")]
    CustomCodeNotAllowed,
    /// Too many wrong codes of one destination, over all its verifications: none is evaluated for a while.
    #[error("too many wrong codes were given for this destination; none is checked for the next {} seconds", retry_after.as_secs().max(1))]
    DestinationLocked {
        /// For how long.
        retry_after: Duration,
    },
    /// The number is a landline's, and the service sends those no text messages.
    #[error(
        "the number is a landline's, and this service sends those no SMS (SkipSmsToLandlines); use the channel call"
    )]
    LandlineSms,
    /// No code was sent yet.
    #[error("no code was sent yet; have one sent first")]
    NoCodeSent,
    /// No sender is configured for the channel, or none that serves the destination's country.
    #[error("the channel {} has no sender for this destination; configure one, or choose another channel", channel.name())]
    NoSenderFor {
        /// Which channel.
        channel: Channel,
    },
    /// The verification's plan has no step left.
    #[error("no step of this verification's plan is left")]
    NoStepLeft,
    /// It was created a moment ago.
    #[error("the verification cannot be canceled for the next {} seconds", retry_after.as_secs().max(1))]
    NotCancellableYet {
        /// For how long.
        retry_after: Duration,
    },
    /// The thing does not exist, or not in this account.
    #[error("not found")]
    NotFound,
    /// A parameter does not fit the factor.
    #[error("{parameter} {why}")]
    Parameter {
        /// The parameter's name in the core's words, as in `Config.Skew`.
        parameter: &'static str,
        /// What it must be.
        why: &'static str,
    },
    /// The service's verifications carry an amount and a payee (PSD2).
    #[error("Amount and Payee are required: this service has Psd2Enabled")]
    PaymentRequired,
    /// A call does not read out an amount and a payee, and silent authentication shows nobody anything.
    #[error("the channel {} cannot be used with Amount and Payee; choose sms, whatsapp or email", channel.name())]
    PaymentUnfit {
        /// Which channel.
        channel: Channel,
    },
    /// The wrong codes that are evaluated are used up.
    #[error("the wrong codes of this verification are used up; a new one can be asked for in {} seconds", retry_after.as_secs().max(1))]
    TooManyChecks {
        /// When the verification is over.
        retry_after: Duration,
    },
    /// The verification was sent as often as may be.
    #[error("this verification was sent as often as it may be; a new one can be asked for in {} seconds", retry_after.as_secs().max(1))]
    TooManySends {
        /// When the verification is over.
        retry_after: Duration,
    },
    /// There has to be a pause between two of them.
    #[error("too soon; try again in {} seconds", retry_after.as_secs().max(1))]
    TooSoon {
        /// How long it still is.
        retry_after: Duration,
    },
    /// What the caller wants to be said cannot be.
    #[error("{why}")]
    Unwritable {
        /// Why.
        why: Unrenderable,
    },
    /// The verification was approved; there is nothing left to send.
    #[error("the verification was approved already")]
    VerificationApproved,
    /// Another verification waits for the same destination.
    #[error("verification {sid} waits for the same destination")]
    VerificationExists {
        /// Which one.
        sid: VerificationSid,
    },
    /// What the account's keys are asked for.
    #[error(transparent)]
    Account(#[from] account::Refusal),
    /// A rate limit of the service says no.
    #[error(transparent)]
    RateLimit(#[from] rate_limit::Refusal),
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Blocked { retry_after, .. } => *retry_after,
            Self::DestinationLocked { retry_after }
            | Self::NotCancellableYet { retry_after }
            | Self::TooManyChecks { retry_after }
            | Self::TooManySends { retry_after }
            | Self::TooSoon { retry_after } => Some(*retry_after),
            Self::RateLimit(refusal) => refusal.retry_after(),
            _ => None,
        }
    }
}
