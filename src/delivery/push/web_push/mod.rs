//! Web Push (RFC 8030): a notification to a browser, or to an app of a UnifiedPush distributor, through the push service
//! that its subscription names.
//!
//! The push service learns when a message is sent, how large it is in steps, and for how long it matters; what it says is
//! encrypted for the device (RFC 8291). The server identifies itself with its VAPID key (RFC 8292).

mod answer;
mod authorizations;
mod payload;

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use self::authorizations::Authorizations;
use super::{Judgement, PushMessage, PushOutcome, PushProvider};
use crate::crypto::web_push::encryption::encrypt;
use crate::crypto::web_push::vapid::VapidKey;
use crate::delivery::http::{HttpClient, HttpError};
use crate::domain::entropy::Entropy;
use crate::domain::factor::WebPushSubscription;
use crate::domain::sid::ChallengeSid;
use crate::domain::time::Timestamp;
use crate::domain::web_url;

/// Sends to push services.
pub struct WebPush {
    client: HttpClient,
    key: OnceLock<Arc<VapidKey>>,
    authorizations: Authorizations,
}

/// Who sends, and how what is sent is hidden from the push service.
#[derive(Clone, Copy, Debug)]
pub struct WebPushAccess<'a> {
    /// The operator's key, the same for all accounts (RFC 8292).
    pub key: &'a VapidKey,
    /// Where a push service reaches the operator: a `mailto:` or `https:` URI.
    pub contact: Option<&'a str>,
    /// Each message is encrypted with a key of its own.
    pub entropy: &'a dyn Entropy,
}

impl WebPush {
    /// A sender that reaches push services with `client`. A device chose the endpoint, so it must be one that refuses
    /// addresses which are not public: see [`HttpPolicy::push_services`](crate::delivery::http::HttpPolicy::push_services).
    #[must_use]
    pub fn new(client: HttpClient) -> Self {
        Self {
            client,
            key: OnceLock::new(),
            authorizations: Authorizations::default(),
        }
    }

    /// The key that was [remembered](Self::remember).
    #[must_use]
    pub fn key(&self) -> Option<Arc<VapidKey>> {
        self.key.get().cloned()
    }

    /// Keeps the store's key, which never changes, so that it need not be unsealed for every notification.
    pub fn remember(&self, key: &Arc<VapidKey>) {
        self.key.get_or_init(|| key.clone());
    }

    async fn try_once(
        &self,
        access: &WebPushAccess<'_>,
        subscription: &WebPushSubscription,
        message: &PushMessage<'_>,
        payload: &[u8],
        now: Timestamp,
    ) -> Judgement {
        let refused = |why: String| Judgement::Final(PushOutcome::refused(why));
        let origin = subscription.origin();
        let body = match encrypt(subscription, payload, access.entropy) {
            Ok(body) => body,
            Err(error) => return refused(error.to_string()),
        };
        let authorization = self.authorizations.of(access.key, &origin, access.contact, now);
        let Some(authorization) = authorization else {
            return refused("the VAPID key does not sign".to_owned());
        };
        let Some(url) = web_url::read(subscription.endpoint()) else {
            return refused(format!("{origin} is not called: the endpoint is no URL"));
        };
        let Some(headers) = headers(&authorization, message, now) else {
            return refused(format!("{origin} is not called: a header cannot be written"));
        };
        match self.client.post(&url, headers, body).await {
            Ok(answer) => answer::judge(&origin, &answer, now),
            Err(error @ (HttpError::Blocked { .. } | HttpError::Plaintext | HttpError::Url)) => {
                refused(format!("{origin} is not called: {error}"))
            }
            Err(
                error @ (HttpError::Failed { .. }
                | HttpError::Setup(_)
                | HttpError::TimedOut { .. }
                | HttpError::Unresolved { .. }),
            ) => Judgement::Final(PushOutcome::retry(
                format!("the push service {origin} did not answer: {error}"),
                None,
            )),
        }
    }
}

/// A push service that finds a notification too large is given a shorter one.
#[async_trait]
impl PushProvider for WebPush {
    type Device = WebPushSubscription;
    type Access<'a> = WebPushAccess<'a>;

    async fn send(
        &self,
        access: &WebPushAccess<'_>,
        device: &WebPushSubscription,
        message: &PushMessage<'_>,
        now: Timestamp,
    ) -> PushOutcome {
        for payload in [payload::whole(message), payload::without_message(message)] {
            match self.try_once(access, device, message, &payload, now).await {
                Judgement::Final(outcome) => return outcome,
                Judgement::Again => {}
            }
        }
        let origin = device.origin();
        PushOutcome::refused(format!(
            "the push service {origin} answered 413 even to the shortest notification"
        ))
    }
}

impl fmt::Debug for WebPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebPush")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// `None` if one cannot be written.
fn headers(authorization: &str, message: &PushMessage<'_>, now: Timestamp) -> Option<HeaderMap> {
    // How long the push service keeps the notification for a device that is not there (RFC 8030, section 5.2).
    let seconds_left = message.expires_at.since(now).as_secs().to_string();
    let headers = [
        ("authorization", authorization),
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
        ("topic", &topic(message.challenge)),
        ("ttl", &seconds_left),
        ("urgency", "high"),
    ];
    headers
        .into_iter()
        .map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)))
        .collect()
}

/// A later notification of a challenge takes the place of an earlier one that still waits for the device (RFC 8030,
/// section 5.4): at most 32 letters of base64url, from which the challenge cannot be told.
fn topic(challenge: ChallengeSid) -> String {
    let hash = digest(&SHA256, challenge.to_string().as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..18])
}
