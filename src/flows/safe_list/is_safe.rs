//! Tells whether a number is on the safe list.

use crate::app::App;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::AccountSid;
use crate::flows::Error;
use crate::store::keys;

/// Whether the account's safe list has this number: no guard against fraud holds it up then.
///
/// # Errors
/// [`Error::Failed`].
pub async fn is_safe(app: &App, account: AccountSid, number: &PhoneNumber) -> Result<bool, Error> {
    let found = app.store.get(keys::safe_number(account, number).bytes()).await?;
    Ok(found.is_some())
}
