//! The index of what a sweeper may reclaim.

use super::{apply, expired, put, value, version};
use crate::domain::time::Timestamp;
use crate::store::{Batch, Store};

pub(crate) async fn the_earliest_expiry_comes_first(store: &dyn Store) {
    // 0x0100 sorts behind 0x00ff only if seconds are compared as numbers or as big-endian bytes.
    for (key, moment) in [("c", 256_000), ("a", 255_999), ("d", 1 << 40), ("b", 3_000)] {
        put_until(store, key, moment).await;
    }
    put(store, b"never", b"").await;
    assert_eq!(expired_keys(store, u64::MAX, 9).await, ["b", "a", "c", "d"]);
}

pub(crate) async fn expiry_is_inclusive_and_limited(store: &dyn Store) {
    for (key, moment) in [("a", 10), ("b", 10), ("c", 1011)] {
        put_until(store, key, moment).await;
    }
    assert!(expired_keys(store, 9, 9).await.is_empty());
    assert_eq!(expired_keys(store, 10, 9).await, ["a", "b"]);
    assert_eq!(expired_keys(store, 1011, 2).await, ["a", "b"]);
    assert_eq!(expired_keys(store, 1011, 9).await, ["a", "b", "c"]);
}

pub(crate) async fn an_overwritten_expiry_is_forgotten(store: &dyn Store) {
    put_until(store, "later", 10).await;
    put_until(store, "never", 10).await;
    put_until(store, "sooner", 30).await;
    put_until(store, "later", 20).await;
    put(store, b"never", b"").await;
    put_until(store, "sooner", 5).await;
    assert_eq!(expired_keys(store, 10, 9).await, ["sooner"]);
    assert_eq!(expired_keys(store, u64::MAX, 9).await, ["sooner", "later"]);
}

pub(crate) async fn a_deleted_expiry_is_forgotten(store: &dyn Store) {
    put_until(store, "key", 10).await;
    apply(store, Batch::new().delete(b"key".to_vec())).await;
    assert!(expired_keys(store, u64::MAX, 9).await.is_empty());
    put(store, b"key", b"").await;
    assert!(expired_keys(store, u64::MAX, 9).await.is_empty());
}

pub(crate) async fn an_expired_entry_is_still_read(store: &dyn Store) {
    put_until(store, "key", 1).await;
    assert_eq!(expired_keys(store, 1, 9).await, ["key"]);
    assert!(value(store, b"key").await.is_some());
}

pub(crate) async fn expired_versions_can_be_asserted(store: &dyn Store) {
    put_until(store, "key", 1).await;
    let due = expired(store, Timestamp::from_millis(1), 9).await.unwrap();
    assert_eq!(due, [(b"key".to_vec(), version(store, b"key").await)]);
    let (key, found) = due[0].clone();
    apply(store, Batch::new().assert_at(key.clone(), found).delete(key)).await;
    assert!(expired_keys(store, u64::MAX, 9).await.is_empty());
}

pub(crate) async fn the_same_expiry_survives_an_overwrite(store: &dyn Store) {
    put_until(store, "key", 1).await;
    put_until(store, "key", 1).await;
    let due = expired(store, Timestamp::from_millis(1), 9).await.unwrap();
    assert_eq!(due, [(b"key".to_vec(), version(store, b"key").await)]);
}

pub(crate) async fn pages_of_what_expired_add_up_to_the_whole(store: &dyn Store) {
    let names: Vec<String> = (0..50).map(|number| format!("{number:02}")).collect();
    for (name, moment) in names.iter().zip((0..).step_by(300)) {
        put_until(store, name, 1_000 + moment).await;
    }
    // Many of one moment, in one batch.
    let together = |batch: Batch, name: &String| {
        let key = format!("x{name}").into_bytes();
        batch.put_until(key, Vec::new(), Timestamp::from_millis(5_000))
    };
    apply(store, names.iter().fold(Batch::new(), together)).await;
    put_until(store, "later", 90_000).await;
    for size in [1, 7, 50, 99, 100, 101] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.expired(Timestamp::from_millis(80_000), after.as_ref(), size);
            let page = page.await.unwrap();
            assert!(page.entries.len() <= size);
            assert!(page.entries.len() == size || page.next.is_none(), "{size}");
            for (key, entry) in page.entries {
                assert_eq!(store.get(&key).await.unwrap(), Some(entry));
                found.push(key);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 100, "{size}");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 100, "{size}");
    }
}

async fn put_until(store: &dyn Store, key: &str, millis: u64) {
    let batch = Batch::new().put_until(key.into(), b"v".to_vec(), Timestamp::from_millis(millis));
    apply(store, batch).await;
}

async fn expired_keys(store: &dyn Store, now: u64, limit: usize) -> Vec<String> {
    let due = expired(store, Timestamp::from_millis(now), limit).await.unwrap();
    due.into_iter()
        .map(|(key, _)| String::from_utf8(key).unwrap())
        .collect()
}
