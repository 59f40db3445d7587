//! Webhooks: where a service's owner wants to hear of events.

use crate::app::App;
use crate::domain::events::EventTypes;
use crate::domain::refusal::Refusal;
use crate::domain::service::{Service, Subscription};
use crate::domain::sid::{AccountSid, ServiceSid, WebhookSid};
use crate::domain::text::FriendlyName;
use crate::domain::webhook::{
    MAX_WEBHOOKS, Webhook, WebhookChanges, WebhookStatus, WebhookUrl, WebhookVersion,
};
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::{Error, retry_on_conflict, service};
use crate::store::records::{self, Stored};
use crate::store::{Batch, Order, Scan, keys};

/// What a caller wants of a new webhook.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// See [`Webhook::friendly_name`].
    pub friendly_name: FriendlyName,
    /// See [`Webhook::event_types`].
    pub event_types: EventTypes,
    /// See [`Webhook::url`].
    pub url: WebhookUrl,
    /// See [`Webhook::status`].
    pub status: WebhookStatus,
    /// See [`Webhook::version`].
    pub version: WebhookVersion,
}

/// Creates a webhook of a service.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Refusal::TooManyWebhooks`], [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewWebhook,
) -> Result<Webhook, Error> {
    retry_on_conflict(|| create_once(app, account, service, new.clone())).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewWebhook,
) -> Result<Webhook, Error> {
    let found = service::read(app, account, service).await?;
    let prefix = keys::webhooks(service).bytes().to_vec();
    let scan = Scan {
        prefix,
        after: None,
        order: Order::Ascending,
        limit: MAX_WEBHOOKS,
    };
    if app.store.scan(scan).await?.len() >= MAX_WEBHOOKS {
        return Err(Refusal::TooManyWebhooks.into());
    }
    let now = app.clock.now();
    let webhook = Webhook {
        sid: WebhookSid::generate(now, app.entropy.as_ref()),
        friendly_name: new.friendly_name,
        event_types: new.event_types,
        url: new.url,
        status: new.status,
        version: new.version,
        date_created: now,
        date_updated: now,
    };
    let batch = Batch::new().put_new_record(keys::webhook(service, webhook.sid), &webhook)?;
    app.store.commit(subscribe(&found, &webhook, batch)?).await?;
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
) -> Result<Webhook, Error> {
    service::read(app, account, service).await?;
    Ok(read(app, service, sid).await?.record)
}

/// The webhook with its version.
pub(super) async fn read(app: &App, service: ServiceSid, sid: WebhookSid) -> Result<Stored<Webhook>, Error> {
    let found = records::read(app.store.as_ref(), &keys::webhook(service, sid)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
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
) -> Result<Webhook, Error> {
    retry_on_conflict(|| update_once(app, account, service, sid, changes.clone())).await
}

async fn update_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
    changes: WebhookChanges,
) -> Result<Webhook, Error> {
    let owner = service::read(app, account, service).await?;
    let found = read(app, service, sid).await?;
    let before = found.record.clone();
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
    let key = keys::webhook(service, sid);
    let batch = Batch::new().assert_read(&key, &found).put_record(key, &webhook)?;
    app.store.commit(subscribe(&owner, &webhook, batch)?).await?;
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
) -> Result<(), Error> {
    retry_on_conflict(|| delete_once(app, account, service, sid)).await
}

async fn delete_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
) -> Result<(), Error> {
    let owner = service::read(app, account, service).await?;
    let found = read(app, service, sid).await?;
    let key = keys::webhook(service, sid);
    let batch = Batch::new().assert_read(&key, &found).delete(key.into_bytes());
    app.store.commit(unsubscribe(&owner, sid, batch)?).await?;
    Ok(())
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
) -> Result<Page<Webhook>, Error> {
    service::read(app, account, service).await?;
    let mut raw = page(app, &keys::webhooks(service), request).await?;
    let entries = std::mem::take(&mut raw.items);
    let webhooks = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok(raw.with_items(webhooks))
}

/// Writes into `batch` that the service's record has this webhook's wishes, and no older ones of it.
fn subscribe(service: &Stored<Service>, webhook: &Webhook, batch: Batch) -> Result<Batch, Error> {
    let enabled = webhook.status == WebhookStatus::Enabled;
    let wishes = enabled.then(|| Subscription {
        webhook: webhook.sid,
        events: webhook.event_types.clone(),
    });
    replace_wishes(service, webhook.sid, wishes, batch)
}

/// Writes into `batch` that the service's record has no wishes of this webhook any more.
fn unsubscribe(service: &Stored<Service>, webhook: WebhookSid, batch: Batch) -> Result<Batch, Error> {
    replace_wishes(service, webhook, None, batch)
}

fn replace_wishes(
    found: &Stored<Service>,
    webhook: WebhookSid,
    wishes: Option<Subscription>,
    batch: Batch,
) -> Result<Batch, Error> {
    let mut service = found.record.clone();
    service
        .subscriptions
        .retain(|subscription| subscription.webhook != webhook);
    service.subscriptions.extend(wishes);
    let key = keys::service(service.account, service.sid);
    Ok(batch.assert_read(&key, found).put_record(key, &service)?)
}
