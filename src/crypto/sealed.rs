//! The envelope of a secret at rest.
//!
//! ```text
//! format (1 byte, = 1) | key number (2) | nonce (12) | AES-256-GCM-SIV ciphertext | tag (16)
//! ```
//! The format and the key's number are authenticated together with what the caller associates, so that an envelope cannot be
//! read as another format's or another key's.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use crate::domain::entropy::Entropy;
use crate::domain::key_ring::KeyNumber;
use crate::domain::opaque::Sealed;

impl Sealed {
    /// Which key sealed it; none if the bytes are no envelope of a known format.
    #[must_use]
    pub fn key_number(&self) -> Option<KeyNumber> {
        read_header(&self.0).ok().map(|(number, _)| number)
    }

    pub(super) fn seal(
        key: &LessSafeKey,
        number: KeyNumber,
        entropy: &dyn Entropy,
        associated: &[u8],
        plain: &[u8],
    ) -> Self {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut envelope = Vec::with_capacity(BODY + plain.len() + TAG_LENGTH);
        envelope.push(FORMAT);
        envelope.extend_from_slice(&number.0.to_be_bytes());
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(plain);
        let aad = associated_data(&envelope, associated);
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut envelope[BODY..])
            .expect("AES-GCM-SIV fails on messages of 2^36 bytes only");
        envelope.extend_from_slice(tag.as_ref());
        Self(envelope)
    }

    /// Opens it with the key of its [number](Sealed::key_number).
    pub(super) fn open(&self, key: &LessSafeKey, associated: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (_, nonce) = read_header(&self.0)?;
        let mut body = Zeroizing::new(self.0[BODY..].to_vec());
        let aad = associated_data(&self.0, associated);
        let length = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| SealError::NotAuthentic)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    pub(super) fn require_key_number(&self) -> Result<KeyNumber, SealError> {
        read_header(&self.0).map(|(number, _)| number)
    }
}

/// Why an envelope does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes were changed, or stand in another place than the one they were sealed for.
    #[error("a sealed value was changed or moved")]
    NotAuthentic,
    /// The bytes are too short for an envelope.
    #[error("a sealed value is cut short")]
    TooShort,
    /// A later release wrote it, or it is no envelope.
    #[error("a sealed value has the unknown format {0}")]
    UnknownFormat(u8),
    /// The store has no key of this number.
    #[error("a sealed value names the key {0}, which the store does not have")]
    UnknownKey(KeyNumber),
}

fn read_header(envelope: &[u8]) -> Result<(KeyNumber, [u8; NONCE_LEN]), SealError> {
    match envelope.first() {
        None => return Err(SealError::TooShort),
        Some(&FORMAT) => {}
        Some(&other) => return Err(SealError::UnknownFormat(other)),
    }
    if envelope.len() < BODY + TAG_LENGTH {
        return Err(SealError::TooShort);
    }
    let (mut number, mut nonce) = ([0; 2], [0; NONCE_LEN]);
    number.copy_from_slice(&envelope[1..HEADER]);
    nonce.copy_from_slice(&envelope[HEADER..BODY]);
    Ok((KeyNumber(u16::from_be_bytes(number)), nonce))
}

fn associated_data(envelope: &[u8], associated: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([&envelope[..HEADER], associated].concat())
}

const FORMAT: u8 = 1;
const HEADER: usize = 1 + 2;
const BODY: usize = HEADER + NONCE_LEN;
const TAG_LENGTH: usize = 16;
