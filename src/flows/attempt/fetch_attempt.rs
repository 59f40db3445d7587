//! Fetches an attempt.

use crate::app::App;
use crate::domain::attempt::Attempt;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, AttemptSid};
use crate::flows::Error;
use crate::store::{keys, records};

/// The attempt, if it is one of the account's and not older than [`Attempt::RETENTION`].
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch_attempt(app: &App, account: AccountSid, sid: AttemptSid) -> Result<Attempt, Error> {
    let found = records::read(app.store.as_ref(), &keys::attempt(account, sid)).await?;
    let attempt = found.ok_or(Refusal::NotFound)?.record;
    // Until the sweeper comes by, it is there and does not count.
    if sid.created_at() < app.clock.now().before(Attempt::RETENTION) {
        return Err(Refusal::NotFound.into());
    }
    Ok(attempt)
}
