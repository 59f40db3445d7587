//! Keys derived from one secret: each purpose has its own, with HKDF-SHA256 (RFC 5869) under its own label.

use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// What keys are derived from: `secret`, for the use that `salt` names.
pub(super) fn root(salt: &[u8], secret: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, salt).extract(secret)
}

/// A key that seals.
pub(super) fn sealing(root: &Prk, label: &[u8]) -> LessSafeKey {
    let key = Zeroizing::new(bytes::<32>(root, label));
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key.as_slice()).expect("AES-256 takes 32 bytes"))
}

/// A key that vouches.
pub(super) fn mac(root: &Prk, label: &[u8]) -> hmac::Key {
    let key = Zeroizing::new(bytes::<32>(root, label));
    hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())
}

/// Derived bytes.
pub(super) fn bytes<const N: usize>(root: &Prk, label: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    root.expand(&[label], KeyLength(N))
        .and_then(|okm| okm.fill(&mut bytes))
        .expect("HKDF-SHA256 gives up to 8160 bytes");
    bytes
}

struct KeyLength(usize);

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        self.0
    }
}
