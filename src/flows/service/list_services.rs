//! Lists an account's services.

use crate::app::App;
use crate::domain::service::Service;
use crate::domain::sid::AccountSid;
use crate::flows::Error;
use crate::flows::page::{Page, PageRequest, page};
use crate::store::{keys, records};

/// A page of the account's services, in the order of their creation.
///
/// # Errors
/// [`Error::Failed`].
pub async fn list_services(
    app: &App,
    account: AccountSid,
    request: PageRequest,
) -> Result<Page<Service>, Error> {
    let mut raw = page(app, &keys::services(account), request).await?;
    let entries = std::mem::take(&mut raw.items);
    let services = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok(raw.with_items(services))
}
