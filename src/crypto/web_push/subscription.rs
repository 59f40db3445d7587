//! Subscriptions as user agents hand them out: `PushSubscription.toJSON()` of the W3C Push API (section 8), which
//! UnifiedPush connectors give in the same parts.

use base64::Engine;
use serde_json::{Map, Value, json};

use super::EITHER_PADDING;
use crate::crypto::unique_json;
use crate::domain::factor::WebPushSubscription;
use crate::domain::opaque::P256Point;
use crate::domain::web_url;

/// What is wrong with a push subscription (W3C Push API, section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSubscription {
    /// The authentication secret.
    #[error("keys.auth must be the base64url of 16 bytes")]
    Auth,
    /// Where the push service is asked.
    #[error("endpoint must be an absolute https URL without user information and fragment")]
    Endpoint,
    /// `keys` is missing, or no object.
    #[error("keys must be an object with p256dh and auth")]
    Keys,
    /// It is no JSON object, or one with a member twice.
    #[error(
        r#"must be a push subscription: {{"endpoint": "https://...", "keys": {{"p256dh": "...", "auth": "..."}}}}"#
    )]
    NotJson,
    /// The user agent's public key.
    #[error("keys.p256dh must be the base64url of an uncompressed point on the curve P-256")]
    PublicKey,
    /// It has more characters than [`WebPushSubscription::MAX_LENGTH`], as it came or as it would be kept.
    #[error("must be at most {most} characters long when it is a push subscription")]
    TooLong {
        /// That limit.
        most: usize,
    },
}

impl WebPushSubscription {
    /// The most characters of a subscription's JSON.
    pub const MAX_LENGTH: usize = 1024;

    /// Reads `{"endpoint": "https://...", "keys": {"p256dh": "...", "auth": "..."}}`; other members, such as
    /// `expirationTime`, are ignored. The endpoint may be `http`: whether it may be used is decided when something is
    /// sent, by what the operator allows.
    ///
    /// # Errors
    /// [`BadSubscription`] with the member that is wrong, and what it must be.
    pub fn parse(text: &str) -> Result<Self, BadSubscription> {
        if text.chars().count() > Self::MAX_LENGTH {
            return Err(TOO_LONG);
        }
        let object = unique_json::parse_object(text.as_bytes()).map_err(|_| BadSubscription::NotJson)?;
        let endpoint = text_of(&object, "endpoint").ok_or(BadSubscription::Endpoint)?;
        let endpoint = web_url::read(endpoint).ok_or(BadSubscription::Endpoint)?.into();
        let Some(Value::Object(keys)) = object.get("keys") else {
            return Err(BadSubscription::Keys);
        };
        let key = bytes_of(keys, "p256dh").ok_or(BadSubscription::PublicKey)?;
        let auth = bytes_of(keys, "auth").ok_or(BadSubscription::Auth)?;
        let subscription = Self {
            endpoint,
            key: P256Point::from_sec1(&key).ok_or(BadSubscription::PublicKey)?,
            auth: auth.try_into().map_err(|_| BadSubscription::Auth)?,
        };
        // A URL may become longer when it is written in ASCII.
        if subscription.to_json().len() > Self::MAX_LENGTH {
            return Err(TOO_LONG);
        }
        Ok(subscription)
    }

    /// The JSON that [`parse`](Self::parse) reads, without the members that it ignores.
    #[must_use]
    pub fn to_json(&self) -> String {
        json!({
            "endpoint": self.endpoint,
            "keys": {
                "p256dh": EITHER_PADDING.encode(self.key.as_bytes()),
                "auth": EITHER_PADDING.encode(self.auth),
            },
        })
        .to_string()
    }

    /// The origin of the push service (RFC 6454), such as `https://push.example.net`. Unlike the rest of the endpoint it
    /// is no secret.
    #[must_use]
    pub fn origin(&self) -> String {
        web_url::read(&self.endpoint).map_or_else(
            || "null".to_owned(),
            |endpoint| endpoint.origin().ascii_serialization(),
        )
    }
}

fn text_of<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

fn bytes_of(object: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    EITHER_PADDING.decode(text_of(object, name)?).ok()
}

