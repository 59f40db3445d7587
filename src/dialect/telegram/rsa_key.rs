//! The key that clients know this server by: 2048 bits, and raw RSA with it.
//!
//! The padding is the protocol's own, so what is needed is a power modulo the key. It takes the same time for all numbers of
//! this length, and works on a number that was blinded with a random one, so that nobody knows what it worked on.

use std::fmt::Write as _;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::digest::sha1;
use super::modular::{Modulus, NUMBER_BYTES, Number};
use super::tl::TlWriter;
use crate::domain::entropy::Entropy;

/// A private key.
pub struct RsaKey {
    modulus: Modulus,
    public_exponent: u32,
    private_exponent: Zeroizing<Number>,
    fingerprint: i64,
    public: Vec<u8>,
}

/// Why something is not a key that this server can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no RSA key, or not whole.
    #[error("is no RSA key in PEM; let the server make one: move the file away and start it again")]
    NotAKey,
    /// It has not 2048 bits, or an unusual exponent.
    #[error("is not a key of 2048 bits with the public exponent 65537; clients take no other")]
    OtherSize,
    /// Clients that write fingerprints without leading zeros do not find it.
    #[error(
        "has a fingerprint that begins with the digit 0, which some clients do not find; use another key"
    )]
    UnfitFingerprint,
}

impl RsaKey {
    /// A new key, and what it is kept as: PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`] if the library cannot make one.
    pub fn generate() -> Result<(Self, Zeroizing<String>), KeyError> {
        loop {
            let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::NotAKey)?;
            let der = pair.as_der().map_err(|_| KeyError::NotAKey)?;
            let text = Zeroizing::new(pem("PRIVATE KEY", der.as_ref()));
            match Self::from_pem(&text) {
                Err(KeyError::UnfitFingerprint) => {}
                made => return made.map(|key| (key, text)),
            }
        }
    }

    /// Reads a key in PEM, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError::NotAKey)?;
        let (pair, private) = match &der {
            PrivateKeyDer::Pkcs1(key) => (
                KeyPair::from_der(key.secret_pkcs1_der()),
                Some(key.secret_pkcs1_der()),
            ),
            PrivateKeyDer::Pkcs8(key) => (
                KeyPair::from_pkcs8(key.secret_pkcs8_der()),
                within_pkcs8(key.secret_pkcs8_der()),
            ),
            _ => return Err(KeyError::NotAKey),
        };
        // The library has checked that the numbers belong together.
        let pair = pair.map_err(|_| KeyError::NotAKey)?;
        let [modulus, exponent, private] = private.and_then(numbers).ok_or(KeyError::NotAKey)?;
        let modulus = padded(modulus).and_then(|number| Modulus::new(&number));
        let modulus = modulus.ok_or(KeyError::OtherSize)?;
        if *exponent != PUBLIC_EXPONENT.to_be_bytes()[1..] {
            return Err(KeyError::OtherSize);
        }
        let named = TlWriter::default().bytes(modulus.number()).bytes(exponent).done();
        let digest = sha1(&[&named]);
        if digest[12] >> 4 == 0 || digest[19] >> 4 == 0 {
            return Err(KeyError::UnfitFingerprint);
        }
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&digest[12..]);
        Ok(Self {
            private_exponent: padded(private).map(Zeroizing::new).ok_or(KeyError::OtherSize)?,
            fingerprint: i64::from_le_bytes(fingerprint),
            public_exponent: PUBLIC_EXPONENT,
            public: pair.public_key().as_ref().to_vec(),
            modulus,
        })
    }

    /// What clients name it by: the last 8 bytes of a digest of its public numbers.
    #[must_use]
    pub fn fingerprint(&self) -> i64 {
        self.fingerprint
    }

    /// What clients are given: the public key in PKCS#1, in PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        pem("RSA PUBLIC KEY", &self.public)
    }

    /// What was encrypted with the public key; `None` if that cannot have been.
    #[must_use]
    pub fn decrypt(&self, encrypted: &Number, entropy: &dyn Entropy) -> Option<Zeroizing<Number>> {
        if encrypted >= self.modulus.number() {
            return None;
        }
        let (blind, unblind) = self.blinding(entropy);
        let blinded = self.modulus.product(encrypted, &blind);
        let raised = self.modulus.power(&blinded, &self.private_exponent);
        let decrypted = self.modulus.product(&raised, &unblind);
        // A fault in between could give the key away.
        let again = self.modulus.public_power(&decrypted, self.public_exponent);
        (*again == *encrypted).then_some(decrypted)
    }

    /// What a number is multiplied with before, and what afterwards.
    fn blinding(&self, entropy: &dyn Entropy) -> (Zeroizing<Number>, Zeroizing<Number>) {
        loop {
            let mut random = Zeroizing::new([0; NUMBER_BYTES]);
            entropy.fill(random.as_mut_slice());
            // Below the modulus, whose highest bit is set.
            random[0] &= 0x7f;
            if let Some(inverse) = self.modulus.inverse(&random) {
                return (self.modulus.public_power(&random, self.public_exponent), inverse);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn encrypt(&self, plain: &Number) -> Number {
        *self.modulus.public_power(plain, self.public_exponent)
    }
}

impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RsaKey({:016x})", self.fingerprint)
    }
}

