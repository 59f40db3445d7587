//! Webhooks: events as HTTP requests, signed.
//!
//! Each request carries two signatures of the same message. `X-Twilio-Signature` is the one that Twilio's helper
//! libraries check; it knows no time and rests on SHA-1. The three `webhook-` headers are those of the Standard Webhooks
//! specification.

mod body;
mod signature;

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, InvalidHeaderValue};
use url::Url;

use self::body::WebhookBody;
use super::DeliveryOutcome;
use super::http::{HttpAnswer, HttpClient, HttpError};
use crate::crypto::webhook_secret::WebhookSecret;
use crate::domain::circuit::FailureScope;
use crate::domain::events::{AccountNotice, Event, OutboxRow};
use crate::domain::fraud::BlockEvent;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{WebhookUrl, WebhookVersion};

/// An event on its way.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct WebhookMessage<'a> {
    /// The row that carries it. Its identifier tells the receiver which messages are the same one, sent again.
    pub row: &'a OutboxRow,
    pub news: News<'a>,
    /// Where it is sent.
    pub url: &'a WebhookUrl,
    pub version: WebhookVersion,
}

/// What a message tells.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// That codes are not sent somewhere.
    Blocked(&'a BlockEvent),
    /// What happened to a factor or a challenge.
    Event(&'a Event),
    /// What an account should hear of.
    Notice(&'a AccountNotice),
}

/// Sends `message`, signed with `secrets`: the oldest that still signs comes first, the current one last.
pub async fn send(
    client: &HttpClient,
    message: WebhookMessage<'_>,
    secrets: &[WebhookSecret],
    now: Timestamp,
) -> DeliveryOutcome {
    let Some(url) = message.url.to_url() else {
        return DeliveryOutcome::Refused {
            why: HttpError::Url.to_string(),
        };
    };
    let body = WebhookBody::of(message);
    let url = body.signed_url(url);
    let Ok(headers) = headers(message.row, &body, &url, secrets, now) else {
        return DeliveryOutcome::Refused {
            why: "the message has no form that HTTP can carry".to_owned(),
        };
    };
    match client.post(&url, headers, body.bytes).await {
        Ok(answer) => judge(&answer, now),
        // Nothing changes until somebody changes the settings, and then the message can be sent again.
        Err(error @ (HttpError::Blocked { .. } | HttpError::Url)) => DeliveryOutcome::Refused {
            why: error.to_string(),
        },
        Err(error) => DeliveryOutcome::Retry {
            why: error.to_string(),
            after: None,
            about: FailureScope::Sender,
        },
    }
}

fn headers(
    row: &OutboxRow,
    body: &WebhookBody,
    url: &Url,
    secrets: &[WebhookSecret],
    now: Timestamp,
) -> Result<HeaderMap, InvalidHeaderValue> {
    let uuid = body::uuid_of(row);
    let timestamp = now.seconds();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(body.content_type));
    headers.insert("i-twilio-idempotency-token", HeaderValue::from_str(&uuid)?);
    // That header has room for one signature. Receivers that check it change over when the old secret ends.
    if let Some(oldest) = secrets.first() {
        let signature = oldest.sign_sha1(&body.signed_text(url));
        headers.insert("x-twilio-signature", HeaderValue::from_str(&signature)?);
    }
    let signatures = signature::standard(secrets, &uuid, timestamp, &body.bytes);
    headers.insert("webhook-id", HeaderValue::from_str(&uuid)?);
    headers.insert("webhook-timestamp", HeaderValue::from(timestamp));
    headers.insert("webhook-signature", HeaderValue::from_str(&signatures)?);
    Ok(headers)
}

fn judge(answer: &HttpAnswer, now: Timestamp) -> DeliveryOutcome {
    let status = answer.status;
    if answer.is_success() {
        return DeliveryOutcome::Delivered;
    }
    let busy = matches!(status, 429 | 503);
    let after: Option<Duration> = answer.retry_after(now).filter(|_| busy);
    let why = match status {
        300..400 => format!(
            "the receiver answered {status}; redirects are not followed, so give the webhook the final URL"
        ),
        _ => format!("the receiver answered {status}"),
    };
    DeliveryOutcome::Retry {
        why,
        after,
        about: FailureScope::Sender,
    }
}
