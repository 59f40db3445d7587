//! Lists a service's messaging configurations.

use crate::app::App;
use crate::domain::messaging_configuration::MessagingConfiguration;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::flows::Error;
use crate::flows::page::{Page, PageRequest, page_below};
use crate::flows::service::fetch_service::read_service;
use crate::store::{keys, records};

/// A page of the service's messaging configurations: the one for all countries first, then by their countries' letters.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn list_messaging_configurations(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    request: PageRequest,
) -> Result<Page<MessagingConfiguration>, Error> {
    read_service(app, account, service).await?;
    let prefix = keys::messaging_configurations(service);
    let mut raw = page_below(app, &prefix, request).await?;
    let entries = std::mem::take(&mut raw.items);
    let configurations = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok(raw.with_items(configurations))
}
