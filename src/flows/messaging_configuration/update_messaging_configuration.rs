//! Changes a messaging configuration.

use super::fetch_messaging_configuration::read_messaging_configuration;
use crate::app::App;
use crate::domain::messaging_configuration::{MessagingConfiguration, Region};
use crate::domain::sid::{AccountSid, MessagingServiceSid, ServiceSid};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Lets another messaging service send to this region.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`Error::Failed`].
pub async fn update_messaging_configuration(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error> {
    retry_on_conflict(|| update(app, account, service, region, messaging_service)).await
}

async fn update(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error> {
    read_service(app, account, service).await?;
    let found = read_messaging_configuration(app, service, region).await?;
    let configuration = MessagingConfiguration {
        messaging_service,
        date_updated: app.clock.now(),
        ..found.record.clone()
    };
    let key = keys::messaging_configuration(service, region);
    let batch = Batch::new()
        .assert_read(&key, &found)
        .put_record(key, &configuration)?;
    app.store.commit(batch).await?;
    Ok(configuration)
}
