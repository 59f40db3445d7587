//! Web Push (RFC 8030): a notification to a browser, or to an app of a UnifiedPush distributor, through the push service
//! that its subscription names.
//!
//! The push service learns when a message is sent, how large it is in steps, and for how long it matters; what it says is
//! encrypted for the device (RFC 8291). The server identifies itself with its VAPID key (RFC 8292).

mod answer;
mod authorizations;
mod guarded;
mod outbound;
mod payload;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use self::answer::Verdict;
use self::authorizations::Authorizations;
pub use self::outbound::{Answer, Outbound, Problem, Unconnected};
use crate::crypto::web_push::encryption::encrypt;
use crate::crypto::web_push::vapid::VapidKey;
use crate::domain::challenge::Challenge;
use crate::domain::entropy::Entropy;
use crate::domain::factor::WebPushSubscription;
use crate::domain::sid::ChallengeSid;
use crate::domain::time::Timestamp;

/// Sends to push services.
pub struct WebPush {
    outbound: Arc<dyn Outbound>,
    key: OnceLock<Arc<VapidKey>>,
    authorizations: Authorizations,
}

/// A notification that a challenge waits.
#[derive(Clone, Copy, Debug)]
pub struct Notification<'a> {
    /// Whose device is woken.
    pub subscription: &'a WebPushSubscription,
    /// The challenge; it names its factor.
    pub challenge: &'a Challenge,
    /// Who sends it.
    pub key: &'a VapidKey,
    /// Where a push service reaches the operator: a `mailto:` or `https:` URI.
    pub contact: Option<&'a str>,
}

/// What came of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The push service has it.
    Delivered,
    /// The subscription does not exist any more: nothing will ever reach the device this way.
    Gone {
        /// What the push service said, for the operator; names no secret.
        why: String,
    },
    /// It may work later.
    Retry {
        /// What went wrong, for the operator; names no secret.
        why: String,
        /// How long the push service wants to be left alone.
        after: Option<Duration>,
    },
    /// It will never work as it is.
    Refused {
        /// What went wrong, for the operator; names no secret.
        why: String,
    },
}

impl WebPush {
    /// A sender that reaches push services through `outbound`.
    #[must_use]
    pub fn new(outbound: Arc<dyn Outbound>) -> Self {
        Self {
            outbound,
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

    /// Sends a notification once, at `now`. A push service that finds it too large is given a shorter one.
    pub async fn send(&self, notification: &Notification<'_>, now: Timestamp, entropy: &dyn Entropy) -> Sent {
        for message in [
            payload::whole(notification),
            payload::without_message(notification),
        ] {
            match self.try_once(notification, &message, now, entropy).await {
                Verdict::Settled(sent) => return sent,
                Verdict::TooLarge => {}
            }
        }
        let origin = notification.subscription.origin();
        Sent::Refused {
            why: format!("the push service {origin} answered 413 even to the shortest notification"),
        }
    }

    async fn try_once(
        &self,
        notification: &Notification<'_>,
        message: &[u8],
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Verdict {
        let subscription = notification.subscription;
        let origin = subscription.origin();
        let body = match encrypt(subscription, message, entropy) {
            Ok(body) => body,
            Err(error) => return Verdict::refused(error.to_string()),
        };
        let authorization = self
            .authorizations
            .of(notification.key, &origin, notification.contact, now);
        let Some(authorization) = authorization else {
            return Verdict::refused("the VAPID key does not sign".to_owned());
        };
        let headers = [
            ("authorization", authorization.as_ref()),
            ("content-encoding", "aes128gcm"),
            ("content-type", "application/octet-stream"),
            ("topic", &topic(notification.challenge.sid)),
            ("ttl", &seconds_left(notification.challenge, now).to_string()),
            ("urgency", "high"),
        ];
        match self.outbound.post(subscription.endpoint(), &headers, body).await {
            Ok(answer) => answer::verdict(&origin, &answer, now),
            Err(Problem::Forbidden { why }) => Verdict::refused(format!("{origin} is not called: {why}")),
            Err(Problem::Failed { why }) => Verdict::Settled(Sent::Retry {
                why: format!("the push service {origin} did not answer: {why}"),
                after: None,
            }),
        }
    }
}

/// A push service that nobody connected is not reached.
impl Default for WebPush {
    fn default() -> Self {
        Self::new(Arc::new(Unconnected))
    }
}

impl fmt::Debug for WebPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebPush")
            .field("outbound", &self.outbound)
            .finish_non_exhaustive()
    }
}

/// A later notification of a challenge takes the place of an earlier one that still waits for the device (RFC 8030,
/// section 5.4): at most 32 letters of base64url, from which the challenge cannot be told.
fn topic(challenge: ChallengeSid) -> String {
    let hash = digest(&SHA256, challenge.to_string().as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..18])
}

/// How long the push service keeps the notification for a device that is not there (RFC 8030, section 5.2).
fn seconds_left(challenge: &Challenge, now: Timestamp) -> u64 {
    challenge.expires_at.since(now).as_secs()
}
