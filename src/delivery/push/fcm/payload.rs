//! The body of a message, as apps built on the Android SDK read it.

use serde_json::json;

use crate::delivery::push::{PushMessage, TYPE};
use crate::domain::text::NotificationToken;
use crate::domain::time::Timestamp;

/// The body: data only, which wakes the app in the background, too. All values are texts, as FCM demands. A message of a
/// challenge is a quarter of the 4096 bytes that FCM takes. What has the same `place` takes the place of an earlier one that
/// the device has not got yet.
pub(super) fn body(
    device: &NotificationToken,
    message: &PushMessage<'_>,
    place: usize,
    now: Timestamp,
) -> Vec<u8> {
    let challenge = message.challenge.to_string();
    json!({"message": {
        "token": device.as_str(),
        "data": {
            "type": TYPE,
            "challenge_sid": challenge,
            "factor_sid": message.factor.to_string(),
            "message": message.text,
        },
        "android": {
            "priority": "HIGH",
            "ttl": format!("{}s", message.expires_at.since(now).as_secs()),
            "collapse_key": format!("{TYPE}_{place}"),
        },
    }})
    .to_string()
    .into_bytes()
}
