//! Messaging configurations: which messaging service sends a service's text messages to a country.

use crate::app::App;
use crate::domain::messaging_configuration::{MessagingConfiguration, Refusal, Region};
use crate::domain::sid::{AccountSid, MessagingServiceSid, ServiceSid};
use crate::flows::page::{Page, PageRequest, page_below};
use crate::flows::reading::{NotRead, Reading};
use crate::flows::{Error, retry_on_conflict, service};
use crate::store::{Batch, keys};

/// Lets a messaging service send a service's messages to a country, or wherever no other configuration holds.
///
/// # Errors
/// [`Refusal::Exists`], [`Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error<Refusal>> {
    retry_on_conflict(app, || {
        create_once(app, account, service, region, messaging_service)
    })
    .await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let key = keys::messaging_configuration(service, region);
    let (_, other) = service::read_with(&mut reading, account, service, &key).await?;
    if other.is_some() {
        return Err(Refusal::Exists.into());
    }
    let now = app.clock.now();
    let configuration = MessagingConfiguration {
        region,
        messaging_service,
        date_created: now,
        date_updated: now,
    };
    let batch = Batch::new().put_record(key, &configuration)?;
    reading.commit(batch).await?;
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
) -> Result<MessagingConfiguration, Error<Refusal>> {
    Ok(find(&mut Reading::new(app), account, service, region).await?)
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
) -> Result<MessagingConfiguration, Error<Refusal>> {
    retry_on_conflict(app, || {
        update_once(app, account, service, region, messaging_service)
    })
    .await
}

async fn update_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
    messaging_service: MessagingServiceSid,
) -> Result<MessagingConfiguration, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let configuration = MessagingConfiguration {
        messaging_service,
        date_updated: app.clock.now(),
        ..find(&mut reading, account, service, region).await?
    };
    let key = keys::messaging_configuration(service, region);
    let batch = Batch::new().put_record(key, &configuration)?;
    reading.commit(batch).await?;
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
) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || delete_once(app, account, service, region)).await
}

async fn delete_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    find(&mut reading, account, service, region).await?;
    let key = keys::messaging_configuration(service, region);
    Ok(reading.commit(Batch::new().delete(key.into_bytes())).await?)
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
) -> Result<Page<MessagingConfiguration>, Error<Refusal>> {
    Reading::new(app)
        .require(&keys::service(account, service))
        .await?;
    let raw = page_below(app, &keys::messaging_configurations(service), request).await?;
    Ok(raw.decoded(app)?)
}

/// The configuration of exactly this region, of one of the account's services.
async fn find(
    reading: &mut Reading<'_>,
    account: AccountSid,
    service: ServiceSid,
    region: Region,
) -> Result<MessagingConfiguration, NotRead> {
    let key = keys::messaging_configuration(service, region);
    let (_, found) = service::read_with(reading, account, service, &key).await?;
    found.ok_or(NotRead::Absent)
}
