//! Texts that callers give, each checked once: after parsing, the type is the proof.
//!
//! Lengths are counted in characters (Unicode scalar values), as the API's documents count them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text that is not what it has to be; says what it has to be, never what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks `text`.
            ///
            /// # Errors
            /// [`Invalid`] with what the text must be.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_owned())) } else { Err(Invalid($expected)) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text! {
    /// The caller's own name of an entity, such as a user's UUID. Case counts.
    Identity, "must be 8 to 64 characters long, only letters A to Z, digits and dashes", |text| {
        (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    /// A name for people: of a factor, a device, a webhook, an account.
    FriendlyName, "must be 1 to 64 characters long, without control characters", |text| printable(text, 1, 64);
    /// The caller's own name of a rate limit, by which requests give values. Case counts.
    UniqueName, "must be 1 to 64 characters long, only letters A to Z, digits, dashes, underscores and dots", |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    /// What something is for, in the caller's words.
    Description, "must be 1 to 255 characters long, without control characters", |text| printable(text, 1, 255);
    /// The name of a service: it appears in messages to users, so it may not carry links or phone numbers.
    ServiceName,
        "must be 1 to 32 characters long, only letters, numbers, spaces, dashes and underscores, and no phone number",
        |text| {
            printable(text, 1, 32)
                && text.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                && !holds_phone_number(text)
        };
    /// The issuer in a TOTP factor's URI.
    Issuer, "must be 1 to 64 characters long, without control characters", |text| printable(text, 1, 64);
    /// The identifier of an app in its store, such as `com.example.myapp`. The iOS SDK sends an empty one when the
    /// app has no bundle identifier.
    AppId, "must be at most 100 characters long, without control characters", |text| printable(text, 0, 100);
    /// The version of the SDK in a device's app.
    SdkVersion, "must be 1 to 64 characters long, without control characters", |text| printable(text, 1, 64);
    /// What a push provider knows a device by.
    NotificationToken, "must be 32 to 255 characters long, without blanks", |text| {
        printable(text, 32, 255) && !text.contains(char::is_whitespace)
    };
    /// What Apple calls a key, or a team: ten letters and digits.
    ApnsIdentifier, "must be 10 characters long, only upper-case letters and digits", |text| {
        text.len() == 10 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    /// What Apple calls the app that is woken: its bundle identifier.
    ApnsTopic, "must be a bundle identifier of 1 to 100 visible ASCII characters, such as com.example.app", |text| {
        (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    /// The message of a challenge.
    Message, "must be 1 to 256 characters long", |text| length_within(text, 1, 256);
    /// The label of a challenge's field.
    FieldLabel, "must be 1 to 36 characters long", |text| length_within(text, 1, 36);
    /// The value of a challenge's field.
    FieldValue, "must be at most 128 characters long", |text| length_within(text, 0, 128);
    /// The hash of an Android app, which its SMS Retriever looks for at a message's end: Base64.
    AppHash, "must be the 11 characters of an Android app's hash: letters, digits, + and /", |text| {
        text.len() == 11 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
    };
    /// What a call dials once it is answered.
    SendDigits, "must be 1 to 32 characters: digits, * and #, and w for each half second to wait", |text| {
        let dialled = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b'#' | b'w' | b'W');
        (1..=32).contains(&text.len()) && text.bytes().all(dialled)
    };
    /// How much is paid, as whoever is paid writes it.
    Amount, "must be 1 to 32 characters long, without control characters", |text| printable(text, 1, 32);
    /// A name that is passed on to a provider (a sender's, a payee's).
    ProviderName, "must be 1 to 64 characters long, without control characters", |text| printable(text, 1, 64);
}

macro_rules! pairs {
    ($($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Vec<(String, String)>);

        impl $name {
            /// Checks names and values; their order stays.
            ///
            /// # Errors
            /// [`Invalid`] with what they must be.
            pub fn new(pairs: Vec<(String, String)>) -> Result<Self, Invalid> {
                let valid: fn(&[(String, String)]) -> bool = $valid;
                if valid(&pairs) { Ok(Self(pairs)) } else { Err(Invalid($expected)) }
            }

            /// Names and values, in their order.
            #[must_use]
            pub fn into_pairs(self) -> Vec<(String, String)> {
                self.0
            }

            /// Names and values, in their order.
            #[must_use]
            pub fn pairs(&self) -> &[(String, String)] {
                &self.0
            }
        }
    )+};
}

pairs! {
    /// Names and values that a caller attached to something.
    Attributes, "must be at most 1024 characters long altogether", |pairs| characters(pairs) <= 1024;
    /// What the places of a template stand for.
    Substitutions, "must be at most 4096 characters long altogether", |pairs| characters(pairs) <= 4096;
    /// What a caller wants a provider to record with a message.
    Tags, "must be at most 10 tags, each name and value at most 128 characters long, without control characters",
        |pairs| {
            let short = |text: &str| printable(text, 0, 128);
            pairs.len() <= 10 && pairs.iter().all(|(name, value)| short(name) && short(value))
        };
}

fn characters(pairs: &[(String, String)]) -> usize {
    pairs
        .iter()
        .map(|(name, value)| name.chars().count() + value.chars().count())
        .sum()
}

fn length_within(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.chars().count())
}

fn printable(text: &str, least: usize, most: usize) -> bool {
    length_within(text, least, most) && !text.chars().any(char::is_control)
}

/// Seven digits in a row can be dialled, and so can nine with blanks and dashes between them; two years cannot.
fn holds_phone_number(text: &str) -> bool {
    let (mut unbroken, mut spaced) = (0, 0);
    text.chars().any(|c| {
        (unbroken, spaced) = match c {
            _ if c.is_numeric() => (unbroken + 1, spaced + 1),
            ' ' | '-' => (0, spaced),
            _ => (0, 0),
        };
        unbroken >= 7 || spaced >= 9
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_have_no_aliases() {
        for good in [
            "ff483d1ff591898a9942916050d2ca3f",
            "user-001",
            "A-------",
            &"x".repeat(64),
        ] {
            assert!(Identity::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "short-1",
            &"x".repeat(65),
            "user 001",
            " user-001",
            "user-001\n",
            "user_001",
            "\u{ff55}ser-001",
        ] {
            assert!(Identity::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn unique_names_fit_into_a_header_as_they_are() {
        for good in ["a", "end_user-ip.v4", "...", &"x".repeat(64)] {
            assert!(UniqueName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", &"x".repeat(65), "two words", "a\r\nb", "a/b", "\u{e9}"] {
            assert!(UniqueName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(FriendlyName::parse(&"é".repeat(64)).is_ok());
        assert!(FriendlyName::parse(&"é".repeat(65)).is_err());
        assert!(Message::parse(&"é".repeat(256)).is_ok());
        assert!(Message::parse(&"é".repeat(257)).is_err());
    }

    #[test]
    fn service_names_carry_no_links_and_no_phone_numbers() {
        for good in [
            "My First Verify App",
            "Bank-24_de",
            "Übung 2026",
            "Area 51-12",
            "Fiscal 2025-2026",
        ] {
            assert!(ServiceName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "http://x.example",
            "call 555-012-3456",
            "a@b",
            &"n".repeat(33),
        ] {
            assert!(ServiceName::parse(bad).is_err(), "{bad}");
        }
    }
}
