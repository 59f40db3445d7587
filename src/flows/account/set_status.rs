//! Suspends an account, or ends its suspension.

use crate::app::App;
use crate::domain::account::AccountStatus;
use crate::domain::refusal::Refusal;
use crate::domain::sid::AccountSid;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys, records};

/// From the next request on, the credentials of a suspended account, its API keys and its devices are refused.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn suspend_account(app: &App, account: AccountSid) -> Result<(), Error> {
    retry_on_conflict(|| commit(app, account, AccountStatus::Suspended { at: app.clock.now() })).await
}

/// Accepts the account's credentials again.
///
/// # Errors
/// As [`suspend_account`].
pub async fn resume_account(app: &App, account: AccountSid) -> Result<(), Error> {
    retry_on_conflict(|| commit(app, account, AccountStatus::Active)).await
}

async fn commit(app: &App, account: AccountSid, status: AccountStatus) -> Result<(), Error> {
    let key = keys::account(account);
    let mut found = records::read(app.store.as_ref(), &key)
        .await?
        .ok_or(Refusal::NotFound)?;
    found.record.status = status;
    let batch = Batch::new()
        .assert_read(&key, &found)
        .put_record(key, &found.record)?;
    app.store.commit(batch).await?;
    app.memory.waiters.account_changed(account);
    Ok(())
}
