//! How numbers begin, to look for those that do.

use std::fmt;

use super::PhoneNumber;
use crate::domain::text::Invalid;

/// The first digits of phone numbers, the country code's first.
#[derive(Clone, PartialEq, Eq)]
pub struct LeadingDigits(String);

impl LeadingDigits {
    /// Checks the digits, which have no plus sign in front.
    ///
    /// # Errors
    /// [`Invalid`] unless there are 1 to 15 digits, and nothing else.
    pub fn parse(digits: &str) -> Result<Self, Invalid> {
        const MOST: usize = 15;
        if (1..=MOST).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(digits.to_owned()))
        } else {
            Err(Invalid::PhoneBeginning { most: MOST })
        }
    }

    /// Whether the number begins like this.
    #[must_use]
    pub fn begin(&self, number: &PhoneNumber) -> bool {
        number.digits().starts_with(&self.0)
    }
}

/// They may be a whole number, which is personal data.
impl fmt::Debug for LeadingDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeadingDigits({} digits)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_with_their_country_code() {
        let number = PhoneNumber::try_from("+32470123456".to_owned()).unwrap();
        for (digits, expected) in [
            ("3", true),
            ("32470123456", true),
            ("470", false),
            ("324701234567", false),
        ] {
            assert_eq!(
                LeadingDigits::parse(digits).unwrap().begin(&number),
                expected,
                "{digits}"
            );
        }
        for bad in ["", "+32", "32 4", "3247a", "1234567890123456"] {
            assert!(LeadingDigits::parse(bad).is_err(), "{bad}");
        }
    }
}
