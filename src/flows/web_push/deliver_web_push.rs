//! Wakes a device through the push service of its subscription.

use super::vapid_key::vapid_key;
use crate::app::App;
use crate::delivery::web_push::{Notification, Sent};
use crate::domain::challenge::Challenge;
use crate::domain::factor::WebPushSubscription;
use crate::flows::{Error, Fault};

/// Sends once that `challenge` waits. That it still waits, and whose subscription it is, is the caller's to know; so is
/// what follows from [`Sent::Gone`].
pub async fn deliver_web_push(app: &App, subscription: &WebPushSubscription, challenge: &Challenge) -> Sent {
    let key = match vapid_key(app).await {
        Ok(key) => key,
        Err(error @ Error::Failed(Fault::Corrupt(_))) => {
            return Sent::Refused {
                why: error.to_string(),
            };
        }
        Err(error) => {
            return Sent::Retry {
                why: error.to_string(),
                after: None,
            };
        }
    };
    let notification = Notification {
        subscription,
        challenge,
        key: &key,
        contact: app.policy.webpush_contact.as_deref(),
    };
    let sender = &app.senders.web_push;
    sender
        .send(&notification, app.clock.now(), app.entropy.as_ref())
        .await
}
