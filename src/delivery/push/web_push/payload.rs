//! What a device is told: that a challenge waits, and which. The app fetches the rest itself.

use serde_json::{Map, Value};

use crate::delivery::push::{PushMessage, TYPE};

/// The notification with the question that the user is asked. With the longest one it is still within what can be
/// encrypted: 256 characters, each of six bytes at the most when it is escaped.
pub(super) fn whole(message: &PushMessage<'_>) -> Vec<u8> {
    let mut payload = members(message);
    if !message.text.is_empty() {
        payload.insert("message".to_owned(), message.text.into());
    }
    Value::Object(payload).to_string().into_bytes()
}

/// The shortest notification that is of use.
pub(super) fn without_message(message: &PushMessage<'_>) -> Vec<u8> {
    Value::Object(members(message)).to_string().into_bytes()
}

fn members(message: &PushMessage<'_>) -> Map<String, Value> {
    let members = [
        ("type", TYPE.to_owned()),
        ("challenge_sid", message.challenge.to_string()),
        ("factor_sid", message.factor.to_string()),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}
