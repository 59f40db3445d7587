//! Events: announced in the batch of the state change that they tell of, and told to webhooks after it.

use async_trait::async_trait;

use crate::app::App;
use crate::crypto::webhook_secret::WebhookSecret;
use crate::delivery::DeliveryOutcome;
use crate::delivery::webhook::{self, News, WebhookMessage};
use crate::domain::circuit::FailureScope;
use crate::domain::events::{AccountNotice, Event, EventType, OutboxMessage, OutboxRow};
use crate::domain::factor::Factor;
use crate::domain::fraud::BlockEvent;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, EventSid, ServiceSid, WebhookSid};
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Webhook, WebhookStatus};
use crate::flows::outbox::{Parcel, put_new_row};
use crate::flows::reading::Reading;
use crate::flows::{Fault, SealedReads, webhook_secret};
use crate::memory::delivery_routes::DeliveryRoute;
use crate::store::{Batch, StoreError, keys};

/// Adds a row for each webhook that wants `event`, which is `factor`'s; none if nobody does.
///
/// The caller writes or deletes the factor in the same commit, as it is behind this, with its version asserted, if anything
/// was announced ([`Factor::last_event`] tells): that is what keeps the events of a factor in order.
pub(crate) fn announce(
    app: &App,
    service: &Service,
    event: &Event,
    factor: &mut Factor,
    mut batch: Batch,
) -> Result<Batch, StoreError> {
    for webhook in service.subscribers(event.event_type) {
        let message = OutboxMessage::Webhook {
            webhook,
            event: event.clone(),
        };
        let sid = factor.next_event(event.at, app.sids.as_ref());
        batch = put_new_row(batch, sid, message, event.at)?;
    }
    Ok(batch)
}

/// Adds a row for each webhook that wants to hear that something is blocked, or is not any more; none if nobody does.
///
/// Each subject is told of once, and again when its block is over: those are in order as long as the clocks of the processes
/// differ by less than a block lasts. What is blocked beside it has no order to keep.
pub(crate) fn announce_block(
    app: &App,
    service: &Service,
    event: &BlockEvent,
    mut batch: Batch,
) -> Result<Batch, StoreError> {
    for webhook in service.subscribers(event.event_type()) {
        let message = OutboxMessage::Blocked {
            webhook,
            event: event.clone(),
        };
        let sid = EventSid::generate(event.at, app.sids.as_ref());
        batch = put_new_row(batch, sid, message, event.at)?;
    }
    Ok(batch)
}

/// Adds a row for each webhook, of whichever service of the account, that wants to hear of this; none if nobody does. What it is
/// about is its `subject`.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub(crate) async fn announce_notice(
    app: &App,
    reading: &mut Reading<'_>,
    account: AccountSid,
    event_type: EventType,
    subject: Option<String>,
    mut batch: Batch,
) -> Result<Batch, Fault> {
    let now = app.clock.now();
    for (_, service) in reading
        .list_readable(&keys::services(account), MOST_SERVICES)
        .await?
    {
        for webhook in service.subscribers(event_type) {
            let notice = AccountNotice {
                event_type,
                at: now,
                account,
                service: service.sid,
                subject: subject.clone(),
            };
            let message = OutboxMessage::Notice { webhook, notice };
            let sid = EventSid::generate(now, app.sids.as_ref());
            batch = put_new_row(batch, sid, message, now)?;
        }
    }
    Ok(batch)
}

/// Tells an account of what no commit of its own tells. What keeps it from being told is logged.
pub(crate) async fn notify(app: &App, account: AccountSid, event_type: EventType, subject: Option<String>) {
    let told = async {
        let mut reading = Reading::new(app);
        let batch = announce_notice(app, &mut reading, account, event_type, subject, Batch::new()).await?;
        reading.commit_unaudited(batch).await
    };
    if let Err(error) = Box::pin(told).await {
        let name = event_type.name();
        tracing::warn!("webhooks of the account {account} are not told of {name}: {error}");
    }
}

/// Of how many services of an account webhooks hear of what concerns all of it.
const MOST_SERVICES: usize = 1000;

/// An event on its way to a webhook.
#[derive(Debug)]
pub struct EventParcel;

#[async_trait]
impl Parcel for EventParcel {
    async fn deliver(&mut self, app: &App, row: &OutboxRow) -> DeliveryOutcome {
        deliver_webhook(app, row).await
    }

