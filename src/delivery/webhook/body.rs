//! What a webhook is told: a form (v1) or JSON (v2).

use std::fmt::Write as _;

use serde::Serialize;
use url::Url;

use super::{News, WebhookMessage, signature};
use crate::domain::events::{AccountNotice, Event, OutboxRow};
use crate::domain::factor::FactorType;
use crate::domain::fraud::BlockEvent;
use crate::domain::webhook::WebhookVersion;

pub(super) struct WebhookBody {
    pub(super) bytes: Vec<u8>,
    pub(super) content_type: &'static str,
    /// The parameters of a form; none for JSON.
    parameters: Option<Vec<(&'static str, String)>>,
}

impl WebhookBody {
    pub(super) fn of(message: WebhookMessage<'_>) -> Self {
        let uuid = uuid_of(message.row);
        match (message.news, message.version) {
            (News::Blocked(event), WebhookVersion::V1) => {
                Self::form(BlockFields::of(uuid, event).parameters())
            }
            (News::Blocked(event), WebhookVersion::V2) => Self::json(&BlockFields::of(uuid, event)),
            (News::Notice(notice), WebhookVersion::V1) => {
                Self::form(NoticeFields::of(uuid, notice).parameters())
            }
            (News::Notice(notice), WebhookVersion::V2) => Self::json(&NoticeFields::of(uuid, notice)),
            (News::Event(event), WebhookVersion::V1) => Self::form(EventFields::of(uuid, event).parameters()),
            (News::Event(event), WebhookVersion::V2) => Self::json(&EventFields::of(uuid, event)),
        }
    }

    fn form(parameters: Vec<(&'static str, String)>) -> Self {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&parameters)
            .finish();
        Self {
            bytes: form.into_bytes(),
            content_type: "application/x-www-form-urlencoded",
            parameters: Some(parameters),
        }
    }

    fn json(fields: &impl Serialize) -> Self {
        Self {
            bytes: serde_json::json!(fields).to_string().into_bytes(),
            content_type: "application/json",
            parameters: None,
        }
    }

    /// The URL that is sent to: with JSON, its query ends in the body's hash, which is how Twilio's signature, made for
    /// forms, covers other bodies.
    pub(super) fn signed_url(&self, mut url: Url) -> Url {
        // Some validators lose a question mark with nothing behind it, so it is not sent.
        let query = url.query().unwrap_or_default().to_owned();
        // Appended by hand: what is there already must stay as it is, letter by letter.
        let hash = self
            .parameters
            .is_none()
            .then(|| signature::sha256_hex(&self.bytes));
        let query = match (query.as_str(), hash) {
            ("", None) => None,
            (query, None) => Some(query.to_owned()),
            ("", Some(hash)) => Some(format!("bodySHA256={hash}")),
            (query, Some(hash)) => Some(format!("{query}&bodySHA256={hash}")),
        };
        url.set_query(query.as_deref());
        url
    }

    /// What Twilio's signature is over: the URL, and each parameter's name and value behind it, in the names' order.
    pub(super) fn signed_text(&self, url: &Url) -> String {
        let mut text = url.as_str().to_owned();
        let mut parameters: Vec<_> = self.parameters.iter().flatten().collect();
        parameters.sort_unstable();
        for (name, value) in parameters {
            text.push_str(name);
            text.push_str(value);
        }
        text
    }
}

/// All that is told of a factor, in the order of the JSON.
#[derive(Serialize)]
struct EventFields {
    uuid: String,
    #[serde(rename = "type")]
    event_type: &'static str,
    account_sid: String,
    service_sid: String,
    entity_sid: String,
    entity_identity: String,
    factor_sid: String,
    factor_type: &'static str,
    challenge_sid: Option<String>,
    /// What closes the factor, or did; only in the events that tell of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_reason: Option<&'static str>,
    /// When it is open again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_until: Option<String>,
    date_created: String,
}

impl EventFields {
    fn of(uuid: String, event: &Event) -> Self {
        Self {
            uuid,
            event_type: event.event_type.name(),
            account_sid: event.account.to_string(),
            service_sid: event.service.to_string(),
            entity_sid: event.entity.to_string(),
            entity_identity: event.identity.to_string(),
            factor_sid: event.factor.to_string(),
            factor_type: match event.factor_type {
                FactorType::Push => "push",
                FactorType::Totp => "totp",
            },
            challenge_sid: event.challenge.map(|sid| sid.to_string()),
            lock_reason: event.lock.map(|lock| lock.reason.name()),
            locked_until: event
                .lock
                .and_then(|lock| lock.until)
                .map(|until| until.to_string()),
            date_created: event.at.to_string(),
        }
    }

