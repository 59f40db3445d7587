//! Many at once.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::{put, value};
use crate::store::{Batch, CommitError, Store};

pub(crate) async fn parallel_increments_are_never_lost(store: &dyn Store) {
    const WRITERS: usize = 64;
    const EACH: u64 = 5;
    put(store, b"counter", &0_u64.to_be_bytes()).await;
    let outcomes = all((0..WRITERS).map(|_| async {
        for _ in 0..EACH {
            increment(store).await;
        }
    }));
    assert_eq!(outcomes.await.len(), WRITERS);
    let total = value(store, b"counter").await.unwrap();
    assert_eq!(
        u64::from_be_bytes(total.try_into().unwrap()),
        WRITERS as u64 * EACH
    );
}

pub(crate) async fn one_of_many_creators_wins(store: &dyn Store) {
    let outcomes = all((0..32_u8).map(|number| async move {
        let create = Batch::new()
            .assert_absent(b"key".to_vec())
            .put(b"key".to_vec(), vec![number]);
        match store.commit(create).await {
            Ok(()) => Some(number),
            Err(CommitError::Conflict) => None,
            Err(CommitError::Store(error)) => panic!("{error}"),
        }
    }))
    .await;
    let winners: Vec<u8> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(value(store, b"key").await, Some(winners));
}

pub(crate) async fn a_commit_is_visible_when_it_returns(store: &dyn Store) {
    all((0..32_u8).map(|number| async move {
        for round in 0..8_u8 {
            put(store, &[number], &[round]).await;
            assert_eq!(value(store, &[number]).await, Some(vec![round]));
            store.commit(Batch::new().delete(vec![number])).await.unwrap();
            assert_eq!(value(store, &[number]).await, None);
        }
    }))
    .await;
}

pub(crate) async fn none_of_many_entries_goes_back(store: &dyn Store) {
    let keys: Vec<Vec<u8>> = (0..8_u8).map(|key| vec![key]).collect();
    all((0..32_u8).map(|number| {
        let keys = &keys;
        async move {
            let mut before = Vec::new();
            for round in 0..8_u8 {
                let mut batch = Batch::new();
                for key in keys.iter().skip(usize::from(number % 4)) {
                    batch = batch.put(key.clone(), vec![number, round]);
                }
                store.commit(batch).await.unwrap();
                let versions: Vec<_> = store
                    .get_many(keys)
                    .await
                    .unwrap()
                    .into_iter()
                    .map(|entry| entry.map(|entry| entry.version))
                    .collect();
                assert!(versions[3..].iter().all(Option::is_some));
                for (before, now) in before.iter().zip(&versions) {
                    assert!(before <= now);
                }
                before = versions;
            }
        }
    }))
    .await;
}

/// Reads, asserts and commits until it succeeds, as a flow does.
async fn increment(store: &dyn Store) {
    loop {
        let entry = store.get(b"counter").await.unwrap().unwrap();
        let next = u64::from_be_bytes(entry.value.try_into().unwrap()) + 1;
        let batch = Batch::new()
            .assert_at(b"counter".to_vec(), entry.version)
            .put(b"counter".to_vec(), next.to_be_bytes().to_vec());
        match store.commit(batch).await {
            Ok(()) => return,
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => panic!("{error}"),
        }
    }
}

/// Drives all futures at once; they borrow the store, which a spawned task could not.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = futures.map(Box::pin).collect();
    let mut outputs = Vec::new();
    poll_fn(|context| {
        running.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Ready(output) => {
                outputs.push(output);
                false
            }
            Poll::Pending => true,
        });
        if running.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    outputs
}
