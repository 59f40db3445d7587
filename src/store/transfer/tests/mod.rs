//! Round trips and refusals.

mod conversions;
mod half_imports;

use std::io::Cursor;

use tempfile::TempDir;

use super::*;
use crate::domain::time::Timestamp;
use crate::store::contract::expired;
use crate::store::memory::MemoryStore;
use crate::store::records::{self, Filling, Stored};
use crate::store::sled::{Options, SledStore};
use crate::store::{Batch, Order, Scan, Store, Version, keys};

#[tokio::test]
async fn memory_to_sled_to_memory_is_byte_identical() {
    let first = sample().await;
    let exported = exported(&first).await;

    let directory = TempDir::new().unwrap();
    let second = SledStore::open(&Options::new(directory.path())).unwrap();
    assert_eq!(imported(&second, &exported).await.unwrap(), 1004);
    assert_eq!(self::exported(&second).await, exported);
    second.close().await.unwrap();

    let third = MemoryStore::new();
    imported(&third, &exported).await.unwrap();
    assert_eq!(self::exported(&third).await, exported);
    assert_eq!(expired(&third, Timestamp::MAX, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_file_is_byte_exact() {
    let store = MemoryStore::new();
    let batch = Batch::new()
        .put(b"factor".to_vec(), b"sealed".to_vec())
        .put_until(
            b"token".to_vec(),
            Vec::new(),
            Timestamp::from_millis(1_750_000_000_000),
        );
    store.commit(batch).await.unwrap();
    let text = String::from_utf8(exported(&store).await).unwrap();
    let (above, trailer) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        above,
        "{\"format\":\"countersign-export\",\"version\":1}\n\
         {\"key\":\"ZmFjdG9y\",\"value\":\"c2VhbGVk\"}\n\
         {\"key\":\"dG9rZW4=\",\"value\":\"\",\"expires_at\":1750000000000}"
    );
    // Computed with sha256sum over the three lines above.
    assert_eq!(
        trailer,
        format!("{{\"entries\":2,\"sha256\":\"{SAMPLE_SHA256}\"}}")
    );
}

#[tokio::test]
async fn an_empty_store_makes_the_round_trip() {
    let exported = exported(&MemoryStore::new()).await;
    assert_eq!(imported(&MemoryStore::new(), &exported).await.unwrap(), 0);
}

#[tokio::test]
async fn a_store_with_entries_is_no_target() {
    let exported = exported(&sample().await).await;
    let target = MemoryStore::new();
    target
        .commit(Batch::new().put(b"theirs".to_vec(), vec![]))
        .await
        .unwrap();
    let error = imported(&target, &exported).await.unwrap_err();
    assert!(matches!(error, ImportError::Fill(FillError::NotEmpty)));
    assert_eq!(count(&target).await, 1);
}

#[tokio::test]
async fn every_truncation_is_refused() {
    let exported = small().await;
    for length in 0..exported.len() {
        let error = refused(&exported[..length]).await;
        assert!(matches!(error, ImportError::Truncated), "{length}: {error}");
    }
}

#[tokio::test]
async fn every_changed_byte_is_refused() {
    let exported = small().await;
    for position in 0..exported.len() {
        let mut changed = exported.clone();
        changed[position] ^= 1;
        refused(&changed).await;
    }
}

#[tokio::test]
async fn lines_cannot_be_removed_repeated_or_added() {
    let text = String::from_utf8(small().await).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let [header, first, second, trailer] = lines[..] else {
        panic!("{text}")
    };
    for (changed, expected) in [
        ([header, second, trailer].concat(), "checksum"),
        ([header, first, first, second, trailer].concat(), "line 3"),
        ([header, second, first, trailer].concat(), "line 3"),
        ([header, first, second, trailer, trailer].concat(), "line 5"),
        ([header, header, first, second, trailer].concat(), "line 2"),
        ([first, second, trailer].concat(), "no export"),
        (header.replace(":1}", ":2}") + first, "version 2"),
    ] {
        let message = refused(changed.as_bytes()).await.to_string();
        assert!(message.contains(expected) && !message.contains('\n'), "{message}");
    }
}

#[tokio::test]
async fn what_the_store_cannot_hold_is_refused_before_anything_is_written() {
    let row = |key: Vec<u8>, expires_at| Row {
        key,
        value: vec![],
        expires_at,
    };
    for oversized in [
        row(vec![b'z'; MAX_KEY_BYTES + 1], None),
        row(vec![b'z'], Some(u64::MAX)),
    ] {
        let oversized = serde_json::to_string(&oversized).unwrap();
        let header = format!("{{\"format\":\"{FORMAT}\",\"version\":1}}");
        let above = [
            header.as_str(),
            "{\"key\":\"YQ==\",\"value\":\"\"}",
            &oversized,
            "",
        ]
        .join("\n");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, above.as_bytes());
        let text = format!(
            "{above}{{\"entries\":2,\"sha256\":\"{}\"}}\n",
            hexadecimal(digest.as_ref())
        );
        let error = refused(text.as_bytes()).await;
        assert!(matches!(error, ImportError::Line { line: 3, .. }), "{error}");
    }
}

#[tokio::test]
async fn an_endless_line_is_refused_without_reading_it_all() {
    let mut text = format!("{{\"format\":\"{FORMAT}\",\"version\":1}}\n").into_bytes();
    text.resize(text.len() + 4 * MAX_LINE_BYTES, b' ');
    let mut input = Cursor::new(&text);
    let error = import(&MemoryStore::new(), &mut input, None, None)
        .await
        .unwrap_err();
    assert!(matches!(error, ImportError::Line { line: 2, .. }), "{error}");
    assert!(input.position() < 2 * MAX_LINE_BYTES as u64);
}

#[tokio::test]
async fn the_largest_entry_fits_on_a_line() {
    let store = MemoryStore::new();
    let batch = Batch::new().put_until(
        vec![0xff; MAX_KEY_BYTES],
        vec![0xff; MAX_VALUE_BYTES],
        Timestamp::MAX,
    );
    store.commit(batch).await.unwrap();
    assert_eq!(
        imported(&MemoryStore::new(), &exported(&store).await)
            .await
            .unwrap(),
        1
    );
}

async fn sample() -> MemoryStore {
    let store = MemoryStore::new();
    let mut batch = Batch::new()
        .put(Vec::new(), b"at the empty key".to_vec())
        .put(b"\xff\xfe\0".to_vec(), vec![0, 255, 128])
        .put(b"empty".to_vec(), Vec::new())
        .put_until(b"due".to_vec(), b"v".to_vec(), Timestamp::from_millis(77));
    for number in 0..1000_u32 {
        batch = batch.put(number.to_be_bytes().to_vec(), vec![7; number as usize]);
    }
    store.commit(batch).await.unwrap();
    store
}

/// An export of two entries.
async fn small() -> Vec<u8> {
    let store = MemoryStore::new();
    let batch = Batch::new()
        .put(b"a".to_vec(), b"1".to_vec())
        .put(b"b".to_vec(), b"2".to_vec());
    store.commit(batch).await.unwrap();
    exported(&store).await
}

async fn exported(store: &dyn Store) -> Vec<u8> {
    let mut output = Vec::new();
    export(store, None, &mut output).await.unwrap();
    output
}

async fn imported(store: &dyn Store, file: &[u8]) -> Result<u64, ImportError> {
    import(store, &mut Cursor::new(file), None, None).await
}

/// The error of an import that must fail and leave the store empty.
async fn refused(file: &[u8]) -> ImportError {
    let store = MemoryStore::new();
    let error = imported(&store, file).await.unwrap_err();
    assert_eq!(count(&store).await, 0);
    error
}

async fn count(store: &dyn Store) -> usize {
    let all = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    store.scan(all).await.unwrap().len()
}

async fn mark(store: &dyn Store) -> Option<Filling> {
    let read = records::read(store, &keys::filling()).await.unwrap();
    read.map(|Stored { record, .. }| record)
}

async fn versions(store: &dyn Store) -> Vec<(Vec<u8>, Version)> {
    let all = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let entries = store.scan(all).await.unwrap();
    entries
        .into_iter()
        .map(|(key, entry)| (key, entry.version))
        .collect()
}

const SAMPLE_SHA256: &str = "b534c60884d713617772d56510e217312bff6d8ea4ac5a61c61746210648ff1a";
