//! The bytes in the tree. This is the format on disk: a change needs a new [`FORMAT`] and a way to read the old one.
//!
//! | key | value |
//! | --- | --- |
//! | `00` `format` | one byte, [`FORMAT`] |
//! | `00` `versions` | the first version that no batch has been given, 8 bytes |
//! | `01` key | an entry: version, 8 bytes; `00`, or `01` and expiry, 8 bytes; the value |
//! | `02` expiry, 8 bytes, key | nothing: the entry of that key expires then |
//!
//! Numbers are big-endian, so that the order of the index keys is the order of time.

use std::ops::Bound;

use sled::IVec;

use crate::domain::time::Timestamp;
use crate::store::range::KeyRange;
use crate::store::{Entry, StoreError, Version};

/// The layout that this module reads and writes.
pub(super) const FORMAT: u8 = 1;
pub(super) const FORMAT_KEY: &[u8] = b"\x00format";
pub(super) const VERSIONS_KEY: &[u8] = b"\x00versions";

/// What the committer needs to know of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: u64,
    pub(super) expires_at: Option<u64>,
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

/// The tree's key of an index row, made in `buffer`.
pub(super) fn expiry_key<'b>(buffer: &'b mut Vec<u8>, moment: u64, key: &[u8]) -> &'b [u8] {
    buffer.clear();
    buffer.push(EXPIRY);
    buffer.extend_from_slice(&moment.to_be_bytes());
    buffer.extend_from_slice(key);
    buffer
}

/// The index rows of all moments up to `now`.
pub(super) fn expiry_range(now: Timestamp) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let mut end = Vec::with_capacity(9);
    expiry_key(&mut end, now.millis() + 1, b"");
    (Bound::Included(vec![EXPIRY]), Bound::Excluded(end))
}

/// The moment and the key that an index row names.
pub(super) fn expiry_of(index_key: &[u8]) -> Result<(u64, &[u8]), StoreError> {
    let rest = index_key.get(1..).unwrap_or_default();
    let (moment, key) = rest.split_first_chunk().ok_or_else(short)?;
    Ok((u64::from_be_bytes(*moment), key))
}

/// The stored form of an entry, made in `buffer`.
pub(super) fn encode<'b>(buffer: &'b mut Vec<u8>, head: Head, value: &[u8]) -> &'b [u8] {
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

/// Splits the stored form of an entry.
pub(super) fn decode(stored: &[u8]) -> Result<(Head, &[u8]), StoreError> {
    let (version, rest) = stored.split_first_chunk().ok_or_else(short)?;
    let version = u64::from_be_bytes(*version);
    let (expires_at, value) = match rest.split_first().ok_or_else(short)? {
        (0, value) => (None, value),
        (1, rest) => {
            let (moment, value) = rest.split_first_chunk().ok_or_else(short)?;
            (Some(u64::from_be_bytes(*moment)), value)
        }
        (other, _) => {
            return Err(StoreError::Corrupt(format!(
                "an entry is marked with the unknown byte {other}"
            )));
        }
    };
    Ok((Head { version, expires_at }, value))
}

/// The entry in its stored form.
pub(super) fn entry(stored: &IVec) -> Result<Entry, StoreError> {
    let (head, value) = decode(stored)?;
    Ok(Entry {
        value: value.to_vec(),
        version: Version(head.version),
        expires_at: head.expires_at.map(Timestamp::from_millis),
    })
}

fn short() -> StoreError {
    StoreError::Corrupt("an entry is too short to be one".into())
}

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
            expiry_key(buffer, 0x0102_0304_0506_0708, b"ab"),
            b"\x02\x01\x02\x03\x04\x05\x06\x07\x08ab"
        );
        assert_eq!((FORMAT_KEY, VERSIONS_KEY), (&b"\0format"[..], &b"\0versions"[..]));
    }

    #[test]
    fn entries_are_byte_exact() {
        let buffer = &mut vec![9; 9];
        let head = Head {
            version: 0x0a0b,
            expires_at: None,
        };
        assert_eq!(encode(buffer, head, b"v"), b"\0\0\0\0\0\0\x0a\x0b\0v");
        let head = Head {
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
            Head {
                version: 0,
                expires_at: None,
            },
            Head {
                version: u64::MAX,
                expires_at: Some(0),
            },
        ] {
            for value in [&b""[..], b"\0", b"\x01value"] {
                assert_eq!(decode(encode(buffer, head, value)).unwrap(), (head, value));
            }
        }
        let index_key = expiry_key(buffer, 77, b"key").to_vec();
        assert_eq!(expiry_of(&index_key).unwrap(), (77, &b"key"[..]));
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let whole = encode(
            &mut Vec::new(),
            Head {
                version: 1,
                expires_at: Some(2),
            },
            b"",
        )
        .to_vec();
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "{length}");
        }
        assert!(decode(b"\0\0\0\0\0\0\0\0\x02rest").is_err());
        assert!(expiry_of(b"\x02\0\0\0").is_err());
        assert!(expiry_of(b"").is_err());
    }
}
