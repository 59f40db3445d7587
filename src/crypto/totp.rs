//! Time-based one-time codes (RFC 6238) over shared secrets.
//!
//! A step is the number of whole periods since the Unix epoch: the `T` of RFC 6238, section 4.2. Which steps are tried,
//! and that none is accepted twice, is for the caller to decide.

use std::fmt;
use std::ops::RangeInclusive;

use subtle::ConstantTimeEq;
use totp_rs::Builder;
use zeroize::Zeroizing;

use crate::domain::entropy::Entropy;
use crate::domain::totp_algorithm::TotpAlgorithm;
use crate::domain::typed_code;

/// The secret that an authenticator app and the server share: 16 to 128 bytes, or as few as 10 if an older system made it.
pub struct TotpSecret(Zeroizing<Vec<u8>>);

impl TotpSecret {
    /// The fewest bytes a secret should have (RFC 4226, section 4, R6); see [`TotpSecret::is_legacy`].
    pub const MIN_LENGTH: usize = 16;
    /// The fewest bytes a secret can have: the 80 bits of the first authenticator apps.
    pub const MIN_LEGACY_LENGTH: usize = 10;
    /// The most bytes a secret may have: one block of SHA-512.
    pub const MAX_LENGTH: usize = 128;

    /// A new secret, as long as the algorithm's hash.
    #[must_use]
    pub fn generate(algorithm: TotpAlgorithm, entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new(vec![0; algorithm.secret_length()]);
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The secret with these bytes.
    ///
    /// # Errors
    /// When they are too few, even for an older system, or too many.
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, TotpSecretError> {
        match bytes.len() {
            Self::MIN_LEGACY_LENGTH..=Self::MAX_LENGTH => Ok(Self(bytes)),
            other => Err(TotpSecretError::Length(other)),
        }
    }

    /// Whether it has fewer bits (80 to 127) than RFC 4226 asks for. Whoever takes new secrets decides whether to take it.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.0.len() < Self::MIN_LENGTH
    }

    /// Reads base32 (RFC 4648, section 6) as other systems show it and people copy it ([`typed_code::read_long`]): in either
    /// case, padded at its end or not, with blanks and dashes of all kinds. Bits left over after the last byte are dropped,
    /// as authenticator apps do.
    ///
    /// # Errors
    /// When the text is no base32, or stands for too few or too many bytes.
    pub fn from_base32(text: &str) -> Result<Self, TotpSecretError> {
        if text.len() > MAX_TEXT_LENGTH {
            return Err(TotpSecretError::TextLength);
        }
        let mut plain = typed_code::read_long(text, MAX_TEXT_LENGTH).ok_or(TotpSecretError::NotBase32)?;
        plain.make_ascii_uppercase();
        let digits = without_padding(&plain);
        // One, three or six digits in the last group are no whole number of bytes; the decoder would not mind.
        if matches!(digits.len() % 8, 1 | 3 | 6) {
            return Err(TotpSecretError::NotBase32);
        }
        let bytes = base32::decode(base32::Alphabet::Rfc4648 { padding: false }, digits).map(Zeroizing::new);
        Self::from_bytes(bytes.ok_or(TotpSecretError::NotBase32)?)
    }

    /// Upper-case base32 without padding.
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(base32::encode(
            base32::Alphabet::Rfc4648 { padding: false },
            &self.0,
        ))
    }

    /// The bytes, for sealing them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

/// Why something is no TOTP secret. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotpSecretError {
    /// The secret has this many bytes.
    #[error("a TOTP secret has 16 to 128 bytes (10 to 15 in older systems), not {0}")]
    Length(usize),
    /// The text is longer than 1024 bytes.
    #[error("a TOTP secret has at most 128 bytes, and is written in at most 1024")]
    TextLength,
    /// A character is no base32 digit, or the digits are no whole number of bytes.
    #[error("a TOTP secret is written in base32: letters and the digits 2 to 7")]
    NotBase32,
}

/// A one-time code: 3 to 8 ASCII digits.
pub struct Code(Zeroizing<String>);

