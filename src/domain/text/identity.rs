//! How short and how free the names may be that callers give their users.

use std::borrow::Cow;

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

/// `text` with what stands before the `@` of each identity in it hidden, for logs: where the wide rule holds, an identity may be
/// somebody's e-mail address.
#[must_use]
pub fn without_local_parts(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let is_of_identity = |symbol: char| symbol.is_ascii_alphanumeric() || "-_.@+".contains(symbol);
    let words = text.split_inclusive(|symbol| !is_of_identity(symbol));
    let hidden = words.map(|word| match word.rsplit_once('@') {
        Some((_, domain)) => Cow::Owned(format!("***@{domain}")),
        None => Cow::Borrowed(word),
    });
    Cow::Owned(hidden.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_its_domain_alone() {
        for (text, shown) in [
            ("user-0001", "user-0001"),
            ("ada@example.com", "***@example.com"),
            ("a@b@example.com", "***@example.com"),
            (
                "entity ada+x@example.com of VA1, and b@c",
                "entity ***@example.com of VA1, and ***@c",
            ),
            ("", ""),
        ] {
            assert_eq!(without_local_parts(text), shown);
        }
    }

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
