//! Prefixes: destinations that one fraudster may have all of. Of phone numbers blocks of ten thousand, which is how numbers are
//! given to operators and rented; of e-mail addresses a domain with all below it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::destination::Destination;
use crate::domain::email::EmailAddress;
use crate::domain::phone::PhoneNumber;

/// An E.164 number without its last four digits (3 to 11 digits, without the plus sign), or `@` and a domain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DestinationPrefix(String);

impl DestinationPrefix {
    /// How many digits at the end of a number its prefix does not have.
    const OPEN: usize = 4;

    /// That of a number, or the registered domain of an address; `None` of an address at one of the providers where
    /// everybody has mailboxes.
    #[must_use]
    pub fn of(destination: &Destination) -> Option<Self> {
        match destination {
            Destination::Email(address) => address.private_domain().map(|domain| Self(format!("@{domain}"))),
            Destination::Phone(number) => Some(Self::of_number(number)),
        }
    }

    /// All digits but the last four, of the form by which limits know the number.
    #[must_use]
    pub fn of_number(number: &PhoneNumber) -> Self {
        let mut digits = number.counted();
        digits.truncate(digits.len() - Self::OPEN);
        Self(digits)
    }

    /// The prefix as it stands in keys; `None` if it is none.
    #[must_use]
    pub fn from_key(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let prefix = if text.starts_with('@') {
            let address = EmailAddress::parse(&format!("x{text}")).ok()?;
            Self::of(&Destination::Email(address))
        } else {
            let number = PhoneNumber::try_from(format!("+{text}0000")).ok()?;
            Some(Self::of_number(&number))
        };
        prefix.filter(|prefix| prefix.0 == text)
    }

    /// As it stands in keys: digits without a plus sign, or `@` and a domain.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// With stars for what is left open: `+3247012****`, `*@example.com`. It names thousands of people, so nobody.
impl fmt::Display for DestinationPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.starts_with('@') {
            write!(f, "*{}", self.0)
        } else {
            write!(f, "+{}{}", self.0, "*".repeat(Self::OPEN))
        }
    }
}

impl fmt::Debug for DestinationPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(number: &str) -> DestinationPrefix {
        DestinationPrefix::of_number(&PhoneNumber::try_from(number.to_owned()).unwrap())
    }

    #[test]
    fn a_prefix_is_the_number_without_four_digits() {
        assert_eq!(prefix("+32470123456").to_string(), "+3247012****");
        assert_eq!(prefix("+32470123456"), prefix("+32470120000"));
        assert_ne!(prefix("+32470123456"), prefix("+32470133456"));
        assert_eq!(prefix("+2901234").as_str(), "290", "the shortest number");
        assert_eq!(prefix("+123456789012345").as_str().len(), 11);
    }

    #[test]
    fn the_prefix_of_an_address_is_the_domain_that_somebody_registered() {
        let prefix = |text: &str| {
            let address = EmailAddress::parse(text).unwrap();
            DestinationPrefix::of(&Destination::Email(address)).map(|prefix| prefix.to_string())
        };
        for text in ["a@evil.example", "b+c@EVIL.example", "a@x.y.evil.example"] {
            assert_eq!(prefix(text).as_deref(), Some("*@evil.example"), "{text}");
        }
        for text in ["a@gmail.com", "a@GMail.com", "a@docomo.ne.jp"] {
            assert_eq!(prefix(text), None, "{text}");
        }
        assert!(DestinationPrefix::from_key(b"@evil.example").is_some());
        for bad in [
            "@",
            "@x.evil.example",
            "@gmail.com",
            "@Evil.example",
            "x@evil.example",
        ] {
            assert_eq!(DestinationPrefix::from_key(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn digits_are_read_back() {
        let prefix = prefix("+32470123456");
        assert_eq!(
            DestinationPrefix::from_key(prefix.as_str().as_bytes()),
            Some(prefix)
        );
        for bad in ["", "32", "0470", "3247012a", "324701234567"] {
            assert_eq!(DestinationPrefix::from_key(bad.as_bytes()), None, "{bad}");
        }
    }
}
