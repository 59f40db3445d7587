//! The safe list of an account: numbers that no guard against fraud holds up.

use crate::app::App;
use crate::domain::phone::PhoneNumber;
use crate::domain::safe_list::{Refusal, SafeNumber};
use crate::domain::sid::{AccountSid, SafeListSid};
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault, retry_on_conflict};
use crate::store::{Batch, keys};

/// Adds a number to the account's safe list.
///
/// # Errors
/// [`Refusal::Listed`], [`Error::Failed`].
pub async fn add(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<SafeNumber, Error<Refusal>> {
    retry_on_conflict(app, || add_once(app, account, number)).await
}

async fn add_once(
    app: &App,
    account: AccountSid,
    number: &PhoneNumber,
) -> Result<SafeNumber, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let key = keys::safe_number(account, number);
    if reading.contains(&key).await? {
        return Err(Refusal::Listed.into());
    }
    let now = app.clock.now();
    let safe = SafeNumber {
        sid: SafeListSid::generate(now, app.sids.as_ref()),
        number: number.clone(),
        date_created: now,
    };
    reading.commit(Batch::new().put_record(key, &safe)?).await?;
    Ok(safe)
}

/// What the account's safe list has of a number.
///
/// # Errors
/// [`Refusal::NotFound`] for a number that is not on it, [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: AccountSid,
    number: &PhoneNumber,
) -> Result<SafeNumber, Error<Refusal>> {
    let key = keys::safe_number(account, number);
    Ok(Reading::new(app).require(&key).await?)
}

/// Whether the account's safe list has this number: no guard against fraud holds it up then.
///
/// # Errors
/// [`Fault::Unavailable`].
pub async fn contains(
    reading: &mut Reading<'_>,
    account: AccountSid,
    number: &PhoneNumber,
) -> Result<bool, Fault> {
    let key = keys::safe_number(account, number);
    reading.glimpse(&key).await
}

/// Removes a number from the account's safe list.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn remove(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || remove_once(app, account, number)).await
}

async fn remove_once(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    let key = keys::safe_number(account, number);
    reading.require(&key).await?;
    Ok(reading.commit(Batch::new().delete(key.into_bytes())).await?)
}
