//! How short and how free the names may be that callers give their users.

use super::{Charset, Identity, Invalid};

/// Which identities are taken. What is stored is read by either, so that the rule can be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityRule {
    /// 8 to 64 letters, digits and dashes.
    #[default]
    Narrow,
    /// Whatever an [`Identity`] can be.
    Wide,
}

impl IdentityRule {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`Invalid::Characters`] with what the text must be.
    pub fn parse(self, text: &str) -> Result<Identity, Invalid> {
        match self {
            Self::Narrow => Invalid::unless_written(text, 8, 64, Charset::LettersDigitsDashes)?,
            Self::Wide => {}
        }
        Identity::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_identity_is_a_wide_one() {
        for (text, is_narrow, is_wide) in [
            ("user-001", true, true),
            ("--------", true, true),
            ("ada", false, true),
            ("7", false, true),
            ("ada@example.com", false, true),
            ("Ada_L.+test", false, true),
            ("", false, false),
            (".", false, false),
            ("..", false, false),
            ("..-hidden", false, false),
            ("@SUM", false, false),
            ("+1234567", false, false),
            ("_", false, false),
            ("a b", false, false),
            ("a/b", false, false),
            ("a\0b", false, false),
            ("a%40b", false, false),
            ("\u{ff41}da", false, false),
        ] {
            assert_eq!(IdentityRule::Narrow.parse(text).is_ok(), is_narrow, "{text:?}");
            assert_eq!(IdentityRule::Wide.parse(text).is_ok(), is_wide, "{text:?}");
        }
        for rule in [IdentityRule::Narrow, IdentityRule::Wide] {
            assert!(rule.parse(&"x".repeat(64)).is_ok());
            assert!(rule.parse(&"x".repeat(65)).is_err());
        }
    }
}
