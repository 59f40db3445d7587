//! Changes a webhook.

use super::fetch_webhook::read_webhook;
use super::subscribe;
use crate::app::App;
use crate::domain::sid::{AccountSid, ServiceSid, WebhookSid};
use crate::domain::webhook::{Webhook, WebhookChanges};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Changes what `changes` names and leaves the rest.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`Error::Failed`].
pub async fn update_webhook(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
    changes: WebhookChanges,
) -> Result<Webhook, Error> {
    retry_on_conflict(|| update(app, account, service, sid, changes.clone())).await
}

async fn update(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
    changes: WebhookChanges,
) -> Result<Webhook, Error> {
    let owner = read_service(app, account, service).await?;
    let found = read_webhook(app, service, sid).await?;
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