    fn parameters(self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![
            ("uuid", self.uuid),
            ("type", self.event_type.to_owned()),
            ("account_sid", self.account_sid),
            ("service_sid", self.service_sid),
            ("entity_identity", self.entity_identity),
            ("factor_sid", self.factor_sid),
            ("factor_type", self.factor_type.to_owned()),
        ];
        parameters.extend(self.challenge_sid.map(|sid| ("challenge_sid", sid)));
        parameters.extend(self.lock_reason.map(|reason| ("lock_reason", reason.to_owned())));
        parameters.extend(self.locked_until.map(|until| ("locked_until", until)));
        parameters
    }
}

/// All that is told of a block, in the order of the JSON.
#[derive(Serialize)]
struct BlockFields {
    uuid: String,
    #[serde(rename = "type")]
    event_type: &'static str,
    account_sid: String,
    service_sid: String,
    reason: &'static str,
    /// With most of a number hidden.
    subject: String,
    country: Option<String>,
    /// Until when nothing is sent; absent if no waiting changes it.
    blocked_until: Option<String>,
    date_created: String,
}

impl BlockFields {
    fn of(uuid: String, event: &BlockEvent) -> Self {
        Self {
            uuid,
            event_type: event.event_type().name(),
            account_sid: event.account.to_string(),
            service_sid: event.service.to_string(),
            reason: event.reason.name(),
            subject: event.subject.clone(),
            country: event.country.map(|country| country.to_string()),
            blocked_until: event.until.map(|until| until.to_string()),
            date_created: event.at.to_string(),
        }
    }

    fn parameters(self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![
            ("uuid", self.uuid),
            ("type", self.event_type.to_owned()),
            ("account_sid", self.account_sid),
            ("service_sid", self.service_sid),
            ("reason", self.reason.to_owned()),
            ("subject", self.subject),
        ];
        parameters.extend(self.country.map(|country| ("country", country)));
        parameters.extend(self.blocked_until.map(|until| ("blocked_until", until)));
        parameters
    }
}

/// All that is told of what an account should hear of, in the order of the JSON.
#[derive(Serialize)]
struct NoticeFields {
    uuid: String,
    #[serde(rename = "type")]
    event_type: &'static str,
    account_sid: String,
    service_sid: String,
    subject: Option<String>,
    date_created: String,
}

impl NoticeFields {
    fn of(uuid: String, notice: &AccountNotice) -> Self {
        Self {
            uuid,
            event_type: notice.event_type.name(),
            account_sid: notice.account.to_string(),
            service_sid: notice.service.to_string(),
            subject: notice.subject.clone(),
            date_created: notice.at.to_string(),
        }
    }

    fn parameters(self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![
            ("uuid", self.uuid),
            ("type", self.event_type.to_owned()),
            ("account_sid", self.account_sid),
            ("service_sid", self.service_sid),
        ];
        parameters.extend(self.subject.map(|subject| ("subject", subject)));
        parameters
    }
}

/// The row's identifier in the form of a UUID: the digits of its SID, and hyphens.
pub(super) fn uuid_of(row: &OutboxRow) -> String {
    let mut uuid = String::with_capacity(36);
    for (index, byte) in row.sid.as_bytes().iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            uuid.push('-');
        }
        // Writing to a text does not fail.
        let _ = write!(uuid, "{byte:02x}");
    }
    uuid
}
