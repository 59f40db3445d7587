//! One-time codes that are sent to somebody: made, read as users type them, and compared.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::domain::entropy::Entropy;
use crate::domain::typed_code;
use crate::domain::verification::Alphabet;

/// A code in plain text: 4 to 10 characters of an alphabet, in the one spelling that is compared.
#[derive(Clone)]
pub struct PlainCode(Zeroizing<String>);

impl PlainCode {
    /// The fewest characters.
    pub const MIN_LENGTH: usize = 4;
    /// The most characters.
    pub const MAX_LENGTH: usize = 10;

    /// A new code of `length` characters, 4 to 10; each character is any of the alphabet's with the same chance.
    #[must_use]
    pub fn draw(alphabet: Alphabet, length: u8, entropy: &dyn Entropy) -> Self {
        let letters = letters(alphabet);
        let length = usize::from(length).clamp(Self::MIN_LENGTH, Self::MAX_LENGTH);
        // Bytes past the last whole multiple of the alphabet are thrown away, or its first characters came more often.
        let fair = 256 / letters.len() * letters.len();
        let mut text = Zeroizing::new(String::with_capacity(length));
        let mut random = Zeroizing::new([0; 2 * Self::MAX_LENGTH]);
        while text.len() < length {
            entropy.fill(random.as_mut_slice());
            let fitting = random
                .iter()
                .map(|&byte| usize::from(byte))
                .filter(|&byte| byte < fair);
            for byte in fitting.take(length - text.len()) {
                text.push(char::from(letters[byte % letters.len()]));
            }
        }
        Self(text)
    }

    /// Reads a code as somebody types or pastes it ([`typed_code::read`]); lower-case letters count as upper-case ones. All
    /// spellings of one code become the same text; leading zeros stay. `None` if anything else is in it, or too little or
    /// too much.
    #[must_use]
    pub fn parse(text: &str, alphabet: Alphabet) -> Option<Self> {
        let mut plain = typed_code::read(text)?;
        plain.make_ascii_uppercase();
        let fits = (Self::MIN_LENGTH..=Self::MAX_LENGTH).contains(&plain.len());
        let written = plain.bytes().all(|letter| letters(alphabet).contains(&letter));
        (fits && written).then_some(Self(plain))
    }

    /// `None` if the bytes are no text of [`Self::MIN_LENGTH`] to [`Self::MAX_LENGTH`] bytes.
    #[must_use]
    pub fn from_opened(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let fits = (Self::MIN_LENGTH..=Self::MAX_LENGTH).contains(&text.len());
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Whether both are the same code. Takes the same time for all codes of one length.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }

    /// The text: for the message that carries it, and for sealing it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// How many characters it has: 4 to 10.
    #[must_use]
    pub fn length(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }
}

impl fmt::Debug for PlainCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainCode(..)")
    }
}

fn letters(alphabet: Alphabet) -> &'static [u8] {
    match alphabet {
        Alphabet::Digits => b"0123456789",
        Alphabet::UpperAlphanumeric => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    fn digits(text: &str) -> Option<String> {
        PlainCode::parse(text, Alphabet::Digits).map(|code| code.reveal().to_owned())
    }

    #[test]
    fn all_spellings_of_a_code_are_one() {
        for text in [
            "012345",
            " 012345",
            "012345\n",
            "012 345",
            "\t0 1 2 3 4 5\r\n",
            "\u{a0}012\u{202f}345",
            "012-345",
            "01\u{2011}23\u{2011}45",
            "\u{ff10}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}",
            "\u{660}\u{661}\u{662}\u{663}\u{664}\u{665}",
            "\u{6f0}12345",
        ] {
            assert_eq!(digits(text).as_deref(), Some("012345"), "{text:?}");
        }
        let mixed = PlainCode::parse("ab\u{ff43} 12z", Alphabet::UpperAlphanumeric).unwrap();
        assert_eq!(mixed.reveal(), "ABC12Z");
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let padded = format!("123456{}", " ".repeat(200));
        for text in [
            "",
            "   ",
            "123",
            "12345678901",
            "+123456",
            "12_34_56",
            "0x1234",
            "1234.5",
            "12345\0",
            "abcdef",
            "\u{b2}3456",
            &padded,
        ] {
            assert_eq!(digits(text), None, "{text:?}");
        }
        assert!(PlainCode::parse("ABC+12", Alphabet::UpperAlphanumeric).is_none());
    }

    #[test]
    fn only_the_same_code_matches() {
        let code = |text| PlainCode::parse(text, Alphabet::Digits).unwrap();
        assert!(code("0123").matches(&code(" 0 1 2 3 ")));
        for other in ["1123", "0124", "123456", "01230"] {
            assert!(!code("0123").matches(&code(other)), "{other}");
        }
    }

    #[test]
    fn every_character_comes_as_often_as_any_other() {
        let entropy = SeededEntropy::new(5);
        for (alphabet, count) in [(Alphabet::Digits, 10), (Alphabet::UpperAlphanumeric, 36)] {
            let mut seen = [0_u32; 128];
            for _ in 0..36_000 {
                for byte in PlainCode::draw(alphabet, 10, &entropy).reveal().bytes() {
                    seen[usize::from(byte)] += 1;
                }
            }
            // 360,000 draws: 36,000 each of 10 (standard deviation 180), 10,000 each of 36 (standard deviation 99).
            let expected = 360_000 / count;
            let found: Vec<u32> = seen.into_iter().filter(|seen| *seen > 0).collect();
            assert_eq!(found.len(), usize::try_from(count).unwrap());
            for times in found {
                assert!(times.abs_diff(expected) < expected / 20, "{times} of {expected}");
            }
        }
    }

    #[test]
    fn codes_are_as_long_as_was_asked_for_and_debug_shows_none() {
        let entropy = SeededEntropy::new(6);
        for length in 4..=10 {
            let code = PlainCode::draw(Alphabet::Digits, length, &entropy);
            assert_eq!(code.length(), length);
            assert_eq!(format!("{code:?}"), "PlainCode(..)");
            let back = PlainCode::from_opened(code.reveal().as_bytes()).unwrap();
            assert!(back.matches(&code));
        }
    }
}
