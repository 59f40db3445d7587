//! Web Push: the key that push services know this server by (VAPID, RFC 8292), one for each store, made when it is first
//! needed; and notifications to subscriptions.

use std::sync::Arc;

use crate::app::App;
use crate::crypto::web_push::vapid::VapidKey;
use crate::delivery::DeliveryOutcome;
use crate::delivery::push::web_push::WebPushAccess;
use crate::delivery::push::{PushMessage, PushOutcome, PushProvider as _};
use crate::domain::circuit::FailureScope;
use crate::domain::factor::WebPushSubscription;
use crate::domain::opaque::P256Point;
use crate::domain::sealing::SealedField;
use crate::flows::reading::Reading;
use crate::flows::{Fault, retry_on_conflict};
use crate::store::records::VapidKeyRecord;
use crate::store::{Batch, keys};

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
                error if error.is_of_a_record() => DeliveryOutcome::Refused { why },
                _ => DeliveryOutcome::Retry {
                    why,
                    after: None,
                    about: FailureScope::Recipient { status: 0 },
                },
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

/// The public half, which apps hand to their push service when they subscribe.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn vapid_public_key(app: &App) -> Result<P256Point, Fault> {
    match app.senders.push.web_push.key() {
        Some(key) => Ok(*key.public()),
        None => Ok(retry_on_conflict(app, || read_or_make(app)).await?.public_key),
    }
}

/// The key itself.
///
/// # Errors
/// [`Fault::Corrupt`] too when it was sealed under another master key or for another place; [`Fault::Unavailable`].
pub(in crate::flows) async fn vapid_key(app: &App) -> Result<Arc<VapidKey>, Fault> {
    if let Some(key) = app.senders.push.web_push.key() {
        return Ok(key);
    }
    let key = retry_on_conflict(app, || async { open(app, &read_or_make(app).await?) }).await?;
    let key = Arc::new(key);
    app.senders.push.web_push.remember(&key);
    Ok(key)
}

/// The key in a record, if it opens and belongs to the public half beside it.
///
/// # Errors
/// [`Fault::Corrupt`], [`Fault::KeyGone`].
pub(crate) fn open(app: &App, record: &VapidKeyRecord) -> Result<VapidKey, Fault> {
    let bytes = app
        .vault
        .open(
            keys::vapid_key().bytes(),
            SealedField::VapidKey,
            &record.private_key,
        )
        .map_err(|error| Fault::unopened("VAPID key", error))?;
    VapidKey::from_bytes(&bytes)
        .filter(|key| *key.public() == record.public_key)
        .ok_or_else(|| {
            Fault::Corrupt("VAPID key: the private key does not belong to the public one".to_owned())
        })
}

/// Two makers agree: the second one's commit finds the first one's key.
async fn read_or_make(app: &App) -> Result<VapidKeyRecord, Fault> {
    let key = keys::vapid_key();
    let mut reading = Reading::new(app);
    if let Some(found) = reading.get(&key).await? {
        return Ok(found);
    }
    let (bytes, public_key) = VapidKey::generate(app.entropy.as_ref());
    let record = VapidKeyRecord {
        public_key,
        private_key: app.vault.seal(
            app.entropy.as_ref(),
            key.bytes(),
            SealedField::VapidKey,
            bytes.as_slice(),
        ),
    };
    reading.commit(Batch::new().put_record(key, &record)?).await?;
    Ok(record)
}