const TOO_LONG: BadSubscription = BadSubscription::TooLong {
    most: WebPushSubscription::MAX_LENGTH,
};

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const SECRET: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn refusal(subscription: &Value) -> String {
        WebPushSubscription::parse(&subscription.to_string())
            .unwrap_err()
            .to_string()
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut subscription =
            json!({"endpoint": "https://push.example.net/p/1", "keys": {"p256dh": KEY, "auth": SECRET}});
        *subscription.pointer_mut(pointer).unwrap() = value;
        subscription
    }

    #[test]
    fn what_a_browser_gives_is_read_and_written_back() {
        let text = format!(
            r#"{{"endpoint":"https://push.example.net/p/1?x=%20","expirationTime":null,"keys":{{"p256dh":"{KEY}","auth":"{SECRET}"}}}}"#
        );
        let subscription = WebPushSubscription::parse(&text).unwrap();
        assert_eq!(subscription.endpoint(), "https://push.example.net/p/1?x=%20");
        assert_eq!(subscription.origin(), "https://push.example.net");
        assert_eq!(
            subscription.to_json(),
            text.replace(r#""expirationTime":null,"#, "")
        );
        assert_eq!(
            WebPushSubscription::parse(&subscription.to_json()),
            Ok(subscription)
        );
    }

    #[test]
    fn padding_makes_no_difference() {
        let padded = with("/keys/auth", format!("{SECRET}==").into());
        let padded = WebPushSubscription::parse(&padded.to_string()).unwrap();
        let plain = with("/keys/auth", SECRET.into());
        assert_eq!(Ok(padded), WebPushSubscription::parse(&plain.to_string()));
    }

    #[test]
    fn origins_are_spelt_in_one_way() {
        for (endpoint, origin) in [
            ("https://Push.Example.net:443/p", "https://push.example.net"),
            ("https://push.example.net:8443/p", "https://push.example.net:8443"),
            ("http://127.0.0.1:80/p", "http://127.0.0.1"),
            ("https://\u{fc}.example/p", "https://xn--tda.example"),
        ] {
            let subscription = with("/endpoint", endpoint.into()).to_string();
            assert_eq!(
                WebPushSubscription::parse(&subscription).unwrap().origin(),
                origin
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for endpoint in [
            json!("push.example.net/p"),
            json!("ftp://push.example.net/p"),
            json!("data:text/plain,x"),
            json!("https://user@push.example.net/p"),
            json!("https://:secret@push.example.net/p"),
            json!("https://push.example.net/p#x"),
            json!("https://"),
            json!(""),
            json!(null),
            json!(["https://push.example.net/p"]),
        ] {
            assert!(
                refusal(&with("/endpoint", endpoint.clone())).starts_with("endpoint must be"),
                "{endpoint}"
            );
        }
        let mut moved = EITHER_PADDING.decode(KEY).unwrap();
        moved[64] ^= 1;
        let mut compressed = EITHER_PADDING.decode(KEY).unwrap()[..33].to_vec();
        compressed[0] = 2;
        for key in [
            json!(EITHER_PADDING.encode(&moved)),
            json!(EITHER_PADDING.encode(&compressed)),
            json!(EITHER_PADDING.encode([0; 65])),
            json!(EITHER_PADDING.encode([0])),
            json!(KEY.replace('-', "+")),
            json!(format!(" {KEY}")),
            json!(""),
            json!(5),
        ] {
            assert!(
                refusal(&with("/keys/p256dh", key.clone())).starts_with("keys.p256dh must be"),
                "{key}"
            );
        }
        for secret in [
            json!(EITHER_PADDING.encode([7; 15])),
            json!(EITHER_PADDING.encode([7; 17])),
            json!(""),
            json!(null),
            // The last digit carries four bits too many: set, they spell the same bytes again.
            json!("BTBZMqHH6r4Tts7J_aSIgh"),
        ] {
            assert!(
                refusal(&with("/keys/auth", secret.clone())).starts_with("keys.auth must be"),
                "{secret}"
            );
        }
        assert_eq!(
            refusal(&with("/keys", json!([KEY, SECRET]))),
            BadSubscription::Keys.to_string()
        );
        assert_eq!(
            refusal(&json!({"endpoint": "https://push.example.net/p"})),
            BadSubscription::Keys.to_string()
        );
        for text in ["", "null", "[]", "{", "f".repeat(64).as_str()] {
            assert_eq!(
                WebPushSubscription::parse(text),
                Err(BadSubscription::NotJson),
                "{text}"
            );
        }
        let twice = with("/keys/auth", SECRET.into()).to_string().replacen(
            '{',
            r#"{"endpoint":"https://other.example/","#,
            1,
        );
        assert_eq!(WebPushSubscription::parse(&twice), Err(BadSubscription::NotJson));
    }

    #[test]
    fn a_subscription_has_at_most_1024_characters() {
        let rest = with("/endpoint", "https://push.example.net/".into())
            .to_string()
            .len();
        let of_length = |length: usize| {
            let endpoint = format!("https://push.example.net/{}", "p".repeat(length - rest));
            WebPushSubscription::parse(&with("/endpoint", endpoint.into()).to_string())
        };
        assert_eq!(of_length(1024).unwrap().to_json().len(), 1024);
        assert_eq!(of_length(1025), Err(TOO_LONG));
        // Each of these is one character, and becomes six.
        let endpoint = format!("https://push.example.net/{}", "\u{e9}".repeat(400));
        assert_eq!(refusal(&with("/endpoint", endpoint.into())), TOO_LONG.to_string());
    }

    #[test]
    fn nothing_of_it_is_printed() {
        let subscription =
            WebPushSubscription::parse(&with("/keys/auth", SECRET.into()).to_string()).unwrap();
        assert_eq!(format!("{subscription:?}"), "WebPushSubscription(..)");
    }
}
