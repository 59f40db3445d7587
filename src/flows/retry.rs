//! Deciding anew when another change came first.

use std::future::Future;

use super::{Error, Fault};
use crate::domain::refusal::AreaRefusal;

/// Runs a read-decide-commit attempt until no other change comes first.
///
/// Each round of parallel attempts lets one through, so the bound is how many requests may wait for one record.
pub(crate) async fn retry_on_conflict<T, E, F, Attempt>(mut attempt: F) -> Result<T, E>
where
    E: FlowError,
    F: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, E>>,
{
    const MOST_ATTEMPTS: u32 = 300;
    for _ in 0..MOST_ATTEMPTS {
        match attempt().await {
            Err(error) if error.fault() == Some(&Fault::Conflict) => {}
            settled => return settled,
        }
    }
    Err(Fault::Busy.into())
}

/// What a flow may end in: a fault, or besides that the refusals of an area.
pub(crate) trait FlowError: From<Fault> {
    /// The fault, if it is one.
    fn fault(&self) -> Option<&Fault>;
}

impl FlowError for Fault {
    fn fault(&self) -> Option<&Fault> {
        Some(self)
    }
}

impl<R: AreaRefusal> FlowError for Error<R> {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Failed(fault) => Some(fault),
            Self::Refused(_) => None,
        }
    }
}
