//! Wakes a device through the push service of its subscription.

use super::vapid_key::vapid_key;
use crate::app::App;
use crate::delivery::Outcome;
use crate::delivery::push::web_push::WebPushAccess;
use crate::delivery::push::{PushMessage, PushOutcome, PushProvider as _};
use crate::domain::factor::WebPushSubscription;
use crate::flows::{Error, Fault};

/// Sends `message` once. That its challenge still waits, and whose subscription it is, is the caller's to know; so is what
/// follows from [`PushOutcome::Unregistered`].
pub async fn deliver_web_push(
    app: &App,
    subscription: &WebPushSubscription,
    message: &PushMessage<'_>,
) -> PushOutcome {
    let key = match vapid_key(app).await {
        Ok(key) => key,
        Err(error) => {
            let why = error.to_string();
            return PushOutcome::Settled(match error {
                Error::Failed(Fault::Corrupt(_)) => Outcome::Refused { why },
                _ => Outcome::Retry { why, after: None },
            });
        }
    };
    let access = WebPushAccess {
        key: &key,
        contact: app.policy.webpush_contact.as_deref(),
        entropy: app.entropy.as_ref(),
    };
    let provider = &app.senders.push.web_push;
    provider
        .send(&access, subscription, message, app.clock.now())
        .await
}
