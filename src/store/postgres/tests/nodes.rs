//! Several processes on one database.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_commits_the_other_reads() {
    let one = or_return!(EmptyStore::new().await);
    let other = one.another().await;
    one.store.commit(put("key", "1")).await.unwrap();
    assert_eq!(value(&other, "key").await.unwrap(), "1");
    let seen = version(&other, "key").await;
    one.store.commit(put("key", "2")).await.unwrap();
    let stale = put("key", "3").assert_at(b"key".to_vec(), seen);
    assert!(matches!(other.commit(stale).await, Err(CommitError::Conflict)));
    assert_eq!(value(&one.store, "key").await.unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_are_told_the_same_time() {
    let one = or_return!(EmptyStore::new().await);
    let other = one.another().await;
    // The database is on this machine, so its clock is this one.
    let mut moments = vec![SystemClock.now()];
    for store in [&one.store, &other] {
        moments.push(store.clock().await.unwrap().unwrap());
    }
    moments.push(SystemClock.now());
    assert!(moments.is_sorted(), "{moments:?}");
}

/// Each round, all nodes try to be the one that uses a version up, with a row beside it that only tells who it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_used_up_by_one_of_many_nodes() {
    let one = or_return!(EmptyStore::new().await);
    let nodes = [one.another().await, one.another().await, one.another().await];
    one.store.commit(put("code", "unused")).await.unwrap();
    for round in 0..30 {
        let unused = version(&one.store, "code").await;
        let attempts = (0..24).map(|attempt| {
            let use_it = put("code", "unused")
                .assert_at(b"code".to_vec(), unused)
                .put(format!("use/{round:02}/{attempt:02}").into_bytes(), vec![]);
            nodes[attempt % nodes.len()].commit(use_it)
        });
        let outcomes = join_all(attempts).await;
        let applied = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(applied, 1, "{outcomes:?}");
        assert!(
            outcomes
                .iter()
                .all(|outcome| !matches!(outcome, Err(CommitError::Store(_))))
        );
    }
    let uses = Scan {
        prefix: b"use/".to_vec(),
        after: None,
        order: Order::Ascending,
        limit: 1000,
    };
    assert_eq!(one.store.scan(uses).await.unwrap().len(), 30);
}

/// What neither writes but both rest on: two doctors who may not both leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_asserted_holds_between_nodes() {
    let one = or_return!(EmptyStore::new().await);
    let other = one.another().await;
    for round in 0..40 {
        let key = |name: &str| format!("{name}/{round}").into_bytes();
        // Each asserts that the other one is absent, and puts itself.
        let leave = |mine: &str, theirs: &str| Batch::new().assert_absent(key(theirs)).put(key(mine), vec![]);
        let (first, second) = tokio::join!(one.store.commit(leave("a", "b")), other.commit(leave("b", "a")));
        let applied = usize::from(first.is_ok()) + usize::from(second.is_ok());
        assert_eq!(applied, 1, "{first:?} {second:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_nodes_give_one_version() {
    let one = or_return!(EmptyStore::new().await);
    let nodes = [one.another().await, one.another().await];
    let mut seen = HashSet::new();
    for round in 0..10 {
        for (number, node) in nodes.iter().enumerate() {
            let key = format!("{round}/{number}");
            node.commit(put(&key, "")).await.unwrap();
            assert!(seen.insert(version(node, &key).await));
        }
    }
    drop(nodes);
    let later = one.another().await;
    later.commit(put("later", "")).await.unwrap();
    assert!(version(&later, "later").await > *seen.iter().max().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_of_one_batch_is_not_its_neighbours() {
    let one = or_return!(EmptyStore::new().await);
    one.store.commit(put("taken", "")).await.unwrap();
    let batches = (0..200).map(|number| {
        let batch = put(&format!("key/{number}"), "").delete(format!("gone/{number}").into_bytes());
        let batch = if number % 3 == 0 {
            batch.assert_absent(b"taken".to_vec())
        } else {
            batch
        };
        one.store.commit(batch)
    });
    let outcomes = join_all(batches).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), number % 3 == 0, "{number}: {outcome:?}");
    }
    let counted = one.store.statistics();
    assert_eq!((counted.commits, counted.conflicts), (134, 67));
    assert!(
        counted.groups < 100,
        "{counted:?}: what waits together goes together"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_closed_leaves_no_slot_behind() {
    let one = or_return!(EmptyStore::new().await);
    let slots = || {
        one.database
            .psql("SELECT count(*) FROM countersign_entries WHERE key >= 's' AND key < 't'")
    };
    one.store.commit(put("key", "")).await.unwrap();
    assert_ne!(slots().trim(), "0");
    one.store.close().await.unwrap();
    assert_eq!(slots().trim(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_nobody_has_go_with_the_next_start() {
    let one = or_return!(EmptyStore::new().await);
    one.store.commit(put("key", "")).await.unwrap();
    let slots = || {
        one.database
            .psql("SELECT count(*) FROM countersign_entries WHERE key >= 's' AND key < 't'")
    };
    one.database
        .psql("INSERT INTO countersign_entries VALUES ('sold', '', 1, 1000)");
    let before: u32 = slots().trim().parse().unwrap();
    let _another = one.another().await;
    assert_eq!(slots().trim().parse(), Ok(before - 1));
}

/// A process whose epoch the database has forgotten, and gave to another one, notices it before it writes: what it forgot was
/// acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_was_given_twice_is_noticed() {
    let one = or_return!(EmptyStore::new().await);
    one.database
        .psql("UPDATE countersign_entries SET version = version - 1 WHERE key = 'e'");
    let other = one.another().await;
    other.commit(put("other", "")).await.unwrap();
    let lost = one.store.commit(put("one", "")).await.unwrap_err();
    assert!(lost.to_string().contains("lost commits"), "{lost}");
    let value = |_: Option<&[u8]>| Ok(b"1".to_vec());
    one.store
        .go_on_after_loss(b"epoch".to_vec(), &value)
        .await
        .unwrap();
    one.store.commit(put("one", "")).await.unwrap();
    let epoch = |version: Version| version.0 >> 32;
    let (theirs, ours) = (version(&other, "other").await, version(&one.store, "one").await);
    assert_ne!(epoch(theirs), epoch(ours));
}

/// Clients of two nodes decide about one key all the time. Meanwhile others, whose keys are their own, are not held up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_nodes_contend_for_does_not_hold_up_the_others() {
    const HOT_CLIENTS: usize = 12;
    const COLD: usize = 60;
    let one = or_return!(EmptyStore::new().await);
    let other = one.another().await;
    let attempts = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let hot = (0..HOT_CLIENTS).map(|client| {
        let store = if client % 2 == 0 { &one.store } else { &other };
        let (attempts, done) = (&attempts, &done);
        async move {
            while !done.load(Ordering::SeqCst) {
                let outcome = store.commit(put("hot", "")).await;
                assert!(!matches!(outcome, Err(CommitError::Store(_))), "{outcome:?}");
                attempts.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let cold = async {
        for number in 0..COLD {
            one.store
                .commit(put(&format!("cold/{number}"), ""))
                .await
                .unwrap();
        }
        done.store(true, Ordering::SeqCst);
    };
    tokio::join!(cold, join_all(hot));
    let attempts = attempts.into_inner();
    assert!(
        attempts <= 4 * HOT_CLIENTS * COLD,
        "{COLD} commits of their own keys took as long as {attempts} others"
    );
}
