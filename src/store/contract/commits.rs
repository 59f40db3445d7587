//! Committing: assertions, atomicity, versions, limits.

use super::{apply, expired, keys, put, value, version};
use crate::domain::time::Timestamp;
use crate::store::{Batch, CommitError, MAX_KEY_BYTES, MAX_VALUE_BYTES, Order, Scan, Store, StoreError};

pub(crate) async fn a_batch_applies_as_a_whole(store: &dyn Store) {
    put(store, b"old", b"1").await;
    let batch = Batch::new()
        .put(b"new".to_vec(), b"2".to_vec())
        .put(b"newer".to_vec(), b"3".to_vec())
        .delete(b"old".to_vec());
    apply(store, batch).await;
    assert_eq!(
        keys(store, b"", None, Order::Ascending, 9).await,
        [&b"new"[..], b"newer"]
    );
}

pub(crate) async fn a_conflict_changes_nothing(store: &dyn Store) {
    let moment = Timestamp::from_millis(5);
    put(store, b"a", b"1").await;
    put(store, b"b", b"1").await;
    let stale = version(store, b"a").await;
    put(store, b"a", b"2").await;
    let before = version(store, b"b").await;
    let batch = Batch::new()
        .assert_at(b"b".to_vec(), before)
        .put(b"c".to_vec(), b"1".to_vec())
        .put_until(b"b".to_vec(), b"2".to_vec(), moment)
        .delete(b"a".to_vec())
        .assert_at(b"a".to_vec(), stale);
    conflicts(store, batch).await;
    assert_eq!(value(store, b"a").await.unwrap(), b"2");
    assert_eq!(value(store, b"b").await.unwrap(), b"1");
    assert_eq!(version(store, b"b").await, before);
    assert_eq!(value(store, b"c").await, None);
    assert!(expired(store, Timestamp::MAX, 9).await.unwrap().is_empty());
}

pub(crate) async fn absent_is_asserted(store: &dyn Store) {
    let create = || {
        Batch::new()
            .assert_absent(b"key".to_vec())
            .put(b"key".to_vec(), b"1".to_vec())
    };
    apply(store, create()).await;
    conflicts(store, create()).await;
    apply(store, Batch::new().delete(b"key".to_vec())).await;
    apply(store, create()).await;
}

pub(crate) async fn a_version_is_asserted(store: &dyn Store) {
    put(store, b"key", b"1").await;
    let first = version(store, b"key").await;
    let update = || {
        Batch::new()
            .assert_at(b"key".to_vec(), first)
            .put(b"key".to_vec(), b"2".to_vec())
    };
    apply(store, update()).await;
    conflicts(store, update()).await;
    let second = version(store, b"key").await;
    apply(
        store,
        Batch::new()
            .assert_at(b"key".to_vec(), second)
            .delete(b"key".to_vec()),
    )
    .await;
    assert_eq!(value(store, b"key").await, None);
}

pub(crate) async fn an_assertion_on_a_missing_key_fails(store: &dyn Store) {
    put(store, b"key", b"1").await;
    let gone = version(store, b"key").await;
    apply(store, Batch::new().delete(b"key".to_vec())).await;
    conflicts(
        store,
        Batch::new()
            .assert_at(b"key".to_vec(), gone)
            .put(b"x".to_vec(), vec![]),
    )
    .await;
}

pub(crate) async fn assertions_alone_are_checked(store: &dyn Store) {
    put(store, b"key", b"1").await;
    let current = version(store, b"key").await;
    apply(
        store,
        Batch::new()
            .assert_at(b"key".to_vec(), current)
            .assert_absent(b"other".to_vec()),
    )
    .await;
    conflicts(store, Batch::new().assert_absent(b"key".to_vec())).await;
    assert_eq!(version(store, b"key").await, current);
    apply(store, Batch::new()).await;
}

pub(crate) async fn versions_never_come_back(store: &dyn Store) {
    let mut seen = Vec::new();
    for _ in 0..5 {
        put(store, b"key", b"same").await;
        seen.push(version(store, b"key").await);
        apply(store, Batch::new().delete(b"key".to_vec())).await;
    }
    assert!(seen.is_sorted_by(|earlier, later| earlier < later), "{seen:?}");
    put(store, b"key", b"same").await;
    conflicts(
        store,
        Batch::new()
            .assert_at(b"key".to_vec(), seen[4])
            .delete(b"key".to_vec()),
    )
    .await;
}

pub(crate) async fn every_write_changes_the_version(store: &dyn Store) {
    put(store, b"a", b"same").await;
    put(store, b"b", b"same").await;
    let (a, b) = (version(store, b"a").await, version(store, b"b").await);
    put(store, b"a", b"same").await;
    assert_ne!(version(store, b"a").await, a);
    assert_eq!(version(store, b"b").await, b);
}

pub(crate) async fn a_put_wins_over_a_delete_of_the_same_key(store: &dyn Store) {
    let key = || b"key".to_vec();
    apply(store, Batch::new().delete(key()).put(key(), b"1".to_vec())).await;
    assert_eq!(value(store, b"key").await.unwrap(), b"1");
    let moment = Timestamp::from_millis(7);
    apply(
        store,
        Batch::new().put_until(key(), b"2".to_vec(), moment).delete(key()),
    )
    .await;
    assert_eq!(value(store, b"key").await.unwrap(), b"2");
    assert_eq!(expired(store, moment, 9).await.unwrap().len(), 1);
    let current = version(store, b"key").await;
    apply(
        store,
        Batch::new()
            .assert_at(key(), current)
            .delete(key())
            .put(key(), b"3".to_vec()),
    )
    .await;
    assert_eq!(value(store, b"key").await.unwrap(), b"3");
    assert!(expired(store, Timestamp::MAX, 9).await.unwrap().is_empty());
}

