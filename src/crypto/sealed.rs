//! The envelope of a secret at rest.
//!
//! ```text
//! format (1 byte, = 1) | key id (4) | nonce (12) | AES-256-GCM-SIV ciphertext | tag (16)
//! ```
//! The format and the key id are authenticated together with what the caller associates, so that an envelope cannot be
//! read as another format's or another key's.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use super::master_key::KeyId;
use crate::domain::entropy::Entropy;
use crate::domain::opaque::Sealed;

impl Sealed {
    /// Which master key sealed it; none if the bytes are no envelope of a known format.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        read_header(&self.0).ok().map(|(key_id, _)| key_id)
    }

    pub(super) fn seal(
        key: &LessSafeKey,
        key_id: KeyId,
        entropy: &dyn Entropy,
        associated: &[u8],
        plain: &[u8],
    ) -> Self {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut envelope = Vec::with_capacity(BODY + plain.len() + TAG_LENGTH);
        envelope.push(FORMAT);
        envelope.extend_from_slice(key_id.as_bytes());
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(plain);
        let aad = associated_data(&envelope, associated);
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut envelope[BODY..])
            .expect("AES-GCM-SIV fails on messages of 2^36 bytes only");
        envelope.extend_from_slice(tag.as_ref());
        Self(envelope)
    }

    pub(super) fn open(
        &self,
        key: &LessSafeKey,
        ours: KeyId,
        associated: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (sealed_with, nonce) = read_header(&self.0)?;
        if sealed_with != ours {
            return Err(SealError::OtherKey { sealed_with, ours });
        }
        let mut body = Zeroizing::new(self.0[BODY..].to_vec());
        let aad = associated_data(&self.0, associated);
        let length = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| SealError::NotAuthentic)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

/// Why an envelope does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes were changed, or stand in another place than the one they were sealed for.
    #[error("a sealed value was changed or moved")]
    NotAuthentic,
    /// Another master key sealed it.
    #[error("sealed with master key {sealed_with}, but the master key given is {ours}")]
    OtherKey { sealed_with: KeyId, ours: KeyId },
    /// The bytes are too short for an envelope.
    #[error("a sealed value is cut short")]
    TooShort,
    /// A later release wrote it, or it is no envelope.
    #[error("a sealed value has the unknown format {0}")]
    UnknownFormat(u8),
}

fn read_header(envelope: &[u8]) -> Result<(KeyId, [u8; NONCE_LEN]), SealError> {
    match envelope.first() {
        None => return Err(SealError::TooShort),
        Some(&FORMAT) => {}
        Some(&other) => return Err(SealError::UnknownFormat(other)),
    }
    if envelope.len() < BODY + TAG_LENGTH {
        return Err(SealError::TooShort);
    }
    let (mut key_id, mut nonce) = ([0; 4], [0; NONCE_LEN]);
    key_id.copy_from_slice(&envelope[1..HEADER]);
    nonce.copy_from_slice(&envelope[HEADER..BODY]);
    Ok((KeyId::from_bytes(key_id), nonce))
}

fn associated_data(envelope: &[u8], associated: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([&envelope[..HEADER], associated].concat())
}

const FORMAT: u8 = 1;
const HEADER: usize = 1 + 4;
const BODY: usize = HEADER + NONCE_LEN;
const TAG_LENGTH: usize = 16;
