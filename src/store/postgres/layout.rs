//! What stands in the table, and which keys there are ours.
//!
//! One table holds everything. The first byte of a key says what the row is:
//!
//! | first byte | what follows | the row |
//! | --- | --- | --- |
//! | `d` | the key that the store was given | an entry |
//! | `s` | the epoch of a process (4 bytes) and a number in it (4) | the slot of a writer: its newest mark |
//! | `e` | nothing | the last epoch that was given out, as the row's version |
//!
//! A slot says what became of its writer's last group (see [`writer`](super::writer)).

use std::ops::Bound;

use crate::domain::time::Timestamp;
use crate::store::{Entry, ExpiryPosition, KeptVerdict, Scan, StoreError, Version};

/// The table.
pub(super) const TABLE: &str = "countersign_entries";

/// The key of the row that counts epochs.
pub(super) const EPOCH_KEY: &[u8] = b"e";

/// Where entries begin, and what is behind them all.
pub(super) const ENTRIES: (&[u8], &[u8]) = (b"d", b"e");

/// Where slots begin, and what is behind them all.
pub(super) const SLOTS: (&[u8], &[u8]) = (b"s", b"t");

/// The table's key of the entry at `key`.
pub(super) fn entry_key(key: &[u8]) -> Vec<u8> {
    [b"d", key].concat()
}

/// The store's key of the row at `row_key`.
pub(super) fn key_of(mut row_key: Vec<u8>) -> Vec<u8> {
    row_key.remove(0);
    row_key
}

/// The key of the slot with this number among those of its process, whose first mark is `mark`.
pub(super) fn slot_key(mark: Version, number: u32) -> Vec<u8> {
    [&b"s"[..], &mark.0.to_be_bytes()[..4], &number.to_be_bytes()].concat()
}

/// The rows that `scan` may return: from the first key on, and before the second one.
pub(super) fn rows_of(scan: &Scan) -> Option<(Vec<u8>, Vec<u8>)> {
    let (low, high) = scan.range()?;
    let low = match low {
        Bound::Included(key) => entry_key(&key),
        // The next key in byte order.
        Bound::Excluded(key) => [&entry_key(&key)[..], &[0]].concat(),
        Bound::Unbounded => ENTRIES.0.to_vec(),
    };
    let high = match high {
        Bound::Excluded(key) => entry_key(&key),
        Bound::Included(key) => [&entry_key(&key)[..], &[0]].concat(),
        Bound::Unbounded => ENTRIES.1.to_vec(),
    };
    Some((low, high))
}

/// The entry in a row. No server writes a number below zero: a row that has one is an entry that nobody can read.
pub(super) fn entry(value: Vec<u8>, version: i64, expires_at: Option<i64>) -> Entry {
    let end = expires_at.map(u64::try_from).transpose();
    match (u64::try_from(version), end) {
        (Ok(version), Ok(end)) => Entry {
            value,
            version: Version(version),
            expires_at: end.map(Timestamp::from_millis),
            verdict: KeptVerdict::default(),
        },
        _ => Entry::unreadable(),
    }
}

/// Behind the expired entry in a row.
pub(super) fn position(row_key: &[u8], expires_at: i64) -> ExpiryPosition {
    ExpiryPosition([&expires_at.to_be_bytes()[..], row_key].concat())
}

/// The end and the key of the row that a page of expired entries begins behind.
pub(super) fn behind(position: Option<&ExpiryPosition>) -> (i64, &[u8]) {
    let parts = position.and_then(|ExpiryPosition(bytes)| bytes.split_first_chunk());
    parts.map_or((i64::MIN, &[]), |(end, row_key)| {
        (i64::from_be_bytes(*end), row_key)
    })
}

/// A number that the table holds as a `bigint`, which has a sign.
pub(super) fn number(bigint: i64) -> Result<u64, StoreError> {
    u64::try_from(bigint).map_err(|_| StoreError::Corrupt(format!("{TABLE} holds the number {bigint}")))
}

/// `number` as the table holds it. Versions and moments are far below the limit.
pub(super) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Order;

    #[test]
    fn keys_are_byte_exact() {
        assert_eq!(entry_key(b"\xffk"), b"d\xffk");
        assert_eq!(key_of(entry_key(b"key")), b"key");
        assert_eq!(slot_key(Version((1 << 32) + 7), 2), b"s\0\0\0\x01\0\0\0\x02");
    }

    #[test]
    fn a_scan_stays_among_the_entries() {
        let scan = |prefix: &[u8], after: Option<&[u8]>, order| Scan {
            prefix: prefix.to_vec(),
            after: after.map(<[u8]>::to_vec),
            order,
            limit: 1,
        };
        let rows = |low: &[u8], high: &[u8]| Some((low.to_vec(), high.to_vec()));
        assert_eq!(rows_of(&scan(b"", None, Order::Ascending)), rows(b"d", b"e"));
        assert_eq!(
            rows_of(&scan(b"\xff", None, Order::Descending)),
            rows(b"d\xff", b"e")
        );
        assert_eq!(
            rows_of(&scan(b"a", Some(b"ab"), Order::Ascending)),
            rows(b"dab\0", b"db")
        );
        assert_eq!(
            rows_of(&scan(b"a", Some(b"ab"), Order::Descending)),
            rows(b"da", b"dab")
        );
    }
}
