//! The body of a notification, as apps built on the iOS SDK read it.

use serde_json::json;

use crate::delivery::push::{PushMessage, TYPE};

/// The longest body that Apple takes.
const MOST_BYTES: usize = 4096;

/// The body. A message too long for it is cut: the app fetches the challenge anyway.
pub(super) fn body(message: &PushMessage<'_>) -> Vec<u8> {
    let mut text = message.text.to_owned();
    loop {
        let body = json!({
            "aps": {
                "alert": text,
                "category": TYPE,
                "mutable-content": 1,
                "sound": "default",
            },
            "type": TYPE,
            "challenge_sid": message.challenge.to_string(),
            "factor_sid": message.factor.to_string(),
            "message": text,
        });
        let body = body.to_string().into_bytes();
        let Some(excess) = body.len().checked_sub(MOST_BYTES + 1) else {
            return body;
        };
        // The text stands there twice, and a character takes up to 6 bytes, so this never cuts too much at once.
        let dropped = excess / 12 + 1;
        let kept = text.chars().count().saturating_sub(dropped);
        text = text.chars().take(kept).collect();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::sid::{ChallengeSid, EventSid, FactorSid};
    use crate::domain::time::Timestamp;

    fn body_of(text: &str) -> (usize, Value) {
        let body = body(&PushMessage {
            id: EventSid::from_bytes([1; 16]),
            challenge: ChallengeSid::from_bytes([2; 16]),
            factor: FactorSid::from_bytes([3; 16]),
            text,
            expires_at: Timestamp::from_seconds(0),
        });
        (body.len(), serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn every_message_that_a_challenge_can_have_fits_whole() {
        for character in ["a", "\u{1f989}", "\u{1}"] {
            let text = character.repeat(256);
            let (length, body) = body_of(&text);
            assert!(length <= MOST_BYTES, "{length}");
            assert_eq!(body["message"], text.as_str());
            assert_eq!(body["aps"]["alert"], text.as_str());
        }
    }

    #[test]
    fn a_longer_one_is_cut_between_characters() {
        for character in ["a", "é", "\u{1f989}", "\u{1}"] {
            let (length, body) = body_of(&character.repeat(5000));
            assert!((MOST_BYTES - 30..=MOST_BYTES).contains(&length), "{length}");
            let text = body["message"].as_str().unwrap();
            assert!(character.repeat(5000).starts_with(text) && text.len() > 100);
        }
    }
}
