//! Webhooks: where a service's owner wants to hear of events.

use serde::{Deserialize, Serialize};
use url::Url;

use super::events::EventTypes;
use super::refusal::AreaRefusal;
use super::sid::WebhookSid;
use super::text::{FriendlyName, Invalid};
use super::time::Timestamp;
use super::web_url;

/// Where a service hears of what happens to its factors and challenges.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Webhook {
    pub sid: WebhookSid,
    /// A name for people.
    pub friendly_name: FriendlyName,
    pub event_types: EventTypes,
    /// Where they are sent.
    pub url: WebhookUrl,
    pub status: WebhookStatus,
    pub version: WebhookVersion,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

/// What a caller wants changed of a [`Webhook`], by the names of its fields; `None` leaves one as it is.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct WebhookChanges {
    pub friendly_name: Option<FriendlyName>,
    pub event_types: Option<EventTypes>,
    pub url: Option<WebhookUrl>,
    pub status: Option<WebhookStatus>,
    pub version: Option<WebhookVersion>,
}

/// The most webhooks of one service: they stand in the service's record.
pub const MAX_WEBHOOKS: usize = 50;

/// Whether events are sent to a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum WebhookStatus {
    #[default]
    Enabled,
    /// They are not, and none are written for it.
    Disabled,
}

/// In which form events are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookVersion {
    /// The first form.
    V1,
    /// The form with all fields.
    #[default]
    V2,
}

/// An absolute `http` or `https` URL without user information or fragment, at most 2048 characters long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Checks `text`, and keeps it as it was written, for whoever reads it back. Requests go to its normal form (WHATWG URL:
    /// the host in lower case, no default port, a path), and so do signatures: that is what a receiver sees.
    ///
    /// # Errors
    /// [`Invalid`] with what it must be.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const MOST: usize = 2048;
        const EXPECTED: Invalid = Invalid::Url { most: MOST };
        let fits = text.len() <= MOST && text.bytes().all(|b| b.is_ascii_graphic());
        if fits && web_url::read(text).is_some() {
            Ok(Self(text.to_owned()))
        } else {
            Err(EXPECTED)
        }
    }

    /// Where requests go; `None` only of a stored text that is no URL any more.
    #[must_use]
    pub fn to_url(&self) -> Option<Url> {
        web_url::read(&self.0)
    }

    /// As it was written; requests go to its normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why nothing became of what somebody wanted of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The webhook, or its service, does not exist, or not for whoever asks.
    #[error("there is no such webhook")]
    NotFound,
    /// The service has [`MAX_WEBHOOKS`].
    #[error("the service has {} webhooks already", MAX_WEBHOOKS)]
    TooMany,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhook_urls_are_absolute_and_bare() {
        for good in ["https://owlbank.example", "http://127.0.0.1:9000/hook?x=1"] {
            assert!(WebhookUrl::parse(good).is_ok(), "{good}");
        }
        let long = format!("https://x.example/{}", "a".repeat(2048));
        for bad in [
            "",
            "/hook",
            "ftp://x.example",
            "https://u:p@x.example",
            "https://x.example/#a",
            "https://",
            &long,
        ] {
            assert!(WebhookUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
