//! Credentials: those that the server makes, shown once to whoever asked for them, and those that somebody brings along. Kept is a
//! hash of either.

use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::domain::entropy::Entropy;

/// A new credential in plain text.
pub struct PlainToken(Zeroizing<String>);

impl PlainToken {
    /// An account's auth token: 32 lower-case hexadecimal digits, 128 bits.
    #[must_use]
    pub fn auth_token(entropy: &dyn Entropy) -> Self {
        Self::draw(entropy, b"0123456789abcdef")
    }

    /// An API key's secret: 32 letters and digits, 190 bits.
    #[must_use]
    pub fn api_key_secret(entropy: &dyn Entropy) -> Self {
        Self::draw(
            entropy,
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        )
    }

    /// A bearer token's secret: 32 letters and digits, 190 bits.
    #[must_use]
    pub fn bearer_secret(entropy: &dyn Entropy) -> Self {
        Self::api_key_secret(entropy)
    }

    /// The text: for the one answer that shows it, and for hashing it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn draw(entropy: &dyn Entropy, alphabet: &[u8]) -> Self {
        // Bytes past the last whole multiple of the alphabet are thrown away, or its first letters came more often.
        let fair = 256 / alphabet.len() * alphabet.len();
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        let mut random = Zeroizing::new([0; 2 * LENGTH]);
        while text.len() < LENGTH {
            entropy.fill(random.as_mut_slice());
            let letters = random
                .iter()
                .map(|&byte| usize::from(byte))
                .filter(|&byte| byte < fair);
            for letter in letters.take(LENGTH - text.len()) {
                text.push(char::from(alphabet[letter % alphabet.len()]));
            }
        }
        Self(text)
    }
}

/// The secret of an API key that was made elsewhere.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Zeroizing<String>")]
pub struct ImportedSecret(Zeroizing<String>);

impl ImportedSecret {
    /// How many characters it has at the least: shorter ones can be guessed.
    pub const SHORTEST: usize = 8;
    /// How many it has at the most.
    pub const LONGEST: usize = 128;

    /// The text: for hashing it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// A text is no secret that could be shown in HTTP Basic authentication, a query or a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a secret must have {} to {} letters, digits and other visible characters of ASCII",
    ImportedSecret::SHORTEST,
    ImportedSecret::LONGEST
)]
pub struct UnfitSecret;

impl TryFrom<Zeroizing<String>> for ImportedSecret {
    type Error = UnfitSecret;

    fn try_from(text: Zeroizing<String>) -> Result<Self, UnfitSecret> {
        let fits = (Self::SHORTEST..=Self::LONGEST).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(UnfitSecret)
        }
    }
}

impl PartialEq for ImportedSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for ImportedSecret {}

impl fmt::Debug for ImportedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImportedSecret(..)")
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(..)")
    }
}

const LENGTH: usize = 32;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::doubles::SeededEntropy;

    #[test]
    fn tokens_look_as_clients_expect() {
        let entropy = SeededEntropy::new(1);
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let token = PlainToken::auth_token(&entropy);
            assert_eq!(token.reveal().len(), 32);
            assert!(
                token
                    .reveal()
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            );
            let secret = PlainToken::api_key_secret(&entropy);
            assert_eq!(secret.reveal().len(), 32);
            assert!(secret.reveal().bytes().all(|b| b.is_ascii_alphanumeric()));
            assert!(seen.insert(token.reveal().to_owned()) && seen.insert(secret.reveal().to_owned()));
        }
    }

    #[test]
    fn every_letter_comes_as_often_as_any_other() {
        let entropy = SeededEntropy::new(2);
        let mut counts = [0_u32; 128];
        for _ in 0..10_000 {
            for byte in PlainToken::api_key_secret(&entropy).reveal().bytes() {
                counts[usize::from(byte)] += 1;
            }
        }
        // 320,000 draws from 62 letters: 5161 each, standard deviation 71.
        for (letter, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            assert!((4800..5520).contains(count), "{letter}: {count}");
        }
    }

    #[test]
    fn imported_secrets_can_be_typed_and_not_be_guessed_soon() {
        let parse = |text: &str| ImportedSecret::try_from(Zeroizing::new(text.to_owned()));
        for good in ["abcdefgh", "a:b/c?d=e&f%20", &"x".repeat(128)] {
            assert_eq!(parse(good).unwrap().reveal(), good);
        }
        for bad in [
            "",
            "abcdefg",
            "abcd efgh",
            "abcdefgh\n",
            "abcdefg\u{e9}",
            &"x".repeat(129),
        ] {
            assert_eq!(parse(bad), Err(UnfitSecret), "{bad:?}");
        }
        assert_eq!(format!("{:?}", parse("abcdefgh").unwrap()), "ImportedSecret(..)");
    }

    #[test]
    fn debug_shows_nothing() {
        let token = PlainToken::auth_token(&SeededEntropy::new(3));
        assert_eq!(format!("{token:?}"), "PlainToken(..)");
    }
}
