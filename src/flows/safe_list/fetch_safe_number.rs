//! Fetches a number of the safe list.

use crate::app::App;
use crate::domain::phone::PhoneNumber;
use crate::domain::refusal::Refusal;
use crate::domain::safe_list::SafeNumber;
use crate::domain::sid::AccountSid;
use crate::flows::Error;
use crate::store::keys;
use crate::store::records::{self, Stored};

/// What the account's safe list has of a number.
///
/// # Errors
/// [`Refusal::NotFound`] for a number that is not on it, [`Error::Failed`].
pub async fn fetch_safe_number(
    app: &App,
    account: AccountSid,
    number: &PhoneNumber,
) -> Result<SafeNumber, Error> {
    Ok(read_safe_number(app, account, number).await?.record)
}

/// The same with its version.
pub(super) async fn read_safe_number(
    app: &App,
    account: AccountSid,
    number: &PhoneNumber,
) -> Result<Stored<SafeNumber>, Error> {
    let found = records::read(app.store.as_ref(), &keys::safe_number(account, number)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}
