//! Reading: single keys, prefixes, pages.

use super::{apply, expired, keys, put, value};
use crate::domain::time::Timestamp;
use crate::store::{Batch, Order, Store};

pub(crate) async fn a_put_entry_is_read_back(store: &dyn Store) {
    let moment = Timestamp::from_millis(1_700_000_000_123);
    apply(
        store,
        Batch::new().put_until(b"key".to_vec(), b"value".to_vec(), moment),
    )
    .await;
    let entry = store.get(b"key").await.unwrap().unwrap();
    assert_eq!(
        (entry.value.as_slice(), entry.expires_at),
        (&b"value"[..], Some(moment))
    );
    put(store, b"key", b"other").await;
    let entry = store.get(b"key").await.unwrap().unwrap();
    assert_eq!((entry.value.as_slice(), entry.expires_at), (&b"other"[..], None));
}

pub(crate) async fn a_missing_key_is_none(store: &dyn Store) {
    put(store, b"key", b"value").await;
    for missing in [&b""[..], b"ke", b"key\0", b"keys", b"\xff"] {
        assert_eq!(value(store, missing).await, None);
    }
}

pub(crate) async fn an_empty_value_is_not_a_missing_one(store: &dyn Store) {
    put(store, b"key", b"").await;
    assert_eq!(value(store, b"key").await, Some(Vec::new()));
    assert_eq!(keys(store, b"", None, Order::Ascending, 9).await, [b"key"]);
}

pub(crate) async fn many_keys_are_read_in_the_order_of_their_names(store: &dyn Store) {
    let over = Timestamp::from_millis(1);
    apply(
        store,
        Batch::new()
            .put(b"b".to_vec(), b"2".to_vec())
            .put(b"c".to_vec(), b"gone".to_vec())
            .put_until(b"d".to_vec(), b"over".to_vec(), over),
    )
    .await;
    put(store, b"a", b"").await;
    apply(store, Batch::new().delete(b"c".to_vec())).await;
    let keys = [&b"d"[..], b"b", b"c", b"", b"a", b"b", b"bb"].map(<[u8]>::to_vec);
    let entries = store.get_many(&keys).await.unwrap();
    for (key, entry) in keys.iter().zip(&entries) {
        assert_eq!(*entry, store.get(key).await.unwrap(), "{key:?}");
    }
    let values: Vec<_> = entries
        .iter()
        .map(|entry| entry.as_ref().map(|entry| entry.value.as_slice()))
        .collect();
    let (two, empty) = (Some(&b"2"[..]), Some(&b""[..]));
    assert_eq!(values, [Some(&b"over"[..]), two, None, None, empty, two, None]);
    assert_eq!(entries[0].as_ref().unwrap().expires_at, Some(over));
}

pub(crate) async fn no_keys_are_no_entries(store: &dyn Store) {
    put(store, b"", b"value").await;
    assert_eq!(store.get_many(&[]).await.unwrap(), []);
    assert!(store.get_many(&[vec![]]).await.unwrap()[0].is_some());
}

pub(crate) async fn a_scan_is_in_byte_order_both_ways(store: &dyn Store) {
    let ordered: [&[u8]; 6] = [b"\x00", b"a", b"a\x00", b"a\xff", b"b", b"\xff\xff"];
    for index in [3, 0, 5, 1, 4, 2] {
        put(store, ordered[index], b"v").await;
    }
    assert_eq!(keys(store, b"", None, Order::Ascending, 9).await, ordered);
    let mut reversed = ordered;
    reversed.reverse();
    assert_eq!(keys(store, b"", None, Order::Descending, 9).await, reversed);
}

pub(crate) async fn a_scan_stays_within_its_prefix(store: &dyn Store) {
    for key in [&b"a"[..], b"b", b"b\x00", b"bz", b"b\xff\xff", b"c", b"c0"] {
        put(store, key, b"v").await;
    }
    let within: [&[u8]; 4] = [b"b", b"b\x00", b"bz", b"b\xff\xff"];
    assert_eq!(keys(store, b"b", None, Order::Ascending, 9).await, within);
    let mut reversed = within;
    reversed.reverse();
    assert_eq!(keys(store, b"b", None, Order::Descending, 9).await, reversed);
    assert!(keys(store, b"bb", None, Order::Ascending, 9).await.is_empty());
}

pub(crate) async fn a_prefix_of_ff_bytes_has_an_end(store: &dyn Store) {
    for key in [
        &b"a\xff"[..],
        b"a\xff\x01",
        b"b",
        b"\xff",
        b"\xff\xff",
        b"\xff\xff\x00",
    ] {
        put(store, key, b"v").await;
    }
    let behind_a: [&[u8]; 2] = [b"a\xff", b"a\xff\x01"];
    assert_eq!(keys(store, b"a\xff", None, Order::Ascending, 9).await, behind_a);
    let top: [&[u8]; 2] = [b"\xff\xff\x00", b"\xff\xff"];
    assert_eq!(keys(store, b"\xff\xff", None, Order::Descending, 9).await, top);
}

pub(crate) async fn a_scan_begins_behind_its_after_key(store: &dyn Store) {
    for key in [&b"p1"[..], b"p2", b"p3", b"q1"] {
        put(store, key, b"v").await;
    }
    let after = |key, order| keys(store, b"p", Some(key), order, 9);
    assert_eq!(after(b"p1", Order::Ascending).await, [b"p2", b"p3"]);
    assert_eq!(after(b"p3", Order::Descending).await, [b"p2", b"p1"]);
    assert!(after(b"p3", Order::Ascending).await.is_empty());
    assert!(after(b"p1", Order::Descending).await.is_empty());
    assert!(after(b"p", Order::Descending).await.is_empty());
}

pub(crate) async fn a_scan_begins_behind_a_key_that_is_gone(store: &dyn Store) {
    for key in [&b"p1"[..], b"p2", b"p3"] {
        put(store, key, b"v").await;
    }
    apply(store, Batch::new().delete(b"p2".to_vec())).await;
    assert_eq!(keys(store, b"p", Some(b"p2"), Order::Ascending, 9).await, [b"p3"]);
    assert_eq!(
        keys(store, b"p", Some(b"p2"), Order::Descending, 9).await,
        [b"p1"]
    );
    assert_eq!(
        keys(store, b"p", Some(b"p\xff"), Order::Descending, 9).await,
        [b"p3", b"p1"]
    );
}

pub(crate) async fn pages_add_up_to_the_whole(store: &dyn Store) {
    let mut batch = Batch::new();
    for number in 0..100_u8 {
        batch = batch.put(vec![b'p', number], vec![number]);
    }
    apply(store, batch.put(b"o".to_vec(), vec![]).put(b"q".to_vec(), vec![])).await;
    for order in [Order::Ascending, Order::Descending] {
        let mut seen: Vec<Vec<u8>> = Vec::new();
        loop {
            let page = keys(store, b"p", seen.last().map(Vec::as_slice), order, 7).await;
            assert!(page.len() <= 7);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        if order == Order::Descending {
            seen.reverse();
        }
        let whole: Vec<Vec<u8>> = (0..100).map(|number| vec![b'p', number]).collect();
        assert_eq!(seen, whole);
    }
}

pub(crate) async fn a_limit_of_zero_is_empty(store: &dyn Store) {
    put(store, b"key", b"value").await;
    assert!(keys(store, b"", None, Order::Ascending, 0).await.is_empty());
    assert!(expired(store, Timestamp::MAX, 0).await.unwrap().is_empty());
}
