//! Prefixes: blocks of ten thousand numbers, which is how numbers are given to operators and rented by fraudsters.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::phone::PhoneNumber;

/// An E.164 number without its last four digits: 3 to 11 digits, without the plus sign.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NumberPrefix(String);

impl NumberPrefix {
    /// How many digits at the end of a number its prefix does not have.
    const OPEN: usize = 4;

    /// All digits but the last four.
    #[must_use]
    pub fn of(number: &PhoneNumber) -> Self {
        let digits = number.digits();
        Self(digits[..digits.len() - Self::OPEN].to_owned())
    }

    /// The prefix with these digits, as they stand in keys; `None` if they are no number's.
    #[must_use]
    pub fn from_digits(digits: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(digits).ok()?;
        let number = PhoneNumber::try_from(format!("+{text}0000")).ok()?;
        Some(Self::of(&number))
    }

    /// 3 to 11 of them, without a plus sign.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

/// With a star for each digit that is left open: `+3247012****`. It names ten thousand people, so nobody.
impl fmt::Display for NumberPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}{}", self.0, "*".repeat(Self::OPEN))
    }
}

impl fmt::Debug for NumberPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(number: &str) -> NumberPrefix {
        NumberPrefix::of(&PhoneNumber::try_from(number.to_owned()).unwrap())
    }

    #[test]
    fn a_prefix_is_the_number_without_four_digits() {
        assert_eq!(prefix("+32470123456").to_string(), "+3247012****");
        assert_eq!(prefix("+32470123456"), prefix("+32470120000"));
        assert_ne!(prefix("+32470123456"), prefix("+32470133456"));
        assert_eq!(prefix("+2901234").digits(), "290", "the shortest number");
        assert_eq!(prefix("+123456789012345").digits().len(), 11);
    }

    #[test]
    fn digits_are_read_back() {
        let prefix = prefix("+32470123456");
        assert_eq!(
            NumberPrefix::from_digits(prefix.digits().as_bytes()),
            Some(prefix)
        );
        for bad in ["", "32", "0470", "3247012a", "324701234567"] {
            assert_eq!(NumberPrefix::from_digits(bad.as_bytes()), None, "{bad}");
        }
    }
}
