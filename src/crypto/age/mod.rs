//! Files in the age format (<https://age-encryption.org/v1>), for recipients of the type X25519, read and written as they
//! stream by.
//!
//! The format and not the crate of that name: what is used of it here are the primitives of `aws-lc-rs` in an order that is
//! written down, while the crate brings sixty others along, most of them for translating its messages. Whatever reads age
//! reads these files, and the other way round.
//!
//! ```text
//! age-encryption.org/v1
//! -> X25519 <an ephemeral public key>
//! <the file key, sealed under what both keys agree on>
//! --- <a MAC of all lines above under the file key>
//! <a nonce of 16 bytes, and chunks of 64 KiB, each sealed under a key of the file key and the nonce>
//! ```

mod bech32;
mod keys;
mod read;
mod stream;
mod write;

pub use self::keys::{AgeIdentity, AgeKeyError, AgeRecipient};
pub use self::read::AgeReader;
pub use self::write::AgeWriter;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Why a file was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// Some of its bytes are not what was written.
    #[error("it was changed after it was written")]
    Changed,
    /// It does not begin as such a file does.
    #[error("it is no file of the age format")]
    NotAge,
    /// None of its recipients is the reader.
    #[error("it is sealed for another key")]
    OtherKey,
    /// Its end is missing.
    #[error("its end is missing")]
    Truncated,
}

impl From<AgeError> for std::io::Error {
    fn from(error: AgeError) -> Self {
        let kind = match error {
            AgeError::Truncated => std::io::ErrorKind::UnexpectedEof,
            AgeError::Changed | AgeError::NotAge | AgeError::OtherKey => std::io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// The key that a file is sealed under.
type FileKey = Zeroizing<[u8; 16]>;

/// 32 bytes of a secret for one purpose.
fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    struct DerivedLength;
    impl KeyType for DerivedLength {
        fn len(&self) -> usize {
            32
        }
    }
    let mut key = Zeroizing::new([0; 32]);
    let root = Salt::new(HKDF_SHA256, salt).extract(secret);
    // Both fail only beyond 255 times the length of a hash.
    if let Ok(derived) = root.expand(&[info], DerivedLength) {
        let filled = derived.fill(key.as_mut_slice());
        debug_assert!(filled.is_ok(), "32 bytes are one hash");
    }
    key
}

/// What the header's MAC is made with.
fn header_key(file_key: &FileKey) -> hmac::Key {
    let key = derive(file_key.as_slice(), &[], b"header");
    hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())
}

/// What the payload behind `nonce` is sealed with.
fn payload_key(file_key: &FileKey, nonce: &[u8; NONCE_BYTES]) -> Zeroizing<[u8; 32]> {
    derive(file_key.as_slice(), nonce, b"payload")
}

/// Standard base64 without padding, in its one form.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

const FIRST_LINE: &[u8] = b"age-encryption.org/v1\n";
const NONCE_BYTES: usize = 16;
const X25519_INFO: &[u8] = b"age-encryption.org/v1/X25519";

#[cfg(test)]
mod tests;
