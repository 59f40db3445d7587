//! The payload: chunks of 64 KiB, each sealed with its number, and the last one as the last.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};

use super::AgeError;
use super::keys::sealing_key;

/// How long each chunk is but the last one.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;
/// How much longer it is when it is sealed.
pub(super) const TAG_BYTES: usize = 16;

/// Seals or opens one chunk after the other.
pub(super) struct Chunks {
    key: LessSafeKey,
    next: u64,
}

impl Chunks {
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        sealing_key(key).map(|key| Self { key, next: 0 })
    }

    /// Whether none came yet.
    pub(super) fn is_first(&self) -> bool {
        self.next == 0
    }

    pub(super) fn seal(&mut self, chunk: &mut Vec<u8>, is_last: bool) -> Result<(), AgeError> {
        let nonce = self.nonce(is_last);
        self.key
            .seal_in_place_append_tag(nonce, Aad::empty(), chunk)
            .map_err(|_| AgeError::Changed)
    }

    pub(super) fn open(&mut self, chunk: &mut Vec<u8>, is_last: bool) -> Result<(), AgeError> {
        let nonce = self.nonce(is_last);
        let opened = self.key.open_in_place(nonce, Aad::empty(), chunk);
        let length = opened.map_err(|_| AgeError::Changed)?.len();
        chunk.truncate(length);
        Ok(())
    }

    /// Whether `chunk`, which was no last one, is the same one with others behind it.
    pub(super) fn is_cut_short(&self, chunk: &mut [u8]) -> bool {
        let nonce = numbered(self.next.wrapping_sub(1), false);
        self.key.open_in_place(nonce, Aad::empty(), chunk).is_ok()
    }

    fn nonce(&mut self, is_last: bool) -> Nonce {
        self.next += 1;
        numbered(self.next - 1, is_last)
    }
}

fn numbered(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(is_last);
    Nonce::assume_unique_for_key(nonce)
}
