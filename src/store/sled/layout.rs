//! The bytes in the tree. This is the format on disk: a change needs a new [`FORMAT`] and a way to read the old one.
//!
//! | key | value |
//! | --- | --- |
//! | `00` `format` | one byte, [`FORMAT`] |
//! | `00` `versions` | the first version that no batch has been given, 8 bytes |
//! | `01` key | an entry: version, 8 bytes; `00`, or `01` and expiry, 8 bytes; the value |
//! | `02` second, 8 bytes; version, 8 bytes; number, 4 bytes | names of entries that expire within that second |
//!
//! A name is the milliseconds after the second, 2 bytes, the length of the key, 2 bytes, and the key. The version is the
//! last one of the group of batches that wrote the row, and the number counts its rows.
//!
//! Numbers are big-endian, so that the order of the index keys is the order of time.

use std::ops::Bound;

use sled::IVec;

use crate::domain::time::Timestamp;
use crate::store::range::KeyRange;
use crate::store::{Entry, KeptVerdict, StoreError, Version};

/// The layout that this module reads and writes.
pub(super) const FORMAT: u8 = 1;
pub(super) const FORMAT_KEY: &[u8] = b"\x00format";
pub(super) const VERSIONS_KEY: &[u8] = b"\x00versions";

/// What the committer needs to know of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryHead {
    pub(super) version: u64,
    pub(super) expires_at: Option<u64>,
}

impl EntryHead {
    /// As [`Entry::unreadable`] has it.
    const UNREADABLE: Self = Self {
        version: 0,
        expires_at: None,
    };
}

/// Writes the tree's key of the entry at `key` into `buffer`.
pub(super) fn data_key<'b>(buffer: &'b mut Vec<u8>, key: &[u8]) -> &'b [u8] {
    buffer.clear();
    buffer.push(DATA);
    buffer.extend_from_slice(key);
    buffer
}

/// The store's key in a tree's key of an entry.
pub(super) fn key_of(data_key: &[u8]) -> &[u8] {
    data_key.get(1..).unwrap_or_default()
}

/// The bounds of `range` in the tree.
pub(super) fn data_range((low, high): KeyRange) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let tagged = |mut key: Vec<u8>| {
        key.insert(0, DATA);
        key
    };
    let high = match high {
        Bound::Unbounded => Bound::Excluded(vec![DATA + 1]),
        bounded => bounded.map(tagged),
    };
    (low.map(tagged), high)
}

/// Where the entries end in the tree.
pub(super) const DATA_END: &[u8] = &[DATA + 1];

/// The second of `moment`, in which its index row is.
pub(super) fn second_of(moment: u64) -> u64 {
    moment / SECOND
}

/// The tree's key of an index row.
pub(super) fn row_key(second: u64, version: u64, number: u32) -> IVec {
    let mut key = [EXPIRY; 21];
    key[1..9].copy_from_slice(&second.to_be_bytes());
    key[9..17].copy_from_slice(&version.to_be_bytes());
    key[17..].copy_from_slice(&number.to_be_bytes());
    IVec::from(&key)
}

/// Where the index rows of all seconds up to that of `now` begin and end.
pub(super) fn row_range(now: Timestamp) -> (Vec<u8>, Vec<u8>) {
    let mut end = vec![EXPIRY];
    end.extend_from_slice(&(second_of(now.millis()) + 1).to_be_bytes());
    (vec![EXPIRY], end)
}

/// Adds a name to an index row.
pub(super) fn push_name(row: &mut Vec<u8>, moment: u64, key: &[u8]) {
    for number in [moment % SECOND, key.len() as u64] {
        // Both fit: a key has at most `MAX_KEY_BYTES` bytes.
        row.extend_from_slice(&number.to_be_bytes()[6..]);
    }
    row.extend_from_slice(key);
}

/// The moments and keys that an index row names.
pub(super) fn names<'r>(
    row_key: &[u8],
    mut row: &'r [u8],
) -> impl Iterator<Item = Result<(u64, &'r [u8]), StoreError>> {
    let second = row_key.get(1..).and_then(|rest| rest.first_chunk());
    let start = second.map(|second| u64::from_be_bytes(*second).saturating_mul(SECOND));
    std::iter::from_fn(move || {
        if row.is_empty() {
            return None;
        }
        let name = start.and_then(|start| {
            let (after, rest) = row.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            row = rest;
            Some((start.saturating_add(u64::from(u16::from_be_bytes(*after))), key))
        });
        if name.is_none() {
            row = &[];
        }
        Some(name.ok_or_else(short))
    })
}

