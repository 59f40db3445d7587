//! Deciding anew when another change came first.

use std::future::Future;

use super::{Error, Fault};

/// Runs a read-decide-commit attempt until no other change comes first.
///
/// Each round of parallel attempts lets one through, so the bound is how many requests may wait for one record.
pub(crate) async fn retry_on_conflict<T, R, F, Attempt>(mut attempt: F) -> Result<T, Error<R>>
where
    F: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, Error<R>>>,
{
    const MOST_ATTEMPTS: u32 = 300;
    for _ in 0..MOST_ATTEMPTS {
        match attempt().await {
            Err(Error::Failed(Fault::Conflict)) => {}
            settled => return settled,
        }
    }
    Err(Error::Failed(Fault::Busy))
}
