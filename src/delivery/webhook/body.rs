//! What a webhook is told: a form (v1) or JSON (v2).

use std::fmt::Write as _;

use serde::Serialize;
use url::Url;

use super::{Message, signature};
use crate::domain::events::OutboxRow;
use crate::domain::factor::FactorType;
use crate::domain::webhook::WebhookVersion;

/// The body of a request.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) content_type: &'static str,
    /// The parameters of a form; none for JSON.
    parameters: Option<Vec<(&'static str, String)>>,
}

impl Body {
    pub(super) fn of(message: Message<'_>) -> Self {
        let fields = Fields::of(message);
        match message.version {
            WebhookVersion::V1 => fields.into_form(),
            WebhookVersion::V2 => fields.into_json(),
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

/// All that is told, in the order of the JSON.
#[derive(Serialize)]
struct Fields {
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
    date_created: String,
}

impl Fields {
    fn of(message: Message<'_>) -> Self {
        let event = message.event;
        Self {
            uuid: uuid_of(message.row),
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
            date_created: event.at.to_string(),
        }
    }

    fn into_form(self) -> Body {
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
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&parameters)
            .finish();
        Body {
            bytes: form.into_bytes(),
            content_type: "application/x-www-form-urlencoded",
            parameters: Some(parameters),
        }
    }

    fn into_json(self) -> Body {
        Body {
            bytes: serde_json::json!(self).to_string().into_bytes(),
            content_type: "application/json",
            parameters: None,
        }
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
