//! Web Push subscriptions: where a browser or an app can be reached, and for which keys messages to it are encrypted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::opaque::P256Point;

/// A push subscription (RFC 8030, section 4) with the keys of its user agent (RFC 8291, section 3.1).
///
/// Whoever knows all of it can wake the device, so nothing of it is printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebPushSubscription {
    /// An absolute `http` or `https` URL without user information or fragment: the capability to send.
    pub(crate) endpoint: String,
    /// The key that the user agent agrees keys with (`p256dh`).
    pub(crate) key: P256Point,
    /// What only the user agent and its application server know (`auth`).
    #[serde(with = "serde_bytes")]
    pub(crate) auth: [u8; 16],
}

impl WebPushSubscription {
    /// Where messages are sent.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl fmt::Debug for WebPushSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebPushSubscription(..)")
    }
}
