//! What a message costs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a message costs, as the operator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Price {
    /// How much, in millionths of the currency.
    pub micros: u64,
    pub currency: Currency,
}

/// A currency: three lower-case letters (ISO 4217).
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads three letters, upper or lower case; `None` if these are none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 3] = text.as_bytes().try_into().ok()?;
        let all = letters.iter().all(u8::is_ascii_alphabetic);
        all.then(|| Self(letters.map(|letter| letter.to_ascii_lowercase())))
    }

    /// The three letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_are_three_letters() {
        assert_eq!(Currency::parse("USD").unwrap().as_str(), "usd");
        for text in ["", "us", "usdt", "u5d", "\u{e4}a"] {
            assert!(Currency::parse(text).is_none(), "{text}");
        }
    }
}