    fn route(&self, _app: &App) -> DeliveryRoute {
        DeliveryRoute {
            what: "event",
            provider: "webhook",
            sender: None,
        }
    }
}

/// Sends the event of `row` to its webhook as it is configured now, signed with the account's webhook signing secrets.
///
/// A webhook that was deleted or disabled, or does not want such events any more, gets none. What belongs to a suspended
/// account waits: a suspension may be lifted, and until then nothing leaves in its name.
pub async fn deliver_webhook(app: &App, row: &OutboxRow) -> DeliveryOutcome {
    let (letter, news) = match &row.message {
        OutboxMessage::Blocked { webhook, event } => {
            let letter = WebhookLetter {
                webhook: *webhook,
                account: event.account,
                service: event.service,
                event_type: event.event_type(),
            };
            (letter, News::Blocked(event))
        }
        OutboxMessage::Notice { webhook, notice } => {
            let letter = WebhookLetter {
                webhook: *webhook,
                account: notice.account,
                service: notice.service,
                event_type: notice.event_type,
            };
            (letter, News::Notice(notice))
        }
        OutboxMessage::Webhook { webhook, event } => {
            let letter = WebhookLetter {
                webhook: *webhook,
                account: event.account,
                service: event.service,
                event_type: event.event_type,
            };
            (letter, News::Event(event))
        }
        OutboxMessage::Code(_) | OutboxMessage::Push { .. } => {
            return DeliveryOutcome::Refused {
                why: "it is no webhook's message".to_owned(),
            };
        }
    };
    let now = app.clock.now();
    let mut sealed = SealedReads::default();
    let prepared = loop {
        match prepare(app, letter, now).await {
            Err(fault) if sealed.is_to_be_read_again(&fault) => {}
            prepared => break prepared,
        }
    };
    let (webhook, secrets) = match prepared {
        Ok(Prepared::Go(webhook, secrets)) => (webhook, secrets),
        Ok(Prepared::Obsolete) => return DeliveryOutcome::Obsolete,
        Ok(Prepared::Suspended) => {
            return DeliveryOutcome::Retry {
                why: format!(
                    "the account {} is suspended; `countersign account resume` lets its webhooks go on",
                    letter.account
                ),
                after: None,
                about: FailureScope::Sender,
            };
        }
        Err(fault) => {
            return DeliveryOutcome::Retry {
                why: fault.to_string(),
                after: None,
                about: FailureScope::Sender,
            };
        }
    };
    let message = WebhookMessage {
        row,
        news,
        url: &webhook.url,
        version: webhook.version,
    };
    webhook::send(&app.senders.webhooks, message, &secrets, now).await
}

/// Who gets something, and what it is.
#[derive(Clone, Copy)]
struct WebhookLetter {
    webhook: WebhookSid,
    account: AccountSid,
    service: ServiceSid,
    event_type: EventType,
}

/// What is to be done with a row.
enum Prepared {
    /// Send it.
    Go(Webhook, Vec<WebhookSecret>),
    /// Nobody wants it any more.
    Obsolete,
    /// Wait for the end of the account's suspension.
    Suspended,
}

async fn prepare(app: &App, letter: WebhookLetter, now: Timestamp) -> Result<Prepared, Fault> {
    let account = keys::account(letter.account);
    let service = keys::service(letter.account, letter.service);
    let webhook = keys::webhook(letter.service, letter.webhook);
    let mut reading = Reading::new(app);
    reading
        .prefetch([account.bytes(), service.bytes(), webhook.bytes()])
        .await?;
    let account = reading.glance(&account).await?;
    let service = reading.glance(&service).await?;
    let webhook = reading.glance(&webhook).await?;
    let (Some(account), Some(_), Some(webhook)) = (account, service, webhook) else {
        return Ok(Prepared::Obsolete);
    };
    let wanted = webhook.status == WebhookStatus::Enabled && webhook.event_types.contain(letter.event_type);
    if !wanted {
        return Ok(Prepared::Obsolete);
    }
    if !account.is_active() {
        return Ok(Prepared::Suspended);
    }
    let secrets = webhook_secret::signing_secrets(app, &account, now)?;
    Ok(Prepared::Go(webhook, secrets))
}
