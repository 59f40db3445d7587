//! Push providers: each wakes the devices that it knows.

pub mod apns;
pub mod fcm;
mod kept;
pub mod web_push;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use url::Url;

use self::apns::{Apns, Environments};
use self::fcm::Fcm;
use self::web_push::WebPush;
use super::DeliveryOutcome;
use super::http::{
    AddressGuard, BodyEnd, Causes, HttpAnswer, HttpClient, HttpError, HttpPolicy, SystemNames,
};
use crate::domain::circuit::FailureScope;
use crate::domain::sid::{ChallengeSid, EventSid, FactorSid};
use crate::domain::text::may_be_shown;
use crate::domain::time::Timestamp;

/// One way to wake devices.
///
/// To add one: a folder beside this file with a type that implements this, a field of [`PushProviders`], a variant of
/// `NotificationChannel`, and its arm in `flows::push`.
#[async_trait]
pub trait PushProvider {
    /// What a device is known by.
    type Device: Sync;
    /// What this server is let in by.
    type Access<'a>: Sync;

    /// Tells the device once that a challenge waits. It ends by itself, within 10 seconds.
    async fn send(
        &self,
        access: &Self::Access<'_>,
        device: &Self::Device,
        message: &PushMessage<'_>,
        now: Timestamp,
    ) -> PushOutcome;
}

/// A notification to the device of `factor` that `challenge` waits.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct PushMessage<'a> {
    /// Which notification it is; the same for every try.
    pub id: EventSid,
    pub challenge: ChallengeSid,
    pub factor: FactorSid,
    /// What the user is asked; empty if there is no question.
    pub text: &'a str,
    /// From when on the notification is of no use.
    pub expires_at: Timestamp,
}

/// What came of one notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// What came of the try.
    Settled(DeliveryOutcome),
    /// The provider does not know the device (any more): nothing will ever reach it this way.
    Unregistered {
        /// The provider's word for it; names no secret.
        why: String,
    },
}

/// One for each push provider, shared by all accounts.
#[derive(Debug)]
pub struct PushProviders {
    /// Sends to Apple.
    pub apns: Apns,
    /// Sends to Google.
    pub fcm: Fcm,
    /// Sends to the push services of browsers and of UnifiedPush distributors.
    pub web_push: WebPush,
}

/// Where providers are, as far as the operator said so.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Apple's production environment; `https://api.push.apple.com` by default.
    pub apns: Option<Url>,
    /// Apple's development environment; `https://api.sandbox.push.apple.com` by default.
    pub apns_sandbox: Option<Url>,
    /// Google's API; `https://fcm.googleapis.com` by default.
    pub fcm: Option<Url>,
    /// Where Google's access tokens are asked for; [`fcm::GOOGLE_TOKENS`] by default.
    pub fcm_tokens: Option<Url>,
    /// How long one notification may take; 10 seconds by default.
    pub timeout: Option<Duration>,
}

/// What follows from an answer.
enum Judgement {
    /// It is worth another try at once, with another token or a shorter message.
    Again,
    Final(PushOutcome),
}

impl PushOutcome {
    fn delivered() -> Self {
        Self::Settled(DeliveryOutcome::Delivered)
    }

    /// The provider fails, cannot be reached, or does not let this server in.
    fn retry(why: impl Into<String>, after: Option<Duration>) -> Self {
        Self::failed(FailureScope::Sender, why, after)
    }

    /// The provider has answered with `status` about one device; 0 is that it did not answer in time.
    fn retry_device(status: u16, why: impl Into<String>, after: Option<Duration>) -> Self {
        let status = status.into();
        Self::failed(FailureScope::Recipient { status }, why, after)
    }

    fn failed(about: FailureScope, why: impl Into<String>, after: Option<Duration>) -> Self {
        let why = why.into();
        Self::Settled(DeliveryOutcome::Retry { why, after, about })
    }

    fn refused(why: impl Into<String>) -> Self {
        Self::Settled(DeliveryOutcome::Refused { why: why.into() })
    }

    fn unregistered(why: impl Into<String>) -> Self {
        Self::Unregistered { why: why.into() }
    }
}

impl PushOutcome {
    /// The same, said of the device alone: what failed is nothing that others are pushed with.
    #[must_use]
    pub fn of_one_device(self) -> Self {
        match self {
            Self::Settled(DeliveryOutcome::Retry { why, after, .. }) => {
                Self::Settled(DeliveryOutcome::Retry {
                    why,
                    after,
                    about: FailureScope::Recipient { status: 0 },
                })
            }
            other => other,
        }
    }
}

impl PushProviders {
    /// The providers at these addresses; `push_services` reaches those that devices name.
    #[must_use]
    pub fn new(addresses: Addresses, push_services: HttpClient) -> Self {
        let policy = HttpPolicy::push_providers();
        let or = |given: Option<Url>, default: &str| given.unwrap_or_else(|| fixed(default));
        let apns = Environments {
            production: or(addresses.apns, "https://api.push.apple.com"),
            sandbox: or(addresses.apns_sandbox, "https://api.sandbox.push.apple.com"),
        };
        let fcm = or(addresses.fcm, "https://fcm.googleapis.com");
        let timeout = addresses.timeout.unwrap_or(TIMEOUT);
        Self {
            apns: Apns::new(policy.clone(), apns, timeout),
            fcm: Fcm::new(HttpClient::new(policy), fcm, addresses.fcm_tokens, timeout),
            web_push: WebPush::new(push_services),
        }
    }
}

impl Default for PushProviders {
    fn default() -> Self {
        let names = Arc::new(SystemNames::default());
        let policy = HttpPolicy::push_services(AddressGuard::default(), names);
        Self::new(Addresses::default(), HttpClient::new(policy))
    }
}

fn fixed(url: &str) -> Url {
    Url::parse(url).expect("it is a URL")
}

/// Posts to Apple or Google and reads the whole answer.
///
/// # Errors
/// What went wrong, without the URL: it may hold a device's token.
async fn post(
    client: &HttpClient,
    url: &Url,
    headers: HeaderMap,
    body: Vec<u8>,
) -> Result<HttpAnswer, String> {
    let answer = client
        .post(url, headers, body)
        .await
        .map_err(|error| reason(&error))?;
    match &answer.ending {
        BodyEnd::Broken(causes) => Err(word(&causes.to_string(), MOST_CHARACTERS)),
        BodyEnd::Cut | BodyEnd::Whole => Ok(answer),
    }
}

/// The whole chain of causes on one line.
fn reason(error: &HttpError) -> String {
    let text = error
        .causes()
        .map_or_else(|| error.to_string(), Causes::to_string);
    word(&text, MOST_CHARACTERS)
}

/// A provider's words as they may stand in a log: on one line, and no longer than `most` characters.
fn word(text: &str, most: usize) -> String {
    text.chars()
        .filter(|letter| may_be_shown(*letter))
        .take(most)
        .collect()
}

/// What every app looks for in a notification, as the SDKs' samples read it.
const TYPE: &str = "verify_push_challenge";

/// How long one notification may take, everything included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Of a reason.
const MOST_CHARACTERS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_on_one_line() {
        assert_eq!(word("a\nb\u{7f}cd", 3), "abc");
    }
}
