//! The one secret that an operator keeps outside the store; every other key is derived from it.

use std::fmt;

use aws_lc_rs::hkdf::Prk;
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::derived_key;
use crate::domain::entropy::Entropy;
use crate::domain::key_ring::KeyId;

/// 32 random bytes.
// Boxed, so that moving the value leaves no copy behind that nobody wipes.
pub struct MasterKey(Box<Zeroizing<[u8; 32]>>);

impl MasterKey {
    /// 256 random bits.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Self(Box::new(Zeroizing::new([0; 32])));
        entropy.fill(key.0.as_mut_slice());
        key
    }

    /// Reads a key from its text: the standard base64 of 32 bytes, or 64 hexadecimal digits. Blanks and line ends
    /// around it do not count, because a key file ends in one.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim_ascii();
        let bytes = Zeroizing::new(if text.len() == 64 {
            hex(text).ok_or(MasterKeyError::NotHex)?
        } else {
            EITHER_PADDING
                .decode(text)
                .map_err(|_| MasterKeyError::NotBase64)?
        });
        let mut key = Self(Box::new(Zeroizing::new([0; 32])));
        if bytes.len() != key.0.len() {
            return Err(MasterKeyError::Length(bytes.len()));
        }
        key.0.copy_from_slice(&bytes);
        Ok(key)
    }

    /// The text that [`parse`](Self::parse) reads back: base64, padded.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes()))
    }

    /// Which one it is, without a word about what it is.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::from_bytes(derived_key::bytes(&self.root(), b"key id"))
    }

    /// What its own keys are derived from.
    pub(super) fn root(&self) -> Prk {
        derived_key::root(b"countersign master key 1", self.bytes())
    }

    fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// Why a text is no master key. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// The base64 stands for this many bytes.
    #[error("the master key must be 32 bytes, but this is the base64 of {0}")]
    Length(usize),
    /// The text has another length than hexadecimal digits would have, and is no base64.
    #[error("the master key must be base64 of 32 bytes, or 64 hexadecimal digits")]
    NotBase64,
    /// The text has 64 characters, but some are no hexadecimal digits.
    #[error("the master key has 64 characters, but not all are hexadecimal digits")]
    NotHex,
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for pair in text.as_bytes().chunks_exact(2) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(bytes)
}

/// Standard base64 that may leave the padding out, and is canonical in everything else.
pub(super) const EITHER_PADDING: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    #[test]
    fn text_leads_back_to_the_key() {
        let key = MasterKey::generate(&SeededEntropy::new(1));
        let text = key.to_text();
        assert_eq!(text.len(), 44);
        assert_eq!(MasterKey::parse(&text).unwrap().bytes(), key.bytes());
        assert_eq!(
            MasterKey::parse(text.trim_end_matches('=')).unwrap().bytes(),
            key.bytes()
        );
        assert_eq!(
            MasterKey::parse(&format!("{}\r\n", *text)).unwrap().bytes(),
            key.bytes()
        );
    }

    #[test]
    fn hexadecimal_digits_are_a_key_too() {
        let text = "000102030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f";
        let expected: Vec<u8> = (0..32).collect();
        assert_eq!(MasterKey::parse(text).unwrap().bytes().as_slice(), expected);
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let short = STANDARD.encode([1; 31]);
        assert_eq!(MasterKey::parse(&short).unwrap_err(), MasterKeyError::Length(31));
        assert_eq!(MasterKey::parse("").unwrap_err(), MasterKeyError::Length(0));
        assert_eq!(
            MasterKey::parse("not base64!").unwrap_err(),
            MasterKeyError::NotBase64
        );
        assert_eq!(
            MasterKey::parse(&"g".repeat(64)).unwrap_err(),
            MasterKeyError::NotHex
        );
        assert_eq!(
            MasterKey::parse(&"\u{e9}".repeat(32)).unwrap_err(),
            MasterKeyError::NotHex
        );
    }

    #[test]
    fn debug_shows_nothing() {
        let key = MasterKey::generate(&SeededEntropy::new(2));
        assert_eq!(format!("{key:?}"), "MasterKey(..)");
    }
}
