//! Messaging configurations: which messaging service sends a service's text messages to a country.

use crate::app::App;
use crate::domain::messaging_configuration::{MessagingConfiguration, Region};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, MessagingServiceSid, ServiceSid};
use crate::flows::page::{Page, PageRequest, page_below};
use crate::flows::{Error, retry_on_conflict, service};
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// Lets a messaging service send a service's messages to a country, or wherever no other configuration holds.
///
/// # Errors
/// [`Refusal::MessagingConfigurationExists`], [`Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error> {
    retry_on_conflict(|| create_once(app, account, service, region, messaging_service)).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error> {
    let owner = service::read(app, account, service).await?;
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

/// The configuration of exactly this region, if the service is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
) -> Result<MessagingConfiguration, Error> {
    service::read(app, account, service).await?;
    Ok(read(app, service, region).await?.record)
}

/// The configuration with its version.
pub(super) async fn read(
    app: &App,
    service: ServiceSid,
    region: Region,
) -> Result<Stored<MessagingConfiguration>, Error> {
    let key = keys::messaging_configuration(service, region);
    let found = records::read(app.store.as_ref(), &key).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}

/// Lets another messaging service send to this region.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn update(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error> {
    retry_on_conflict(|| update_once(app, account, service, region, messaging_service)).await
}

async fn update_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error> {
    service::read(app, account, service).await?;
    let found = read(app, service, region).await?;
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

/// Deletes the messaging configuration of a region.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn delete(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
) -> Result<(), Error> {
    retry_on_conflict(|| delete_once(app, account, service, region)).await
}

async fn delete_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
) -> Result<(), Error> {
    service::read(app, account, service).await?;
    let found = read(app, service, region).await?;
    let key = keys::messaging_configuration(service, region);
    let batch = Batch::new().assert_read(&key, &found).delete(key.into_bytes());
    app.store.commit(batch).await?;
    Ok(())
}

/// A page of the service's messaging configurations: the one for all countries first, then by their countries' letters.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn list(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    request: PageRequest,
) -> Result<Page<MessagingConfiguration>, Error> {
    service::read(app, account, service).await?;
    let prefix = keys::messaging_configurations(service);
    let mut raw = page_below(app, &prefix, request).await?;
    let entries = std::mem::take(&mut raw.items);
    let configurations = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok(raw.with_items(configurations))
}
