//! Removes a number from the safe list.

use super::fetch_safe_number::read_safe_number;
use crate::app::App;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::AccountSid;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Removes a number from the account's safe list.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`Error::Failed`].
pub async fn remove_safe_number(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<(), Error> {
    retry_on_conflict(|| remove(app, account, number)).await
}

async fn remove(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<(), Error> {
    let found = read_safe_number(app, account, number).await?;
    let key = keys::safe_number(account, number);
    let batch = Batch::new().assert_read(&key, &found).delete(key.into_bytes());
    app.store.commit(batch).await?;
    Ok(())
}
