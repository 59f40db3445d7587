//! The index of expiries takes little space, and gives it back.

use super::*;
use crate::store::contract::expired;

#[tokio::test]
async fn one_group_writes_few_rows() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    store.commit(many(0..1000, 5_000)).await.unwrap();
    assert!((1..20).contains(&rows(&store)), "{}", rows(&store));
    let due = expired(&store, Timestamp::from_millis(5_000), 2000)
        .await
        .unwrap();
    assert_eq!(due.len(), 1000);
    store.close().await.unwrap();
}

#[tokio::test]
async fn when_everything_is_swept_no_row_is_left() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    // More rows than one stretch reads.
    for number in 0..100 {
        let entries = number * 10..number * 10 + 10;
        store
            .commit(many(entries, 1_000 + u64::from(number)))
            .await
            .unwrap();
    }
    // Some are gone early, some never expire after all, some later.
    store.commit(many(0..50, 90_000)).await.unwrap();
    for number in 50..200 {
        let batch = match number % 3 {
            0 => Batch::new().delete(key(number)),
            1 => Batch::new().put(key(number), vec![]),
            _ => Batch::new().put_until(key(number), vec![], Timestamp::MAX),
        };
        store.commit(batch).await.unwrap();
    }
    let mut swept = 0;
    loop {
        let due = expired(&store, Timestamp::MAX, 70).await.unwrap();
        if due.is_empty() {
            break;
        }
        swept += due.len();
        let mut batch = Batch::new();
        for (key, version) in due {
            batch = batch.assert_at(key.clone(), version).delete(key);
        }
        store.commit(batch).await.unwrap();
    }
    assert_eq!(swept, 900);
    // Whatever was to be dropped was asked for before this.
    store.commit(put("last", "")).await.unwrap();
    assert_eq!(rows(&store), 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn an_entry_that_returns_to_its_former_expiry_is_found_once() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    for moment in [1_000, 2_000, 1_000] {
        store.commit(many(0..1, moment)).await.unwrap();
    }
    assert_eq!(rows(&store), 3);
    for _ in 0..2 {
        let due = expired(&store, Timestamp::MAX, 9).await.unwrap();
        assert_eq!(due.len(), 1);
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_row_whose_name_became_valid_again_stays() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    store.commit(many(0..1, 1_000)).await.unwrap();
    let row = layout::row_key(1, version_of(&store, 0).await, 0);
    store.commit(many(0..1, 2_000)).await.unwrap();
    store.commit(many(0..1, 1_000)).await.unwrap();
    // As a reader asks that looked between the last two.
    store
        .queue
        .send(CommitterCommand::DropRows(vec![row]))
        .await
        .unwrap();
    store.commit(put("last", "")).await.unwrap();
    assert_eq!(expired(&store, Timestamp::MAX, 9).await.unwrap().len(), 1);
    store.close().await.unwrap();
}

fn many(numbers: std::ops::Range<u32>, moment: u64) -> Batch {
    numbers.fold(Batch::new(), |batch, number| {
        batch.put_until(key(number), vec![], Timestamp::from_millis(moment))
    })
}

fn key(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

async fn version_of(store: &SledStore, number: u32) -> u64 {
    store.get(&key(number)).await.unwrap().unwrap().version.0
}

fn rows(store: &SledStore) -> usize {
    let (start, end) = layout::row_range(Timestamp::MAX);
    let db = store.db.load_full().unwrap();
    db.range(start..end).count()
}