pub(crate) async fn the_last_put_of_a_key_counts(store: &dyn Store) {
    let batch = Batch::new()
        .put_until(b"key".to_vec(), b"1".to_vec(), Timestamp::from_millis(1))
        .put_until(b"key".to_vec(), b"2".to_vec(), Timestamp::from_millis(2));
    apply(store, batch).await;
    assert_eq!(value(store, b"key").await.unwrap(), b"2");
    assert!(
        expired(store, Timestamp::from_millis(1), 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        expired(store, Timestamp::from_millis(2), 9).await.unwrap().len(),
        1
    );
}

pub(crate) async fn deleting_nothing_is_fine(store: &dyn Store) {
    apply(
        store,
        Batch::new().delete(b"key".to_vec()).delete(b"key".to_vec()),
    )
    .await;
    assert_eq!(value(store, b"key").await, None);
}

pub(crate) async fn a_new_entry_is_like_any_other(store: &dyn Store) {
    let moment = Timestamp::from_millis(5);
    let create = Batch::new()
        .assert_absent(b"a".to_vec())
        .put_new(b"a".to_vec(), b"1".to_vec())
        .put_new_until(b"b".to_vec(), b"2".to_vec(), moment);
    apply(store, create.clone()).await;
    conflicts(store, create).await;
    assert_eq!(value(store, b"a").await.unwrap(), b"1");
    assert_eq!(value(store, b"b").await.unwrap(), b"2");
    let current = version(store, b"b").await;
    assert_eq!(
        expired(store, moment, 9).await.unwrap(),
        [(b"b".to_vec(), current)]
    );
    apply(
        store,
        Batch::new()
            .assert_at(b"b".to_vec(), current)
            .delete(b"b".to_vec()),
    )
    .await;
    assert!(expired(store, Timestamp::MAX, 9).await.unwrap().is_empty());
}

pub(crate) async fn an_entry_that_was_not_new_is_overwritten(store: &dyn Store) {
    let key = || b"key".to_vec();
    for moment in [3, 5] {
        let moment = Timestamp::from_millis(moment);
        apply(store, Batch::new().put_until(key(), b"old".to_vec(), moment)).await;
    }
    let before = version(store, b"key").await;
    let later = Timestamp::from_millis(7);
    apply(store, Batch::new().put_new_until(key(), b"new".to_vec(), later)).await;
    assert_eq!(value(store, b"key").await.unwrap(), b"new");
    assert!(version(store, b"key").await > before);
    // The former expiry no longer counts, whether or not the engine still has a note of it.
    assert!(
        expired(store, Timestamp::from_millis(6), 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(expired(store, later, 9).await.unwrap().len(), 1);
    apply(store, Batch::new().put_new(key(), b"newer".to_vec())).await;
    assert!(expired(store, Timestamp::MAX, 9).await.unwrap().is_empty());
}

pub(crate) async fn oversized_keys_and_values_are_refused(store: &dyn Store) {
    let largest = Batch::new().put(vec![b'k'; MAX_KEY_BYTES], vec![7; MAX_VALUE_BYTES]);
    apply(store, largest).await;
    assert_eq!(
        value(store, &[b'k'; MAX_KEY_BYTES]).await.unwrap().len(),
        MAX_VALUE_BYTES
    );
    for batch in [
        Batch::new().put(b"key".to_vec(), vec![0; MAX_VALUE_BYTES + 1]),
        Batch::new().put(vec![0; MAX_KEY_BYTES + 1], vec![]),
        Batch::new().delete(vec![0; MAX_KEY_BYTES + 1]),
    ] {
        let outcome = store.commit(batch.put(b"beside".to_vec(), vec![])).await;
        assert!(
            matches!(outcome, Err(CommitError::Store(StoreError::TooLarge { .. }))),
            "{outcome:?}"
        );
    }
    assert_eq!(value(store, b"beside").await, None);
}

pub(crate) async fn statistics_count_commits_and_conflicts(store: &dyn Store) {
    put(store, b"a", b"1").await;
    put(store, b"b", b"1").await;
    conflicts(
        store,
        Batch::new().assert_absent(b"a".to_vec()).delete(b"a".to_vec()),
    )
    .await;
    let counted = store.statistics();
    assert_eq!((counted.commits, counted.conflicts, counted.groups), (2, 1, 2));
    // Each was alone.
    assert_eq!(counted.group_sizes.shown().next(), Some((1.0, 2)));
    assert_eq!(counted.group_sizes.total(), 2);
}

pub(crate) async fn a_closed_store_refuses_everything(store: &dyn Store) {
    put(store, b"key", b"value").await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let all = Scan {
        prefix: vec![],
        after: None,
        order: Order::Ascending,
        limit: 1,
    };
    assert!(store.get(b"key").await.is_err());
    assert!(store.get_many(&[b"key".to_vec()]).await.is_err());
    assert!(store.scan(all).await.is_err());
    assert!(expired(store, Timestamp::MAX, 1).await.is_err());
    assert!(store.export().await.is_err());
    let outcome = store.commit(Batch::new().delete(b"key".to_vec())).await;
    assert!(
        matches!(outcome, Err(CommitError::Store(StoreError::Unavailable(_)))),
        "{outcome:?}"
    );
}

async fn conflicts(store: &dyn Store, batch: Batch) {
    let outcome = store.commit(batch).await;
    assert!(matches!(outcome, Err(CommitError::Conflict)), "{outcome:?}");
}