/// The stored form of an entry, made in `buffer`.
pub(super) fn encode<'b>(buffer: &'b mut Vec<u8>, head: EntryHead, value: &[u8]) -> &'b [u8] {
    buffer.clear();
    buffer.extend_from_slice(&head.version.to_be_bytes());
    match head.expires_at {
        None => buffer.push(0),
        Some(moment) => {
            buffer.push(1);
            buffer.extend_from_slice(&moment.to_be_bytes());
        }
    }
    buffer.extend_from_slice(value);
    buffer
}

/// Splits the stored form of an entry; `None` if it is none.
pub(super) fn decode(stored: &[u8]) -> Option<(EntryHead, &[u8])> {
    let (version, rest) = stored.split_first_chunk()?;
    let version = u64::from_be_bytes(*version);
    let (expires_at, value) = match rest.split_first()? {
        (0, value) => (None, value),
        (1, rest) => {
            let (moment, value) = rest.split_first_chunk()?;
            (Some(u64::from_be_bytes(*moment)), value)
        }
        _ => return None,
    };
    Some((EntryHead { version, expires_at }, value))
}

/// What is to be known of an entry in its stored form. Whoever cannot read it sees that it is there.
pub(super) fn head(stored: &[u8]) -> EntryHead {
    decode(stored).map_or(EntryHead::UNREADABLE, |(head, _)| head)
}

/// The entry in its stored form.
pub(super) fn entry(stored: &IVec, verdict: KeptVerdict) -> Entry {
    match decode(stored) {
        Some((head, value)) => Entry {
            value: value.to_vec(),
            version: Version(head.version),
            expires_at: head.expires_at.map(Timestamp::from_millis),
            verdict,
        },
        None => Entry::unreadable(),
    }
}

fn short() -> StoreError {
    StoreError::Corrupt("a row of the index of expiries is too short".into())
}

/// The milliseconds that share an index row.
const SECOND: u64 = 1000;
const DATA: u8 = 1;
const EXPIRY: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_byte_exact() {
        let buffer = &mut vec![9; 9];
        assert_eq!(data_key(buffer, b"ab"), b"\x01ab");
        assert_eq!(
            &*row_key(0x0102_0304_0506_0708, 0x0a0b, 0x0c0d),
            b"\x02\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\x0a\x0b\0\0\x0c\x0d"
        );
        assert_eq!((FORMAT_KEY, VERSIONS_KEY), (&b"\0format"[..], &b"\0versions"[..]));
    }

    #[test]
    fn entries_are_byte_exact() {
        let buffer = &mut vec![9; 9];
        let head = EntryHead {
            version: 0x0a0b,
            expires_at: None,
        };
        assert_eq!(encode(buffer, head, b"v"), b"\0\0\0\0\0\0\x0a\x0b\0v");
        let head = EntryHead {
            version: 1,
            expires_at: Some(0x0102),
        };
        assert_eq!(
            encode(buffer, head, b""),
            b"\0\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\x01\x02"
        );
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let buffer = &mut Vec::new();
        for head in [
            EntryHead {
                version: 0,
                expires_at: None,
            },
            EntryHead {
                version: u64::MAX,
                expires_at: Some(0),
            },
        ] {
            for value in [&b""[..], b"\0", b"\x01value"] {
                assert_eq!(decode(encode(buffer, head, value)).unwrap(), (head, value));
            }
        }
    }

    #[test]
    fn index_rows_are_byte_exact() {
        let mut row = Vec::new();
        push_name(&mut row, 2_999, b"ab");
        push_name(&mut row, 2_000, b"");
        assert_eq!(row, b"\x03\xe7\0\x02ab\0\0\0\0");
        let key = row_key(second_of(2_999), 7, 0);
        let found: Vec<_> = names(&key, &row).map(Result::unwrap).collect();
        assert_eq!(found, [(2_999, &b"ab"[..]), (2_000, b"")]);
        let (start, end) = row_range(Timestamp::from_millis(2_000));
        assert!(*start < *key && *key < *end);
        let (_, end) = row_range(Timestamp::from_millis(1_999));
        assert!(*key >= *end);
    }

    #[test]
    fn damaged_bytes_are_no_entry() {
        let whole = encode(
            &mut Vec::new(),
            EntryHead {
                version: 1,
                expires_at: Some(2),
            },
            b"",
        )
        .to_vec();
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_none(), "{length}");
        }
        assert!(decode(b"\0\0\0\0\0\0\0\0\x02rest").is_none());
        let key = row_key(1, 2, 3);
        for row in [&b"\0"[..], b"\0\0\0", b"\0\0\0\x02a"] {
            let found: Vec<_> = names(&key, row).collect();
            assert!(matches!(found.as_slice(), [Err(_)]), "{row:?}");
        }
        assert!(names(b"\x02", b"\0\0\0\0").all(|name| name.is_err()));
    }
}