impl Code {
    /// Reads a code of exactly `digits` (3 to 8) digits as somebody types or pastes it ([`typed_code::read`]). All spellings of
    /// one code become the same text; what is remembered of it is its time step.
    #[must_use]
    pub fn parse(text: &str, digits: u8) -> Option<Self> {
        let plain = typed_code::read(text)?;
        let wanted = DIGITS.contains(&digits)
            && plain.len() == usize::from(digits)
            && plain.bytes().all(|byte| byte.is_ascii_digit());
        wanted.then_some(Self(plain))
    }

    /// The digits: for the tool that plays an authenticator app.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// How many digits the code has: 3 to 8.
    #[must_use]
    pub fn digits(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(*DIGITS.end())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// The code of one step; none unless `digits` is 3 to 8.
#[must_use]
pub fn code_at(secret: &TotpSecret, algorithm: TotpAlgorithm, digits: u8, step: u64) -> Option<Code> {
    DIGITS
        .contains(&digits)
        .then(|| Generator::new(secret, algorithm, digits).code(step))
}

/// All the given steps whose code this is, in their order. Two steps may well share a code; the caller may then take
/// one that was not used yet. Every step is computed and compared in constant time, whatever the others gave.
///
/// The work grows with the number of steps: callers give the few that their windows allow.
#[must_use]
pub fn matching_steps(
    secret: &TotpSecret,
    algorithm: TotpAlgorithm,
    code: &Code,
    steps: impl IntoIterator<Item = u64>,
) -> Vec<u64> {
    let generator = Generator::new(secret, algorithm, code.digits());
    let compared: Vec<_> = steps
        .into_iter()
        .map(|step| (step, generator.code(step).0.as_bytes().ct_eq(code.0.as_bytes())))
        .collect();
    compared
        .into_iter()
        .filter(|(_, equal)| bool::from(*equal))
        .map(|(step, _)| step)
        .collect()
}

struct Generator(totp_rs::Totp);

impl Generator {
    fn new(secret: &TotpSecret, algorithm: TotpAlgorithm, digits: u8) -> Self {
        // Compliance asks for six digits and more; Twilio allows three. Periods of one second make seconds of steps.
        let totp = Builder::new()
            .with_algorithm(match algorithm {
                TotpAlgorithm::Sha1 => totp_rs::Algorithm::SHA1,
                TotpAlgorithm::Sha256 => totp_rs::Algorithm::SHA256,
                TotpAlgorithm::Sha512 => totp_rs::Algorithm::SHA512,
            })
            .with_digits(digits)
            .with_secret(secret.as_bytes())
            .with_step_duration(1)
            .build_noncompliant();
        Self(totp)
    }

    fn code(&self, step: u64) -> Code {
        Code(Zeroizing::new(self.0.generate(step).to_string()))
    }
}

fn without_padding(text: &str) -> &str {
    // Padding fills the last group of eight, with one to six signs.
    match text.find('=') {
        Some(end) if text.len().is_multiple_of(8) && text.len() - end <= 6 => text.trim_end_matches('='),
        _ => text,
    }
}

/// How many digits a code may have.
pub(super) const DIGITS: RangeInclusive<u8> = 3..=8;
/// The longest secret has 205 base32 digits; there is room for a blank of three bytes after each.
const MAX_TEXT_LENGTH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    fn secret(text: &[u8]) -> TotpSecret {
        TotpSecret::from_bytes(Zeroizing::new(text.to_vec())).unwrap()
    }

    fn code(secret: &TotpSecret, algorithm: TotpAlgorithm, digits: u8, step: u64) -> String {
        code_at(secret, algorithm, digits, step)
            .unwrap()
            .reveal()
            .to_owned()
    }

    #[test]
    fn rfc_4226_appendix_d() {
        let secret = secret(b"12345678901234567890");
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (counter, expected) in (0..).zip(expected) {
            assert_eq!(
                code(&secret, TotpAlgorithm::Sha1, 6, counter),
                expected,
                "{counter}"
            );
        }
    }

    #[test]
    fn rfc_6238_appendix_b() {
        let seed = b"1234567890".repeat(7);
        let vectors = [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_111_111_111, ["14050471", "67062674", "99943326"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (2_000_000_000, ["69279037", "90698825", "38618901"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ];
        for (seconds, expected) in vectors {
            for (algorithm, expected) in TotpAlgorithm::ALL.into_iter().zip(expected) {
                let secret = secret(&seed[..algorithm.secret_length()]);
                assert_eq!(
                    code(&secret, algorithm, 8, seconds / 30),
                    expected,
                    "{algorithm:?} {seconds}"
                );
            }
        }
    }

    #[test]
    fn every_length_is_the_tail_of_the_longest() {
        let secret = secret(b"12345678901234567890");
        for step in [0, 1, 37_037_036, u64::from(u32::MAX) + 1, u64::MAX] {
            let longest = code(&secret, TotpAlgorithm::Sha1, 8, step);
            for digits in DIGITS {
                let expected = &longest[8 - usize::from(digits)..];
                assert_eq!(code(&secret, TotpAlgorithm::Sha1, digits, step), expected);
            }
        }
        assert!(code_at(&secret, TotpAlgorithm::Sha1, 2, 0).is_none());
        assert!(code_at(&secret, TotpAlgorithm::Sha1, 9, 0).is_none());
    }

    #[test]
    fn all_matching_steps_are_found() {
        let secret = secret(b"12345678901234567890");
        let steps = 0..=4000;
        let three_digits = Code::parse("082", 3).unwrap();
        let found = matching_steps(&secret, TotpAlgorithm::Sha1, &three_digits, steps.clone());
        let expected: Vec<u64> = steps
            .filter(|&step| code(&secret, TotpAlgorithm::Sha1, 3, step) == "082")
            .collect();
        assert!(found.len() > 1 && found[0] == 1, "{found:?}");
        assert_eq!(found, expected);
        let six_digits = Code::parse("287082", 6).unwrap();
        assert_eq!(
            matching_steps(&secret, TotpAlgorithm::Sha1, &six_digits, 0..=2),
            [1]
        );
        assert!(matching_steps(&secret, TotpAlgorithm::Sha1, &six_digits, 2..=4).is_empty());
        assert!(matching_steps(&secret, TotpAlgorithm::Sha256, &six_digits, 0..=2).is_empty());
    }

    #[test]
    fn all_spellings_of_a_code_are_one_and_nothing_else_is_a_code() {
        for text in [
            "012345",
            " 012 345\n",
            "012-345",
            "\u{a0}012\u{202f}345",
            "\u{ff10}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}",
            "\u{660}\u{661}2345",
        ] {
            assert_eq!(Code::parse(text, 6).unwrap().reveal(), "012345", "{text:?}");
        }
        let variants = [
            "",
            "12345",
            "1234567",
            "12345 6 7",
            "+12345",
            "-12345",
            "12345a",
            "\u{ff11}\u{ff12}",
            "\u{661}\u{662}\u{663}",
            "1234\u{661}",
            "1234\u{967}6",
            "0x1234",
            "12345\0",
        ];
        for text in variants {
            assert!(Code::parse(text, 6).is_none(), "{text:?}");
        }
        assert!(Code::parse("12", 2).is_none());
        assert!(Code::parse("123456789", 9).is_none());
    }

    #[test]
    fn base32_is_read_in_either_case_and_with_padding() {
        let text = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let secret = TotpSecret::from_base32(text).unwrap();
        assert_eq!(secret.as_bytes(), b"12345678901234567890");
        assert_eq!(*secret.to_base32(), text);
        let lower = TotpSecret::from_base32(&text.to_lowercase()).unwrap();
        assert_eq!(lower.as_bytes(), secret.as_bytes());
        // 16 bytes: 26 digits and six signs of padding.
        let padded = format!("{}======", &text[..26]);
        assert_eq!(
            TotpSecret::from_base32(&padded).unwrap().as_bytes(),
            b"1234567890123456"
        );
        assert_eq!(
            TotpSecret::from_base32(&text[..26]).unwrap().as_bytes(),
            b"1234567890123456"
        );
    }

    #[test]
    fn all_spellings_of_a_secret_are_one() {
        let text = "GEZDGNBVGY3TQOJQGEZDGNBVGY";
        let grouped = |between: &str| {
            let groups: Vec<&str> = (0..text.len())
                .step_by(4)
                .map(|at| &text[at..text.len().min(at + 4)])
                .collect();
            groups.join(between)
        };
        for between in [
            " ", "  ", "-", " - ", "\t", "\r\n", "\u{a0}", "\u{2003}", "\u{202f}", "\u{3000}", "\u{200b}",
            "\u{feff}", "\u{2011}", "\u{2013}", "\u{2212}",
        ] {
            let spelled = grouped(between);
            for spelling in [
                spelled.clone(),
                spelled.to_lowercase(),
                format!("{spelled}======"),
                format!("{between}{spelled}{between}======{between}"),
                format!("{spelled}= = =-= = ="),
            ] {
                let read = TotpSecret::from_base32(&spelling).unwrap();
                assert_eq!(read.as_bytes(), b"1234567890123456", "{spelling:?}");
            }
        }
        let wide: String = text
            .chars()
            .map(|digit| char::from_u32(u32::from(digit) + 0xfee0).unwrap())
            .collect();
        assert_eq!(
            TotpSecret::from_base32(&wide).unwrap().as_bytes(),
            b"1234567890123456"
        );
        // The longest secret with the longest blanks.
        let longest = "A\u{3000}".repeat(205);
        assert_eq!(TotpSecret::from_base32(&longest).unwrap().as_bytes(), [0; 128]);
    }

    #[test]
    fn secrets_of_older_systems_are_told_from_others() {
        for (length, legacy) in [(10, true), (15, true), (16, false), (20, false), (128, false)] {
            let secret = secret(&vec![7; length]);
            assert_eq!(secret.is_legacy(), legacy, "{length}");
            let read = TotpSecret::from_base32(&secret.to_base32()).unwrap();
            assert_eq!((read.as_bytes().len(), read.is_legacy()), (length, legacy));
        }
        for length in [0, 1, 9, 129] {
            let refused = TotpSecret::from_bytes(Zeroizing::new(vec![7; length])).unwrap_err();
            assert_eq!(refused, TotpSecretError::Length(length));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let text = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        for bad in [
            text.replace("GEZDGNBV", "GEZD_GNBV"),
            text.replace("GEZDGNBV", "GEZD.GNBV"),
            text.replace("GEZDGNBV", "GEZD-GNB"),
            text.replace('Z', "1"),
            text.replace('Z', "\u{17b}"),
            format!("{text}\0"),
            format!("========{text}"),
            text.replace('Z', "="),
            format!("{text}="),
            format!("{text}========"),
            text[..27].to_owned(),
            text[..30].to_owned(),
            "\u{e9}".repeat(16),
        ] {
            assert_eq!(
                TotpSecret::from_base32(&bad).unwrap_err(),
                TotpSecretError::NotBase32,
                "{bad:?}"
            );
        }
        assert_eq!(
            TotpSecret::from_base32("").unwrap_err(),
            TotpSecretError::Length(0)
        );
        assert_eq!(
            TotpSecret::from_base32(" - \u{a0}").unwrap_err(),
            TotpSecretError::Length(0)
        );
        assert_eq!(
            TotpSecret::from_base32("GEZD GNBV GY3T QOI").unwrap_err(),
            TotpSecretError::Length(9)
        );
        assert!(TotpSecret::from_base32(&"A".repeat(205)).is_ok());
        assert_eq!(
            TotpSecret::from_base32(&"A".repeat(207)).unwrap_err(),
            TotpSecretError::Length(129)
        );
        for long in ["A".repeat(1 << 20), " ".repeat(1025)] {
            assert_eq!(
                TotpSecret::from_base32(&long).unwrap_err(),
                TotpSecretError::TextLength
            );
        }
    }

    #[test]
    fn new_secrets_are_as_long_as_the_hash() {
        let entropy = SeededEntropy::new(1);
        for algorithm in TotpAlgorithm::ALL {
            let secret = TotpSecret::generate(algorithm, &entropy);
            assert_eq!(secret.as_bytes().len(), algorithm.secret_length());
            let again = TotpSecret::from_base32(&secret.to_base32()).unwrap();
            assert_eq!(again.as_bytes(), secret.as_bytes());
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = secret(b"12345678901234567890");
        assert_eq!(format!("{secret:?}"), "TotpSecret(..)");
        assert_eq!(format!("{:?}", Code::parse("123456", 6)), "Some(Code(..))");
    }
}
