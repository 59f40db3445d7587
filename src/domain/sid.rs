//! String identifiers: two letters for the kind, 32 hex digits for the 16 bytes.
//!
//! The bytes begin with the creation time (48-bit milliseconds) and end in 80 random bits, so that key order is
//! creation order. What one process makes rises strictly, also within a millisecond and when its clock goes back: each
//! stands a random way of up to 64 bits behind the one before, so that nothing can be guessed from a neighbour.
//! Across processes the order is that of their clocks.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::entropy::Entropy;
use super::time::Timestamp;

macro_rules! sid {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The two letters that every identifier of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier, greater than all that `source` has given.
            #[must_use]
            pub fn generate(now: Timestamp, source: &dyn SidSource) -> Self {
                Self(source.next(now, [0; 16]))
            }

            /// A new identifier that is greater than `last` too, which another process may have made.
            #[must_use]
            pub fn generate_after(last: Option<Self>, now: Timestamp, source: &dyn SidSource) -> Self {
                Self(source.next(now, last.map_or([0; 16], |last| last.0)))
            }

            /// A new identifier that stands where a moment puts it, not behind those that were given before: for what has
            /// a place of its own.
            #[must_use]
            pub fn generate_at(place: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(time_ordered(place, &drawn(entropy)))
            }

            /// Any 16 bytes are one: nothing in them is checked.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// When it was generated, to the millisecond.
            #[must_use]
            pub fn created_at(&self) -> Timestamp {
                created_at(&self.0)
            }

            /// The bytes, as they stand in keys.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NotASid;

            fn from_str(text: &str) -> Result<Self, NotASid> {
                parse_hex($prefix, text).map(Self).ok_or(NotASid { prefix: $prefix })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&print_hex($prefix, &self.0)).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes(SixteenBytes).map(Self)
            }
        }
    )+};
}

sid! {
    /// An account: who may call the API.
    AccountSid = "AC";
    /// An API key of an account.
    ApiKeySid = "SK";
    /// A bearer token of an account.
    BearerTokenSid = "BT";
    /// A service: one application's settings and everything under it.
    ServiceSid = "VA";
    /// An entity: one user of a service.
    EntitySid = "YE";
    /// A factor of an entity.
    FactorSid = "YF";
    /// A challenge of a factor.
    ChallengeSid = "YC";
    /// An enrolment access token.
    AccessTokenSid = "YK";
    /// A webhook of a service.
    WebhookSid = "YW";
    /// A notification of a challenge.
    NotificationSid = "NT";
    /// A credential: the `kid` of a device's JWTs, or the push provider's key of a service.
    CredentialSid = "CR";
    /// A message template that a service names.
    TemplateSid = "HJ";
    /// A messaging service that a service's WhatsApp settings name.
    MessagingServiceSid = "MG";
    /// An event, one per state change that somebody asked to hear of.
    EventSid = "EV";
    /// A verification: a code sent to somebody, to be checked.
    VerificationSid = "VE";
    /// An attempt: one try to send a verification's code.
    AttemptSid = "VL";
    /// An entry of the audit log.
    AuditSid = "AE";
    /// A rate limit of a service.
    RateLimitSid = "RK";
    /// A bucket of a rate limit: how many in how long.
    BucketSid = "BL";
    /// An entry of the safe list.
    SafeListSid = "GN";
}

/// The text is no identifier of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {prefix} and 32 hexadecimal digits")]
pub struct NotASid {
    /// The letters that the identifier should have begun with.
    pub prefix: &'static str,
}

/// Where identifiers come from.
pub trait SidSource: Send + Sync + fmt::Debug {
    /// The bytes of an identifier of `now`: greater than `behind`, and than all that were given before.
    fn next(&self, now: Timestamp, behind: [u8; 16]) -> [u8; 16];
}

/// The bytes of an identifier of `now` that is greater than `last`, of what was drawn for it.
#[must_use]
pub fn following(last: [u8; 16], now: Timestamp, drawn: &DrawnSid) -> [u8; 16] {
    let behind = u128::from_be_bytes(last).saturating_add(drawn.step());
    time_ordered(now, &drawn.tail).max(behind.to_be_bytes())
}

/// The random bytes of an identifier.
pub struct DrawnSid {
    step: [u8; 8],
    tail: [u8; 10],
}

impl DrawnSid {
    /// All that one needs, asked for at once.
    #[must_use]
    pub fn of(entropy: &dyn Entropy) -> Self {
        let bytes: [u8; 18] = drawn(entropy);
        let (mut step, mut tail) = ([0; 8], [0; 10]);
        step.copy_from_slice(&bytes[..8]);
        tail.copy_from_slice(&bytes[8..]);
        Self { step, tail }
    }

    /// From one identifier to the next, so wide that nobody learns from two how many are between them, nor finds the second
    /// from the first. The 80 bits behind the time have room for 65,536 of the widest; what is more carries into the time.
    fn step(&self) -> u128 {
        1 + u128::from(u64::from_le_bytes(self.step))
    }
}

fn drawn<const LENGTH: usize>(entropy: &dyn Entropy) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    entropy.fill(&mut bytes);
    bytes
}

fn time_ordered(now: Timestamp, tail: &[u8; 10]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&now.millis().to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(tail);
    bytes
}

fn created_at(bytes: &[u8; 16]) -> Timestamp {
    let mut millis = [0; 8];
    millis[2..].copy_from_slice(&bytes[..6]);
    Timestamp::from_millis(u64::from_be_bytes(millis))
}

fn parse_hex(prefix: &str, text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix(prefix)?.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

fn print_hex(prefix: &str, bytes: &[u8; 16]) -> [u8; 34] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 34];
    text[..2].copy_from_slice(&prefix.as_bytes()[..2]);
    for (pair, byte) in text[2..].chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

struct SixteenBytes;

impl Visitor<'_> for SixteenBytes {
    type Value = [u8; 16];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("16 bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<[u8; 16], E> {
        bytes
            .try_into()
            .map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    #[test]
    fn prints_and_parses_back() {
        let sid = FactorSid::generate_at(Timestamp::from_seconds(1_700_000_000), &SeededEntropy::new(1));
        let text = sid.to_string();
        assert!(text.starts_with("YF018bcfe568"), "{text}");
        assert_eq!(text.parse(), Ok(sid));
        assert_eq!(
            text.replacen("YF", "YC", 1).parse::<FactorSid>(),
            Err(NotASid { prefix: "YF" })
        );
    }

    #[test]
    fn an_identifier_tells_when_it_was_generated() {
        let now = Timestamp::from_millis(1_700_000_000_123);
        let sid = ChallengeSid::generate_at(now, &SeededEntropy::new(1));
        assert_eq!(sid.created_at(), now);
    }

    #[test]
    fn only_the_prefix_and_32_hex_digits_are_a_sid() {
        for bad in [
            "",
            "AC",
            "AC0",
            "ACg0000000000000000000000000000000",
            "ac00000000000000000000000000000000",
        ] {
            assert!(bad.parse::<AccountSid>().is_err(), "{bad}");
        }
        assert!("ACABCDEFabcdef00000000000000000000".parse::<AccountSid>().is_ok());
        assert!(
            "AC\u{ff10}000000000000000000000000000000"
                .parse::<AccountSid>()
                .is_err()
        );
    }
}
