//! Webhooks: where a service's owner wants to hear of events.

pub mod create_webhook;
pub mod delete_webhook;
pub mod fetch_webhook;
pub mod list_webhooks;
pub mod update_webhook;

use crate::domain::service::{Service, Subscription};
use crate::domain::sid::WebhookSid;
use crate::domain::webhook::{Webhook, WebhookStatus};
use crate::flows::Error;
use crate::store::records::Stored;
use crate::store::{Batch, keys};

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
