//! What an operator calls a sender of codes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::{Charset, Invalid};

/// The name of a sender: 1 to 16 lower-case letters, digits and dashes. It stands in keys, filled up with zero bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SenderName([u8; 16]);

impl SenderName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`Invalid`] with what the name must be.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Invalid::unless_written(text, 1, 16, Charset::LowerDigitsDashes)?;
        let mut bytes = [0; 16];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }

    /// Without the zero bytes that fill it up.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }

    /// The bytes as they stand in keys.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The name with these bytes; `None` if they are none's.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 16]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let filled = bytes[end..].iter().all(|byte| *byte == 0);
        Self::parse(std::str::from_utf8(&bytes[..end]).ok()?)
            .ok()
            .filter(|_| filled)
    }
}

impl TryFrom<String> for SenderName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<SenderName> for String {
    fn from(name: SenderName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for SenderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SenderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_from_its_bytes() {
        for text in ["log", "a", "sms-gateway-0001", "7"] {
            let name = SenderName::parse(text).unwrap();
            assert_eq!(name.as_str(), text);
            assert_eq!(SenderName::from_bytes(name.as_bytes()), Some(name));
        }
        for text in ["", "Log", "a b", "sms-gateway-00001", "\u{e4}", "a\0"] {
            assert!(SenderName::parse(text).is_err(), "{text:?}");
        }
        let mut hole = *SenderName::parse("a").unwrap().as_bytes();
        hole[5] = b'b';
        assert_eq!(SenderName::from_bytes(&hole), None);
        assert_eq!(SenderName::from_bytes(&[0; 16]), None);
    }
}
