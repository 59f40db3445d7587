//! Push factors: devices that sign with a P-256 key of their own.

use serde::{Deserialize, Serialize};

use super::web_push::WebPushSubscription;
use crate::domain::opaque::{DevicePublicKey, Fingerprint};
use crate::domain::push_guard::PushGuard;
use crate::domain::sid::CredentialSid;
use crate::domain::text::{AppId, NotificationToken, SdkVersion};

/// A device and its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PushFactor {
    /// The `kid` of the device's JWTs.
    pub credential: CredentialSid,
    /// The key that checks what the device signs.
    pub public_key: DevicePublicKey,
    /// Equal for equal keys.
    pub fingerprint: Fingerprint,
    /// The app on the device.
    pub app_id: AppId,
    /// The SDK in the app.
    pub sdk_version: SdkVersion,
    /// How the device is woken.
    pub notification: NotificationChannel,
    /// Who asked its holder, and what became of it.
    #[serde(default)]
    pub guard: PushGuard,
}

/// How a device is told of a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotificationChannel {
    /// By Apple's push service, with the app's device token.
    Apn(NotificationToken),
    /// By Firebase Cloud Messaging, with the app's registration token.
    Fcm(NotificationToken),
    /// Not at all: it asks.
    None,
    /// By the push service of its browser or of its UnifiedPush distributor (Web Push, RFC 8030).
    WebPush(WebPushSubscription),
}

impl NotificationChannel {
    /// The name of the platform: `apn`, `fcm`, `none` or `webpush`.
    #[must_use]
    pub fn platform(&self) -> &'static str {
        match self {
            Self::Apn(_) => "apn",
            Self::Fcm(_) => "fcm",
            Self::None => "none",
            Self::WebPush(_) => "webpush",
        }
    }

    /// The token that Apple or Google know the device by; none of the other platforms, see [`WebPushSubscription`].
    #[must_use]
    pub fn token(&self) -> Option<&NotificationToken> {
        match self {
            Self::Apn(token) | Self::Fcm(token) => Some(token),
            Self::None | Self::WebPush(_) => None,
        }
    }
}
