//! What a device is told: that a challenge waits, and which. The app fetches the rest itself.

use serde_json::{Map, Value};

use super::Notification;

/// The notification with the question that the user is asked. With the longest one it is still within what can be
/// encrypted: 256 characters, each of six bytes at the most when it is escaped.
pub(super) fn whole(notification: &Notification<'_>) -> Vec<u8> {
    let mut payload = members(notification);
    let details = notification.challenge.details.as_ref();
    if let Some(message) = details.and_then(|details| details.message.as_ref()) {
        payload.insert("message".to_owned(), message.as_str().into());
    }
    Value::Object(payload).to_string().into_bytes()
}

/// The shortest notification that is of use.
pub(super) fn without_message(notification: &Notification<'_>) -> Vec<u8> {
    Value::Object(members(notification)).to_string().into_bytes()
}

fn members(notification: &Notification<'_>) -> Map<String, Value> {
    let challenge = notification.challenge;
    let members = [
        ("type", "verify_push_challenge".to_owned()),
        ("challenge_sid", challenge.sid.to_string()),
        ("factor_sid", challenge.factor.to_string()),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}
