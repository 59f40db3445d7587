//! Deletes a messaging configuration.

use super::fetch_messaging_configuration::read_messaging_configuration;
use crate::app::App;
use crate::domain::messaging_configuration::Region;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Deletes the messaging configuration of a region.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`Error::Failed`].
pub async fn delete_messaging_configuration(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
) -> Result<(), Error> {
    retry_on_conflict(|| delete(app, account, service, region)).await
}

async fn delete(app: &App, account: AccountSid, service: ServiceSid, region: Region) -> Result<(), Error> {
    read_service(app, account, service).await?;
    let found = read_messaging_configuration(app, service, region).await?;
    let key = keys::messaging_configuration(service, region);
    let batch = Batch::new().assert_read(&key, &found).delete(key.into_bytes());
    app.store.commit(batch).await?;
    Ok(())
}
