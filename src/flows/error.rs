//! Why a flow did not do what it was asked to.

use std::fmt;

use crate::crypto::sealed::SealError;
use crate::domain::attached::AttachedError;
use crate::domain::refusal::AreaRefusal;
use crate::memory::turns::TurnKey;
use crate::store::{CommitError, StoreError};

/// Why a flow did not do what it was asked to: nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error<R> {
    /// Nothing was decided: the caller may ask again.
    Failed(Fault),
    /// The domain said no, in the words of the flow's area.
    Refused(R),
}

/// What keeps any flow from deciding, whatever it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Too many changes of the same records came first.
    #[error("too many requests change the same thing at once; try again")]
    Busy,
    /// Another change came first, of this record if that is known; only seen inside a flow.
    #[error("another change came first")]
    Conflict(Option<TurnKey>),
    /// The store holds something that this program cannot read.
    #[error("the store holds a record that cannot be read: {0}")]
    Corrupt(String),
    /// The store holds something that was changed by somebody else.
    #[error("the store holds an entry that was changed by somebody else: {0}")]
    Forged(String),
    /// A record names a data key that the store does not have. If the key went since the record was read, the value is sealed
    /// anew by now and the record has to be read again.
    #[error("the store holds a record that cannot be read: {0}")]
    KeyGone(String),
    /// As many messages of the account wait in the outbox as may.
    #[error("too many messages of this account wait for their receivers")]
    OutboxFull,
    /// The store cannot be read or written now.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

impl Fault {
    /// What is sealed in a record, which `what` names, does not open.
    pub(crate) fn unopened(what: impl fmt::Display, error: SealError) -> Self {
        let words = format!("{what}: {error}");
        match error {
            SealError::UnknownKey(_) => Self::KeyGone(words),
            SealError::NotAuthentic | SealError::TooShort | SealError::UnknownFormat(_) => {
                Self::Corrupt(words)
            }
        }
    }

    /// Whether a record is the reason, which will be as it is when it is read again: there is nothing to wait for.
    pub(crate) fn is_of_a_record(&self) -> bool {
        match self {
            Self::Corrupt(_) | Self::Forged(_) | Self::KeyGone(_) => true,
            Self::Busy | Self::Conflict(_) | Self::OutboxFull | Self::Unavailable(_) => false,
        }
    }
}

/// What was read, or that there is nothing if it cannot be read, now or later: for a decision that does without it.
///
/// # Errors
/// All other [`Fault`]s.
pub(crate) fn readable<T>(read: Result<Option<T>, Fault>) -> Result<Option<T>, Fault> {
    match read {
        Err(fault) if fault.is_of_a_record() => Ok(None),
        read => read,
    }
}

/// What a dialect keeps with a record cannot be read, or it wants to keep too much.
impl<R> From<AttachedError> for Error<R> {
    fn from(error: AttachedError) -> Self {
        Self::corrupt(error.to_string())
    }
}

impl<R> Error<R> {
    /// The store holds something that this program cannot read.
    pub(crate) fn corrupt(why: impl Into<String>) -> Self {
        Self::Failed(Fault::Corrupt(why.into()))
    }

    /// The same in the words of an area whose flows rest on those of this one.
    pub(crate) fn into_area<S: From<R>>(self) -> Error<S> {
        match self {
            Self::Failed(fault) => Error::Failed(fault),
            Self::Refused(refusal) => Error::Refused(refusal.into()),
        }
    }
}

impl<R: fmt::Display> fmt::Display for Error<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(fault) => fault.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl<R: AreaRefusal> std::error::Error for Error<R> {}

impl<R: AreaRefusal> From<R> for Error<R> {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal)
    }
}

impl<R: AreaRefusal> From<Fault> for Error<R> {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl<R: AreaRefusal> From<StoreError> for Error<R> {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl<R: AreaRefusal> From<CommitError> for Error<R> {
    fn from(error: CommitError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(why) => Self::Corrupt(why),
            StoreError::Forged(why) => Self::Forged(why),
            // No record of ours comes near the limit: one that does is a fault of this program.
            StoreError::TooLarge { .. } => Self::Corrupt(error.to_string()),
            StoreError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<CommitError> for Fault {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::Conflict(None),
            CommitError::Store(error) => error.into(),
        }
    }
}
