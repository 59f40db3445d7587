//! The hashes that chain the seals of the audit log: SHA-256 (FIPS 180-4), each over a label of its own.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::domain::audit::AuditSeal;
use crate::domain::sid::AuditSid;
use crate::domain::time::Timestamp;

/// What the next seal and the head hold of a seal.
#[must_use]
pub fn hash_of(seal: &AuditSeal) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(b"countersign audit seal 1");
    hash.update(&seal.number.to_be_bytes());
    hash.update(&seal.previous);
    hash.update(seal.first.as_bytes());
    hash.update(seal.last.as_bytes());
    hash.update(&seal.entries.to_be_bytes());
    hash.update(&seal.digest);
    for moment in [Some(seal.whole_until), Some(seal.ends_at), seal.previous_ends_at] {
        hash.update(&moment.map_or(0, Timestamp::millis).to_be_bytes());
    }
    finished(hash)
}

/// The digest of a stretch of entries, taken in one after the other.
pub struct StretchDigest {
    hash: Context,
    entries: u32,
}

impl Default for StretchDigest {
    fn default() -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(b"countersign audit entries 1");
        Self { hash, entries: 0 }
    }
}

impl StretchDigest {
    /// Takes in an entry: its identifier and the bytes of its record.
    pub fn add(&mut self, sid: AuditSid, record: &[u8]) {
        self.hash.update(sid.as_bytes());
        self.hash.update(&(record.len() as u64).to_be_bytes());
        self.hash.update(record);
        self.entries += 1;
    }

    /// How many were taken in.
    #[must_use]
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// The digest of those that were taken in.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        finished(self.hash)
    }
}

impl fmt::Debug for StretchDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StretchDigest({} entries)", self.entries)
    }
}

fn finished(hash: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_digest_tells_order_lengths_and_identifiers_apart() {
        let (one, two) = (AuditSid::from_bytes([1; 16]), AuditSid::from_bytes([2; 16]));
        let of = |entries: &[(AuditSid, &[u8])]| {
            let mut digest = StretchDigest::default();
            for (sid, record) in entries {
                digest.add(*sid, record);
            }
            digest.finish()
        };
        let all = [
            of(&[(one, b"ab"), (two, b"c")]),
            of(&[(two, b"c"), (one, b"ab")]),
            of(&[(one, b"a"), (two, b"bc")]),
            of(&[(two, b"ab"), (one, b"c")]),
            of(&[(one, b"ab")]),
        ];
        let different: BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn every_field_of_a_seal_counts() {
        let seal = AuditSeal {
            number: 2,
            previous: [1; 32],
            first: AuditSid::from_bytes([2; 16]),
            last: AuditSid::from_bytes([3; 16]),
            entries: 4,
            digest: [5; 32],
            whole_until: Timestamp::from_seconds(6),
            ends_at: Timestamp::from_seconds(7),
            previous_ends_at: None,
        };
        let changes: [fn(&mut AuditSeal); 9] = [
            |seal| seal.number = 3,
            |seal| seal.previous[31] = 0,
            |seal| seal.first = seal.last,
            |seal| seal.last = seal.first,
            |seal| seal.entries = 5,
            |seal| seal.digest[0] = 0,
            |seal| seal.whole_until = Timestamp::from_seconds(8),
            |seal| seal.ends_at = Timestamp::from_seconds(8),
            |seal| seal.previous_ends_at = Some(Timestamp::from_seconds(8)),
        ];
        let mut hashes = BTreeSet::from([hash_of(&seal)]);
        for change in changes {
            let mut other = seal.clone();
            change(&mut other);
            hashes.insert(hash_of(&other));
        }
        assert_eq!(hashes.len(), 1 + 9);
    }
}