const PUBLIC_EXPONENT: u32 = 65_537;

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = Zeroizing::new(STANDARD.encode(der));
    for line in encoded.as_bytes().chunks(64) {
        let _infallible = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    text + &format!("-----END {label}-----\n")
}

/// The modulus, the public and the private exponent of an `RSAPrivateKey` (RFC 8017, A.1.2), without leading zeros.
fn numbers(private: &[u8]) -> Option<[&[u8]; 3]> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let (mut rest, _) = value(SEQUENCE, private)?;
    let (_version, after) = value(INTEGER, rest)?;
    rest = after;
    let mut numbers: [&[u8]; 3] = [&[]; 3];
    for number in &mut numbers {
        let (integer, after) = value(INTEGER, rest)?;
        *number = integer.strip_prefix(&[0]).unwrap_or(integer);
        rest = after;
    }
    Some(numbers)
}

/// The `RSAPrivateKey` in a `PrivateKeyInfo` (RFC 5208).
fn within_pkcs8(der: &[u8]) -> Option<&[u8]> {
    let (info, _) = value(0x30, der)?;
    let (_version, rest) = value(0x02, info)?;
    let (_algorithm, rest) = value(0x30, rest)?;
    Some(value(0x04, rest)?.0)
}

/// What is in the first value of DER if that has this tag, and what follows it.
fn value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        ..=0x7f => (usize::from(length), rest),
        0x81 => rest
            .split_first()
            .map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest
            .split_first_chunk()
            .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A number with zeros in front; `None` if it is longer than numbers are.
pub(super) fn padded(number: &[u8]) -> Option<Number> {
    let zeros = NUMBER_BYTES.checked_sub(number.len())?;
    let mut padded = [0; NUMBER_BYTES];
    padded[zeros..].copy_from_slice(number);
    Some(padded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    #[test]
    fn a_key_is_read_back_and_undoes_its_public_half() {
        let (key, text) = RsaKey::generate().unwrap();
        let back = RsaKey::from_pem(&text).unwrap();
        assert_eq!(back.fingerprint(), key.fingerprint());
        assert_eq!(back.public_pem(), key.public_pem());
        assert!(key.public_pem().starts_with("-----BEGIN RSA PUBLIC KEY-----\n"));
        assert_ne!(key.fingerprint().to_be_bytes()[0] >> 4, 0);
        let entropy = SeededEntropy::new(1);
        for plain in [[1; NUMBER_BYTES], [0x70; NUMBER_BYTES], padded(&[2]).unwrap()] {
            let decrypted = back.decrypt(&key.encrypt(&plain), &entropy).unwrap();
            assert!(*decrypted == plain);
        }
        assert!(key.decrypt(key.modulus.number(), &entropy).is_none());
        assert!(key.decrypt(&[0xff; NUMBER_BYTES], &entropy).is_none());
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_quoted() {
        let (_, text) = RsaKey::generate().unwrap();
        let short = KeyPair::generate(KeySize::Rsa3072).unwrap();
        let other_size = pem("PRIVATE KEY", short.as_der().unwrap().as_ref());
        for (text, why) in [
            (String::new(), KeyError::NotAKey),
            ("hunter2".to_owned(), KeyError::NotAKey),
            (text[..text.len() / 2].to_owned(), KeyError::NotAKey),
            (pem("PRIVATE KEY", &[0x30, 3, 2, 1, 0]), KeyError::NotAKey),
            (other_size, KeyError::OtherSize),
        ] {
            assert_eq!(RsaKey::from_pem(&text).unwrap_err(), why);
        }
    }
}
