//! What tells two stores apart: all their entries, in the order of their keys, without their versions.

use std::fmt;

use aws_lc_rs::digest::{Context, Digest, SHA256};

use super::hexadecimal;
use crate::domain::time::Timestamp;
use crate::store::Entry;

/// Says of all entries together what they are.
#[derive(Clone, Copy)]
pub struct Checksum {
    /// How many there are.
    pub entries: u64,
    /// How long their keys and values are together.
    pub bytes: u64,
    sha256: Digest,
}

impl Checksum {
    /// The SHA-256 over, for each entry, the length of its key in 4 bytes, the key, the length of its value in 4 bytes, the
    /// value, and either a zero or a one and its end in 8 bytes of milliseconds.
    #[must_use]
    pub fn sha256(&self) -> &[u8] {
        self.sha256.as_ref()
    }
}

impl PartialEq for Checksum {
    fn eq(&self, other: &Self) -> bool {
        (self.entries, self.bytes, self.sha256()) == (other.entries, other.bytes, other.sha256())
    }
}

impl Eq for Checksum {}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sha256 = hexadecimal(self.sha256());
        write!(f, "{} entries, {} bytes, {sha256}", self.entries, self.bytes)
    }
}

/// A checksum under way.
pub(super) struct Summing {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    digest: Context,
}

impl Summing {
    pub(super) fn new() -> Self {
        Self {
            entries: 0,
            bytes: 0,
            digest: Context::new(&SHA256),
        }
    }

    pub(super) fn add(&mut self, key: &[u8], entry: &Entry) {
        self.entries += 1;
        for part in [key, &entry.value] {
            // No key and no value comes near to what fits.
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            self.digest.update(&length.to_be_bytes());
            self.digest.update(part);
            self.bytes += u64::from(length);
        }
        match entry.expires_at.map(Timestamp::millis) {
            None => self.digest.update(&[0]),
            Some(millis) => {
                self.digest.update(&[1]);
                self.digest.update(&millis.to_be_bytes());
            }
        }
    }

    pub(super) fn finish(self) -> Checksum {
        Checksum {
            entries: self.entries,
            bytes: self.bytes,
            sha256: self.digest.finish(),
        }
    }
}
