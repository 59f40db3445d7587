//! Push factors: devices that sign with a P-256 key of their own.

use serde::{Deserialize, Serialize};

use super::web_push::WebPushSubscription;
use crate::domain::attached::Attached;
use crate::domain::opaque::{DevicePublicKey, Fingerprint};
use crate::domain::push_guard::PushGuard;
use crate::domain::sid::{CredentialSid, FactorSid};
use crate::domain::text::{AppId, NotificationToken};
use crate::domain::time::Timestamp;

/// What a device sends to prove that it holds the key of the factor that is enrolled. Each dialect knows what its devices
/// sign.
pub trait KeyProof: Send + Sync {
    /// Whether `key` signed it for this very factor.
    fn is_signed(&self, factor: FactorSid, key: &DevicePublicKey) -> bool;
}

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
    /// What dialects keep with it.
    pub attached: Attached,
    /// How the device is woken.
    pub notification: NotificationChannel,
    /// That it cannot be woken so, as the transport said.
    pub unreachable: Option<Unreachable>,
    /// Who asked its holder, and what became of it.
    pub guard: PushGuard,
}

impl PushFactor {
    /// What the transport said of the device, if it still holds now that the service has this `credential`: what is
    /// unknown to one app's key may be known to another's.
    #[must_use]
    pub fn unreachable_with(&self, credential: Option<CredentialSid>) -> Option<&Unreachable> {
        self.unreachable
            .as_ref()
            .filter(|unreachable| unreachable.credential == credential)
    }

    /// Takes in how the device wants to be woken from now on. Whatever a transport said before is forgotten, even if the
    /// token is the one it knows: the device says that it is there.
    pub fn change_notification(&mut self, notification: NotificationChannel) {
        self.notification = notification;
        self.unreachable = None;
    }

    /// Notes that the transport does not know the device any more; `false`, and nothing noted, if the device has another
    /// token than the one that was `tried`.
    pub fn lose(&mut self, tried: &NotificationChannel, unreachable: Unreachable) -> bool {
        let still = self.notification == *tried;
        if still {
            self.unreachable = Some(unreachable);
        }
        still
    }
}

/// That a transport does not know a device any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreachable {
    /// When the transport said so.
    pub since: Timestamp,
    /// In the transport's words.
    pub why: String,
    /// With which of the service's credentials the transport was asked.
    pub credential: Option<CredentialSid>,
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
