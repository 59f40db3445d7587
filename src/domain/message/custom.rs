//! Texts that callers write themselves.

use serde::{Deserialize, Serialize};

use super::super::text::may_be_shown;

/// A caller's own text: see [`MessageRequest::custom`](super::MessageRequest::custom) for what is filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomMessage(String);

/// Why a text is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitMessage {
    /// It has control characters other than line feeds, or marks of direction.
    #[error("it has control characters or marks of direction")]
    ControlCharacter,
    /// It is longer than [`CustomMessage::LONGEST`].
    #[error("it is too long")]
    TooLong,
}

impl CustomMessage {
    /// How long it may be, in characters.
    pub const LONGEST: usize = 500;

    /// Checks `text`.
    ///
    /// # Errors
    /// [`UnfitMessage`].
    pub fn parse(text: &str) -> Result<Self, UnfitMessage> {
        if text.chars().count() > Self::LONGEST {
            return Err(UnfitMessage::TooLong);
        }
        if text.chars().any(|c| c != '\n' && !may_be_shown(c)) {
            return Err(UnfitMessage::ControlCharacter);
        }
        Ok(Self(text.to_owned()))
    }

    /// With the places that are still to be filled in; at most [`Self::LONGEST`] characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_bounded_and_have_lines() {
        assert!(CustomMessage::parse(&"\u{e9}".repeat(500)).is_ok());
        assert!(CustomMessage::parse("{{code}}\nBye").is_ok());
        assert_eq!(
            CustomMessage::parse(&"\u{e9}".repeat(501)),
            Err(UnfitMessage::TooLong)
        );
        for bad in ["a\rb", "a\u{1b}[2J", "a\u{85}", "a\u{202e}"] {
            assert_eq!(CustomMessage::parse(bad), Err(UnfitMessage::ControlCharacter));
        }
    }
}
