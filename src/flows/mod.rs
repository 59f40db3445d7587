//! Use cases: one file, one use case. The only place that reads, decides and commits.
//!
//! Every flow has the same shape: read records with their versions, let the domain decide, commit what follows with
//! the versions asserted, and read again if another change came first. What is to be sent to others goes into the same
//! batch as outbox rows.
//!
//! Invariant: no HTTP, no dialect. A flow answers with domain types or with an [`Error`].

pub mod access_token;
pub mod account;
pub mod actor;
pub mod admission;
pub mod attempt;
pub mod challenge;
pub mod check_store;
pub mod code_delivery;
pub mod credential;
pub mod entity;
pub mod factor;
pub mod messaging_configuration;
pub mod outbox;
pub mod page;
pub mod rate_limit;
pub mod safe_list;
pub mod service;
pub mod store_format;
pub mod sweep;
pub mod template;
pub mod toll_fraud;
pub mod verification;
mod waiting;
pub mod web_push;
pub mod webhook;

use std::future::Future;

use crate::domain::refusal::Refusal;
use crate::store::{CommitError, StoreError};

/// Why a flow did not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Too many changes of the same records came first.
    #[error("too many requests change the same thing at once; try again")]
    Busy,
    /// Another change came first; only seen inside a flow.
    #[error("another change came first")]
    Conflict,
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store holds something that this program cannot read.
    #[error("the store holds a record that cannot be read: {0}")]
    Corrupt(String),
    /// The store cannot be read or written now.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(why) => Self::Corrupt(why),
            // No record of ours comes near the limit: one that does is a fault of this program.
            StoreError::TooLarge { .. } => Self::Corrupt(error.to_string()),
            StoreError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::Conflict,
            CommitError::Store(error) => error.into(),
        }
    }
}

/// Runs a read-decide-commit attempt until no other change comes first.
///
/// Each round of parallel attempts lets one through, so the bound is how many requests may wait for one record.
pub(crate) async fn settle<T, F, Attempt>(mut attempt: F) -> Result<T, Error>
where
    F: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, Error>>,
{
    const MOST_ATTEMPTS: u32 = 300;
    for _ in 0..MOST_ATTEMPTS {
        match attempt().await {
            Err(Error::Conflict) => {}
            settled => return settled,
        }
    }
    Err(Error::Busy)
}
