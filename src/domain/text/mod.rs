//! Texts that callers give, each checked once: after parsing, the type is the proof.
//!
//! Lengths are counted in characters (Unicode scalar values), as the API's documents count them.

mod identity;
mod invalid;
mod script;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use identity::{IdentityRule, without_local_parts};
pub use invalid::{BadPhone, Charset, Invalid, Unit};
use script::has_shown_lines;
pub use script::{directs, is_invisible, may_be_shown, shown};

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident, $least:literal, $most:literal, $only:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks `text`.
            ///
            /// # Errors
            /// [`Invalid::Characters`] with what the text must be.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                Invalid::unless_written(text, $least, $most, Charset::$only)?;
                Ok(Self(text.to_owned()))
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
    /// The caller's own name of an entity, such as a user's UUID. Case counts. What callers may choose says [`IdentityRule`].
    Identity, 1, 64, Identity;
    /// The name of a protocol that clients speak, as settings have it.
    DialectName, 1, 32, LettersDigitsDashes;
    /// The name of an API key that was made elsewhere, which is what its user names: shorter than any SID. Case counts.
    KeyName, 4, 32, LettersDigitsDashes;
    /// A name for people: of a factor, a device, a webhook, an account.
    FriendlyName, 1, 64, Shown;
    /// The caller's own name of a rate limit, by which requests give values. Case counts.
    UniqueName, 1, 64, UniqueName;
    /// What something is for, in the caller's words.
    Description, 1, 255, Shown;
    /// The name of a service: it appears in messages to users, so it may not carry links or phone numbers.
    ServiceName, 1, 32, ServiceName;
    /// The issuer in a TOTP factor's URI.
    Issuer, 1, 64, Shown;
    /// The identifier of an app in its store, such as `com.example.myapp`. The iOS SDK sends an empty one when the
    /// app has no bundle identifier.
    AppId, 0, 100, BundleId;
    /// What a push provider knows a device by.
    NotificationToken, 32, 255, NoBlanks;
    /// What Apple calls a key, or a team: ten letters and digits.
    ApnsIdentifier, 10, 10, UpperDigits;
    /// What Apple calls the app that is woken: its bundle identifier.
    ApnsTopic, 1, 100, BundleId;
    /// The message of a challenge.
    Message, 1, 256, ShownLines;
    /// The label of a challenge's field.
    FieldLabel, 1, 36, Shown;
    /// The value of a challenge's field.
    FieldValue, 0, 128, ShownLines;
    /// The hash of an Android app, which its SMS Retriever looks for at a message's end: Base64.
    AppHash, 11, 11, AppHash;
    /// What a call dials once it is answered.
    SendDigits, 1, 32, Dialled;
    /// How much is paid, as whoever is paid writes it.
    Amount, 1, 32, Shown;
    /// A name that is passed on to a provider (a sender's, a payee's).
    ProviderName, 1, 64, Shown;
}

macro_rules! pairs {
    ($($(#[$doc:meta])* $name:ident, $expected:expr, $valid:expr;)+) => {$(
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
                if valid(&pairs) { Ok(Self(pairs)) } else { Err($expected) }
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
    Attributes, Invalid::CharactersAltogether { most: 1024 }, |pairs| characters(pairs) <= 1024;
    /// What the places of a template stand for.
    Substitutions, Invalid::Substitutions { most: 4096 }, |pairs| {
        let shown = |(name, value): &(String, String)| has_shown_lines(name) && has_shown_lines(value);
        characters(pairs) <= 4096 && pairs.iter().all(shown)
    };
    /// What a caller wants a provider to record with a message.
    Tags, Invalid::Tags { most: 10, longest: 128 }, |pairs| {
        let short = |text: &str| Invalid::unless_written(text, 0, 128, Charset::Shown).is_ok();
        pairs.len() <= 10 && pairs.iter().all(|(name, value)| short(name) && short(value))
    };
}

fn characters(pairs: &[(String, String)]) -> usize {
    pairs
        .iter()
        .map(|(name, value)| name.chars().count() + value.chars().count())
        .sum()
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
            assert!(IdentityRule::Narrow.parse(good).is_ok(), "{good}");
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
            assert!(IdentityRule::Narrow.parse(bad).is_err(), "{bad:?}");
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
