//! Number matching: whoever approves a push challenge types the number that the login page shows.
//!
//! It stops the tap of somebody who did not ask for anything: without the page in front of them they do not know the
//! number, and a guess is right once in a hundred or a thousand times.

use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::entropy::Entropy;
use super::push_answer::BadProof;
use super::text::Invalid;
use super::typed_code;

/// How many digits the number has: 2 or 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NumberLength(u8);

impl NumberLength {
    /// Reads what a caller wants: 0 for no number matching, 2 or 3 digits.
    ///
    /// # Errors
    /// [`Invalid`] for anything else.
    pub fn parse(digits: u8) -> Result<Option<Self>, Invalid> {
        match digits {
            0 => Ok(None),
            2 | 3 => Ok(Some(Self(digits))),
            _ => Err(Invalid::NumberLength),
        }
    }

    /// 2 or 3.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// What holds for a challenge: the longer of what the service demands and what the challenge's creator asks for.
    /// Neither can switch off what the other wants.
    #[must_use]
    pub fn stricter(service: Option<Self>, challenge: Option<Self>) -> Option<Self> {
        service.max(challenge)
    }
}

/// The number of a challenge: as many digits as its length says, zeros in front included. Whoever logs in sees it on the
/// page; the device that is to approve must never be told it, nor a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MatchingNumber(String);

impl MatchingNumber {
    /// A random number; each is as likely as any other.
    #[must_use]
    pub fn draw(length: NumberLength, entropy: &dyn Entropy) -> Self {
        let digits = usize::from(length.get());
        let numbers = if digits == 2 { 100 } else { 1000 };
        // What lies above the last whole multiple would make the small numbers likelier.
        let fair = u16::MAX / numbers * numbers;
        loop {
            let mut bytes = [0; 2];
            entropy.fill(&mut bytes);
            let random = u16::from_le_bytes(bytes);
            if random < fair {
                return Self(format!("{:0digits$}", random % numbers));
            }
        }
    }

    /// The digits, for the page that shows them.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// How many digits it has.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// Whether `typed` is the number. How long that takes says nothing of how much of it is right.
    ///
    /// # Errors
    /// [`BadProof::NumberMissing`] when nothing was typed, [`BadProof::NumberMalformed`] when it does not
    /// come to as many digits as the number has ([`typed_code::read`]): that is no guess, and it approves nothing.
    pub fn judge(&self, typed: Option<&str>) -> Result<bool, BadProof> {
        let typed = typed.ok_or(BadProof::NumberMissing)?;
        let typed = typed_code::read(typed).ok_or(BadProof::NumberMalformed)?;
        if typed.len() != self.0.len() || !typed.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadProof::NumberMalformed);
        }
        Ok(typed.as_bytes().ct_eq(self.0.as_bytes()).into())
    }
}

/// Shows how many digits there are, not which.
impl fmt::Debug for MatchingNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatchingNumber({} digits)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    fn length(digits: u8) -> NumberLength {
        NumberLength::parse(digits).unwrap().unwrap()
    }

    #[test]
    fn numbers_have_no_two_or_three_digits() {
        assert_eq!(NumberLength::parse(0), Ok(None));
        for digits in [1, 4, 255] {
            assert!(NumberLength::parse(digits).is_err(), "{digits}");
        }
        let (two, three) = (Some(length(2)), Some(length(3)));
        for (service, challenge, expected) in [
            (None, None, None),
            (two, None, two),
            (None, two, two),
            (two, three, three),
            (three, two, three),
        ] {
            assert_eq!(NumberLength::stricter(service, challenge), expected);
        }
    }

    /// Every number of the length comes up, zeros in front included, none far more often than others: with 400 expected
    /// of each, 250 and 550 are more than seven standard deviations away.
    #[test]
    fn every_number_is_as_likely_as_any_other() {
        for (digits, numbers) in [(2_u8, 100_usize), (3, 1000)] {
            let entropy = SeededEntropy::new(7);
            let mut seen = vec![0_u32; numbers];
            for _ in 0..400 * numbers {
                let number = MatchingNumber::draw(length(digits), &entropy);
                assert_eq!(number.digits().len(), usize::from(digits));
                seen[number.digits().parse::<usize>().unwrap()] += 1;
            }
            assert!(seen.iter().all(|count| (250..550).contains(count)), "{seen:?}");
        }
    }

    #[test]
    fn only_the_very_digits_are_the_number() {
        for digits in ["07", "47", "00", "999", "010"] {
            let number = MatchingNumber(digits.to_owned());
            assert_eq!(number.judge(Some(digits)), Ok(true));
            assert!(number.judge(None).is_err());
            for guess in 0..10_u32.pow(u32::try_from(digits.len()).unwrap()) {
                let guess = format!("{guess:0width$}", width = digits.len());
                assert_eq!(number.judge(Some(&guess)), Ok(guess == digits), "{guess}");
            }
        }
        let number = MatchingNumber("07".to_owned());
        for malformed in ["", "7", "007", " 7", "7 ", "+7", "0x", "-7", "07\0"] {
            assert!(number.judge(Some(malformed)).is_err(), "{malformed:?}");
        }
        for spelling in [" 07", "0 7\n", "0-7", "\u{a0}07", "٠٧", "０７"] {
            assert_eq!(number.judge(Some(spelling)), Ok(true), "{spelling:?}");
        }
    }

    #[test]
    fn it_does_not_print() {
        let number = MatchingNumber("47".to_owned());
        assert_eq!(format!("{number:?}"), "MatchingNumber(2 digits)");
    }
}
