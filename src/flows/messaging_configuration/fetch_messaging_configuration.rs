//! Fetches a messaging configuration.

use crate::app::App;
use crate::domain::messaging_configuration::{MessagingConfiguration, Region};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::flows::Error;
use crate::flows::service::fetch_service::read_service;
use crate::store::keys;
use crate::store::records::{self, Stored};

/// The configuration of exactly this region, if the service is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch_messaging_configuration(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
) -> Result<MessagingConfiguration, Error> {
    read_service(app, account, service).await?;
    Ok(read_messaging_configuration(app, service, region).await?.record)
}

/// The configuration with its version.
pub(super) async fn read_messaging_configuration(
    app: &App,
    service: ServiceSid,
    region: Region,
) -> Result<Stored<MessagingConfiguration>, Error> {
    let key = keys::messaging_configuration(service, region);
    let found = records::read(app.store.as_ref(), &key).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}
