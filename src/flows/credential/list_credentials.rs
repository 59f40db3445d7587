//! Lists an account's credentials.

use crate::app::App;
use crate::domain::credential::Credential;
use crate::domain::sid::AccountSid;
use crate::flows::Error;
use crate::flows::page::{Page, PageRequest, page};
use crate::store::{keys, records};

/// A page of the account's credentials, in the order of their creation.
///
/// # Errors
/// [`Error::Failed`].
pub async fn list_credentials(
    app: &App,
    account: AccountSid,
    request: PageRequest,
) -> Result<Page<Credential>, Error> {
    let mut raw = page(app, &keys::credentials(account), request).await?;
    let entries = std::mem::take(&mut raw.items);
    let credentials = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok(raw.with_items(credentials))
}
