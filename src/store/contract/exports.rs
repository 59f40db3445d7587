//! Reading everything as of one moment.

use super::{apply, put};
use crate::domain::time::Timestamp;
use crate::store::{Batch, Entry, Export, Order, Scan, Store};

/// More than any engine hands out in one piece, so that the pieces' seams are crossed.
const ENTRIES: u32 = 2000;

pub(crate) async fn an_export_holds_all_entries_in_order(store: &dyn Store) {
    fill(store).await;
    apply(
        store,
        Batch::new().put_until(b"due".to_vec(), b"v".to_vec(), Timestamp::from_millis(9)),
    )
    .await;
    let whole = scan_all(store).await;
    assert_eq!(drain(&mut *store.export().await.unwrap()).await, whole);
}

pub(crate) async fn an_export_shows_one_moment(store: &dyn Store) {
    fill(store).await;
    let before = scan_all(store).await;
    let mut export = store.export().await.unwrap();
    let mut exported = export.next().await.unwrap().unwrap();
    // Changes on both sides of what was handed out already, twice each, so that a second one cannot undo the first.
    for _ in 0..2 {
        for number in [0, 1, ENTRIES / 2, ENTRIES - 1] {
            put(store, &key(number), b"changed").await;
            apply(
                store,
                Batch::new()
                    .delete(key(number + 1))
                    .put(new_key(number), b"new".to_vec()),
            )
            .await;
        }
    }
    exported.extend(drain(&mut *export).await);
    assert_eq!(exported.len(), before.len());
    assert_eq!(exported, before);
    assert_ne!(scan_all(store).await, before);
}

pub(crate) async fn an_abandoned_export_does_no_harm(store: &dyn Store) {
    fill(store).await;
    let mut abandoned = store.export().await.unwrap();
    abandoned.next().await.unwrap();
    drop(abandoned);
    put(store, &key(ENTRIES - 1), b"changed").await;
    let whole = scan_all(store).await;
    assert_eq!(drain(&mut *store.export().await.unwrap()).await, whole);
}

async fn fill(store: &dyn Store) {
    let batch = (0..ENTRIES).fold(Batch::new(), |batch, number| {
        batch.put(key(number), b"first".to_vec())
    });
    apply(store, batch).await;
}

fn key(number: u32) -> Vec<u8> {
    [b"k", &number.to_be_bytes()[..]].concat()
}

fn new_key(number: u32) -> Vec<u8> {
    [b"k", &number.to_be_bytes()[..], b"+"].concat()
}

async fn drain(export: &mut dyn Export) -> Vec<(Vec<u8>, Entry)> {
    let mut all = Vec::new();
    while let Some(piece) = export.next().await.unwrap() {
        all.extend(piece);
    }
    assert!(export.next().await.unwrap().is_none());
    all
}

async fn scan_all(store: &dyn Store) -> Vec<(Vec<u8>, Entry)> {
    let all = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    store.scan(all).await.unwrap()
}
