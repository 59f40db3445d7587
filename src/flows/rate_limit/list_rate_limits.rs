//! Lists a service's rate limits.

use crate::app::App;
use crate::domain::rate_limit::RateLimit;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::flows::Error;
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::service::fetch_service::read_service;
use crate::store::{keys, records};

/// A page of the service's rate limits, in the order of their creation.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn list_rate_limits(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    request: PageRequest,
) -> Result<Page<RateLimit>, Error> {
    read_service(app, account, service).await?;
    let mut raw = page(app, &keys::rate_limits(service), request).await?;
    let entries = std::mem::take(&mut raw.items);
    let limits = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok(raw.with_items(limits))
}
