//! Creates a webhook.

use super::subscribe;
use crate::app::App;
use crate::domain::events::EventTypes;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ServiceSid, WebhookSid};
use crate::domain::text::FriendlyName;
use crate::domain::webhook::{MAX_WEBHOOKS, Webhook, WebhookStatus, WebhookUrl, WebhookVersion};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
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
pub async fn create_webhook(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewWebhook,
) -> Result<Webhook, Error> {
    retry_on_conflict(|| create(app, account, service, new.clone())).await
}

async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewWebhook,
) -> Result<Webhook, Error> {
    let found = read_service(app, account, service).await?;
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
