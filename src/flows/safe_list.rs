//! The safe list of an account: numbers that no guard against fraud holds up.

use crate::app::App;
use crate::domain::phone::PhoneNumber;
use crate::domain::refusal::Refusal;
use crate::domain::safe_list::SafeNumber;
use crate::domain::sid::{AccountSid, SafeListSid};
use crate::flows::{Error, retry_on_conflict};
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// Adds a number to the account's safe list.
///
/// # Errors
/// [`Refusal::NumberAlreadySafe`], [`Error::Failed`].
pub async fn add(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<SafeNumber, Error> {
    retry_on_conflict(|| add_once(app, account, number)).await
}

async fn add_once(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<SafeNumber, Error> {
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

/// What the account's safe list has of a number.
///
/// # Errors
/// [`Refusal::NotFound`] for a number that is not on it, [`Error::Failed`].
pub async fn fetch(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<SafeNumber, Error> {
    Ok(read(app, account, number).await?.record)
}

/// The same with its version.
pub(super) async fn read(
    app: &App,
    account: AccountSid,
    number: &PhoneNumber,
) -> Result<Stored<SafeNumber>, Error> {
    let found = records::read(app.store.as_ref(), &keys::safe_number(account, number)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}

/// Whether the account's safe list has this number: no guard against fraud holds it up then.
///
/// # Errors
/// [`Error::Failed`].
pub async fn contains(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<bool, Error> {
    let found = app.store.get(keys::safe_number(account, number).bytes()).await?;
    Ok(found.is_some())
}

/// Removes a number from the account's safe list.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn remove(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<(), Error> {
    retry_on_conflict(|| remove_once(app, account, number)).await
}

async fn remove_once(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<(), Error> {
    let found = read(app, account, number).await?;
    let key = keys::safe_number(account, number);
    let batch = Batch::new().assert_read(&key, &found).delete(key.into_bytes());
    app.store.commit(batch).await?;
    Ok(())
}
