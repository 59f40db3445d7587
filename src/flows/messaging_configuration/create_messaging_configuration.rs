//! Creates a messaging configuration.

use crate::app::App;
use crate::domain::messaging_configuration::{MessagingConfiguration, Region};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, MessagingServiceSid, ServiceSid};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Lets a messaging service send a service's messages to a country, or wherever no other configuration holds.
///
/// # Errors
/// [`Refusal::MessagingConfigurationExists`], [`Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn create_messaging_configuration(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error> {
    retry_on_conflict(|| create(app, account, service, region, messaging_service)).await
}

async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error> {
    let owner = read_service(app, account, service).await?;
    let key = keys::messaging_configuration(service, region);
    if app.store.get(key.bytes()).await?.is_some() {
        return Err(Refusal::MessagingConfigurationExists.into());
    }
    let now = app.clock.now();
    let configuration = MessagingConfiguration {
        region,
        messaging_service,
        date_created: now,
        date_updated: now,
    };
    let batch = Batch::new()
        .assert_read(&keys::service(account, service), &owner)
        .assert_absent(key.bytes().to_vec())
        .put_record(key, &configuration)?;
    app.store.commit(batch).await?;
    Ok(configuration)
}
