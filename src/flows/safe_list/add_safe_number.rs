//! Adds a number to the safe list.

use crate::app::App;
use crate::domain::phone::PhoneNumber;
use crate::domain::refusal::Refusal;
use crate::domain::safe_list::SafeNumber;
use crate::domain::sid::{AccountSid, SafeListSid};
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Adds a number to the account's safe list.
///
/// # Errors
/// [`Refusal::NumberAlreadySafe`], [`Error::Failed`].
pub async fn add_safe_number(
    app: &App,
    account: AccountSid,
    number: &PhoneNumber,
) -> Result<SafeNumber, Error> {
    retry_on_conflict(|| add(app, account, number)).await
}

async fn add(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<SafeNumber, Error> {
    let key = keys::safe_number(account, number);
    if app.store.get(key.bytes()).await?.is_some() {
        return Err(Refusal::NumberAlreadySafe.into());
    }
    let now = app.clock.now();
    let safe = SafeNumber {
        sid: SafeListSid::generate(now, app.entropy.as_ref()),
        number: number.clone(),
        date_created: now,
    };
    let batch = Batch::new()
        .assert_absent(key.bytes().to_vec())
        .put_record(key, &safe)?;
    app.store.commit(batch).await?;
    Ok(safe)
}
