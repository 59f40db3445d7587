//! Webhooks: where a service's owner wants to hear of events.

use crate::app::App;
use crate::domain::events::EventTypes;
use crate::domain::service::{Service, Subscription};
use crate::domain::sid::{AccountSid, ServiceSid, WebhookSid};
use crate::domain::text::FriendlyName;
use crate::domain::webhook::{
    MAX_WEBHOOKS, Refusal, Webhook, WebhookChanges, WebhookStatus, WebhookUrl, WebhookVersion,
};
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::reading::{NotRead, Reading};
use crate::flows::{Error, retry_on_conflict, service};
use crate::store::{Batch, StoreError, keys};

/// What a caller wants of a new [`Webhook`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct NewWebhook {
    pub friendly_name: FriendlyName,
    pub event_types: EventTypes,
    pub url: WebhookUrl,
    pub status: WebhookStatus,
    pub version: WebhookVersion,
}

/// Creates a webhook of a service.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Refusal::TooMany`], [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewWebhook,
) -> Result<Webhook, Error<Refusal>> {
    retry_on_conflict(app, || create_once(app, account, service, new.clone())).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewWebhook,
) -> Result<Webhook, Error<Refusal>> {
    let mut reading = Reading::new(app);
    // Whoever else creates one writes the service, too: nobody gets past the limit unseen.
    let owner = reading.require(&keys::service(account, service)).await?;
    let others = reading.list(&keys::webhooks(service), MAX_WEBHOOKS).await?;
    if others.len() >= MAX_WEBHOOKS {
        return Err(Refusal::TooMany.into());
    }
    let now = app.clock.now();
    let webhook = Webhook {
        sid: WebhookSid::generate(now, app.sids.as_ref()),
        friendly_name: new.friendly_name,
        event_types: new.event_types,
        url: new.url,
        status: new.status,
        version: new.version,
        date_created: now,
        date_updated: now,
    };
    let batch = Batch::new().put_new_record(keys::webhook(service, webhook.sid), &webhook)?;
    reading.commit(subscribe(owner, &webhook, batch)?).await?;
    Ok(webhook)
}

/// The webhook, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
) -> Result<Webhook, Error<Refusal>> {
    let (_, webhook) = find(&mut Reading::new(app), account, service, sid).await?;
    Ok(webhook)
}

/// Changes what `changes` names and leaves the rest.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn update(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
    changes: WebhookChanges,
) -> Result<Webhook, Error<Refusal>> {
    retry_on_conflict(app, || update_once(app, account, service, sid, changes.clone())).await
}

async fn update_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
    changes: WebhookChanges,
) -> Result<Webhook, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let (owner, before) = find(&mut reading, account, service, sid).await?;
    let webhook = Webhook {
        sid,
        friendly_name: changes.friendly_name.unwrap_or(before.friendly_name),
        event_types: changes.event_types.unwrap_or(before.event_types),
        url: changes.url.unwrap_or(before.url),
        status: changes.status.unwrap_or(before.status),
        version: changes.version.unwrap_or(before.version),
        date_created: before.date_created,
        date_updated: app.clock.now(),
    };
    let batch = Batch::new().put_record(keys::webhook(service, sid), &webhook)?;
    reading.commit(subscribe(owner, &webhook, batch)?).await?;
    Ok(webhook)
}

/// Deletes a webhook.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn delete(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || delete_once(app, account, service, sid)).await
}

async fn delete_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    let (owner, _) = find(&mut reading, account, service, sid).await?;
    let batch = Batch::new().delete(keys::webhook(service, sid).into_bytes());
    Ok(reading.commit(replace_wishes(owner, sid, None, batch)?).await?)
}

/// A page of the service's webhooks, in the order of their creation.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn list(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    request: PageRequest,
) -> Result<Page<Webhook>, Error<Refusal>> {
    Reading::new(app)
        .require(&keys::service(account, service))
        .await?;
    let raw = page(app, &keys::webhooks(service), request).await?;
    Ok(raw.decoded(app)?)
}

/// The webhook, and the service that it belongs to.
async fn find(
    reading: &mut Reading<'_>,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
) -> Result<(Service, Webhook), NotRead> {
    let key = keys::webhook(service, sid);
    let (owner, found) = service::read_with(reading, account, service, &key).await?;
    Ok((owner, found.ok_or(NotRead::Absent)?))
}

/// Writes into `batch` that the service's record has this webhook's wishes, and no older ones of it.
fn subscribe(service: Service, webhook: &Webhook, batch: Batch) -> Result<Batch, StoreError> {
    let enabled = webhook.status == WebhookStatus::Enabled;
    let wishes = enabled.then(|| Subscription {
        webhook: webhook.sid,
        events: webhook.event_types.clone(),
    });
    replace_wishes(service, webhook.sid, wishes, batch)
}

/// Writes into `batch` that `wishes` are all that this webhook wants of the service's events.
fn replace_wishes(
    mut service: Service,
    webhook: WebhookSid,
    wishes: Option<Subscription>,
    batch: Batch,
) -> Result<Batch, StoreError> {
    service
        .subscriptions
        .retain(|subscription| subscription.webhook != webhook);
    service.subscriptions.extend(wishes);
    batch.put_record(keys::service(service.account, service.sid), &service)
}
