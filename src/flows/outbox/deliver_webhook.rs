//! Tells a webhook of an event.

use std::time::Duration;

use crate::app::App;
use crate::delivery::Outcome;
use crate::delivery::plain_post::post_json;
use crate::domain::events::{OutboxMessage, OutboxRow};
use crate::flows::Error;
use crate::store::{keys, records};

/// Sends the event of `row` to its webhook as it is configured now, signed with the account's webhook signing secret.
pub async fn deliver_webhook(app: &App, row: &OutboxRow) -> Outcome {
    let OutboxMessage::Webhook { webhook, event } = &row.message else {
        return Outcome::Obsolete;
    };
    let read = async || -> Result<_, Error> {
        let service = keys::service(event.account, event.service);
        if records::read(app.store.as_ref(), &service).await?.is_none() {
            return Ok(None);
        }
        let key = keys::webhook(event.service, *webhook);
        Ok(records::read(app.store.as_ref(), &key).await?)
    };
    let retry = |why: String| Outcome::Retry { why, after: None };
    let found = match read().await {
        Ok(Some(found)) => found.record,
        Ok(None) => return Outcome::Obsolete,
        Err(error) => return retry(error.to_string()),
    };
    let body = serde_json::json!({
        "uuid": row.sid.to_string(),
        "type": event.event_type.name(),
        "account_sid": event.account.to_string(),
        "service_sid": event.service.to_string(),
        "entity_identity": event.identity.to_string(),
        "factor_sid": event.factor.to_string(),
        "challenge_sid": event.challenge.map(|sid| sid.to_string()),
    });
    match post_json(found.url.as_str(), body.to_string(), PATIENCE).await {
        Ok(200..=299) => Outcome::Delivered,
        Ok(status) => retry(format!("status {status}")),
        Err(why) => retry(why),
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
