//! Nothing is said that a crash could take back, and nothing is said after a failure.

use std::fs;
use std::pin::{Pin, pin};
use std::sync::mpsc as channel;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::store::contract::expired;

#[tokio::test]
async fn a_read_waits_until_what_it_saw_is_durable() {
    let gated = Gated::open();
    gated.pass(put("key", "old")).await;
    let mut commit = pin!(gated.store.commit(put("key", "new")));
    let mut other = pin!(gated.store.get(b"other"));
    assert!(is_pending(commit.as_mut()));
    gated.wait_for_sync();

    let mut read = pin!(gated.store.get(b"key"));
    let all = Scan {
        prefix: b"k".to_vec(),
        after: None,
        order: Order::Ascending,
        limit: 9,
    };
    let mut scan = pin!(gated.store.scan(all));
    let names = [b"other".to_vec(), b"key".to_vec()];
    let mut many = pin!(gated.store.get_many(&names));
    let mut others = pin!(gated.store.get_many(&names[..1]));
    assert!(is_pending(read.as_mut()));
    assert!(is_pending(many.as_mut()));
    assert!(!is_pending(others.as_mut()));
    assert!(is_pending(scan.as_mut()));
    assert!(!is_pending(other.as_mut()));
    assert!(is_pending(commit.as_mut()));

    gated.release();
    commit.await.unwrap();
    assert_eq!(read.await.unwrap().unwrap().value, b"new");
    let [None, Some(entry)] = &many.await.unwrap()[..] else {
        panic!("the second one is there");
    };
    assert_eq!(entry.value, b"new");
    assert_eq!(scan.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_read_of_a_deleted_entry_waits_until_the_delete_is_durable() {
    let gated = Gated::open();
    gated.pass(put("key", "old")).await;
    let mut commit = pin!(gated.store.commit(Batch::new().delete(b"key".to_vec())));
    assert!(is_pending(commit.as_mut()));
    gated.wait_for_sync();

    let within = |prefix: &[u8]| Scan {
        prefix: prefix.to_vec(),
        after: None,
        order: Order::Ascending,
        limit: 9,
    };
    let mut read = pin!(gated.store.get(b"key"));
    let mut scan = pin!(gated.store.scan(within(b"ke")));
    let mut elsewhere = pin!(gated.store.scan(within(b"kf")));
    let names = [b"other".to_vec(), b"key".to_vec()];
    let mut many = pin!(gated.store.get_many(&names));
    assert!(is_pending(read.as_mut()));
    assert!(is_pending(many.as_mut()));
    assert!(is_pending(scan.as_mut()));
    assert!(!is_pending(elsewhere.as_mut()));

    gated.release();
    commit.await.unwrap();
    assert_eq!(read.await.unwrap(), None);
    assert_eq!(many.await.unwrap(), [None, None]);
    assert!(scan.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_conflict_is_answered_before_the_group_is_durable() {
    let gated = Gated::open();
    let mut first = pin!(gated.store.commit(put("first", "1")));
    assert!(is_pending(first.as_mut()));
    gated.wait_for_sync();
    // Both are decided while the first one is synced, in one group or in two.
    let create = || {
        Batch::new()
            .assert_absent(b"key".to_vec())
            .put(b"key".to_vec(), vec![])
    };
    let mut winner = pin!(gated.store.commit(create()));
    let mut loser = pin!(gated.store.commit(create()));
    assert!(is_pending(winner.as_mut()));
    assert!(is_pending(loser.as_mut()));
    assert!(matches!(loser.await, Err(CommitError::Conflict)));
    assert!(is_pending(first.as_mut()));
    assert!(is_pending(winner.as_mut()));
    // What the loser lost to is in the tree already, and whoever reads it waits.
    let mut read = pin!(gated.store.get(b"key"));
    assert!(is_pending(read.as_mut()));
    gated.release();
    gated.wait_for_sync();
    first.await.unwrap();
    assert!(is_pending(winner.as_mut()));
    assert!(is_pending(read.as_mut()));
    gated.release();
    winner.await.unwrap();
    assert!(read.await.unwrap().is_some());
    assert_eq!(gated.store.statistics().groups, 2);
}

#[tokio::test]
async fn deletes_of_several_groups_in_flight_are_each_waited_for() {
    let gated = Gated::open();
    gated.pass(put("a", "1").put(b"b".to_vec(), vec![])).await;
    let mut first = pin!(gated.store.commit(Batch::new().delete(b"a".to_vec())));
    assert!(is_pending(first.as_mut()));
    gated.wait_for_sync();
    let mut second = pin!(gated.store.commit(Batch::new().delete(b"b".to_vec())));
    assert!(is_pending(second.as_mut()));
    // Answered at once, and the delete was applied before that.
    let behind = gated
        .store
        .commit(Batch::new().assert_at(b"b".to_vec(), crate::store::Version(0)));
    assert!(behind.await.is_err());
    let (mut a, mut b) = (pin!(gated.store.get(b"a")), pin!(gated.store.get(b"b")));
    assert!(is_pending(a.as_mut()));
    assert!(is_pending(b.as_mut()));
    gated.release();
    gated.wait_for_sync();
    first.await.unwrap();
    assert_eq!(a.await.unwrap(), None);
    assert!(is_pending(b.as_mut()));
    gated.release();
    second.await.unwrap();
    assert_eq!(b.await.unwrap(), None);
}

#[tokio::test]
async fn an_assertion_about_what_is_not_durable_yet_waits() {
    let gated = Gated::open();
    let mut put = pin!(gated.store.commit(put("key", "1")));
    assert!(is_pending(put.as_mut()));
    gated.wait_for_sync();
    let mut other = pin!(gated.store.commit(Batch::new().assert_absent(b"other".to_vec())));
    assert!(is_pending(other.as_mut()));
    // Refused at once, so the other one was decided.
    let refused = gated.store.commit(Batch::new().assert_absent(b"key".to_vec()));
    assert!(refused.await.is_err());
    assert!(is_pending(other.as_mut()));
    gated.release();
    put.await.unwrap();
    other.await.unwrap();
}

#[tokio::test]
async fn an_export_begins_when_all_it_shows_is_durable() {
    let gated = Gated::open();
    let mut put = pin!(gated.store.commit(put("key", "1")));
    assert!(is_pending(put.as_mut()));
    gated.wait_for_sync();
    let mut export = pin!(gated.store.export());
    assert!(is_pending(export.as_mut()));
    gated.release();
    put.await.unwrap();
    let mut export = export.await.unwrap();
    assert_eq!(export.next().await.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_or_read() {
    let directory = TempDir::new().unwrap();
    let mut syncs = 0;
    let store = open_with(directory.path(), move || {
        syncs += 1;
        if syncs == 1 {
            Ok(())
        } else {
            Err(io::Error::other("disk on fire"))
        }
    });
    store.commit(put("before", "1")).await.unwrap();
    for _ in 0..2 {
        let error = store.commit(put("after", "1")).await.unwrap_err();
        let CommitError::Store(StoreError::Unavailable(reason)) = error else {
            panic!("{error:?}");
        };
        assert!(
            reason.contains("disk on fire") && reason.contains("restart"),
            "{reason}"
        );
    }
    assert!(store.get(b"before").await.is_err());
    assert!(store.get(b"missing").await.is_err());
    assert!(expired(&store, Timestamp::MAX, 1).await.is_err());
    assert!(store.export().await.is_err());
    assert!(store.close().await.is_err());
    assert_eq!(
        value(&open(directory.path()), "before").await.as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn a_thread_that_panics_fails_the_store() {
    let directory = TempDir::new().unwrap();
    let store = open_with(directory.path(), || panic!("as the test wants"));
    assert!(store.commit(put("key", "1")).await.is_err());
    assert!(store.commit(put("key", "1")).await.is_err());
    assert!(store.close().await.is_err());
    open(directory.path()).close().await.unwrap();
}

#[tokio::test]
async fn versions_rise_across_restarts() {
    let directory = TempDir::new().unwrap();
    let mut last = 0;
    for _ in 0..4 {
        let store = open(directory.path());
        for _ in 0..3 {
            store.commit(put("key", "same")).await.unwrap();
            let next = version(&store, "key").await;
            assert!(next > last, "{next} after {last}");
            last = next;
            store.commit(Batch::new().delete(b"key".to_vec())).await.unwrap();
        }
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn versions_rise_across_a_kill() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    for _ in 0..3 {
        store.commit(put("key", "same")).await.unwrap();
    }
    let last = version(&store, "key").await;
    store.commit(Batch::new().delete(b"key".to_vec())).await.unwrap();
    // The files as a kill would leave them now.
    let killed = TempDir::new().unwrap();
    fs::create_dir(killed.path().join("blobs")).unwrap();
    for file in fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), killed.path().join(file.file_name())).unwrap();
        }
    }
    let reopened = open(killed.path());
    assert_eq!(value(&reopened, "key").await, None);
    reopened.commit(put("key", "same")).await.unwrap();
    assert!(version(&reopened, "key").await > last);
}

#[tokio::test]
async fn a_reservation_of_versions_is_renewed_before_it_runs_out() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    store.commit(put("key", "1")).await.unwrap();
    let reserved = store
        .db
        .load_full()
        .unwrap()
        .get(layout::VERSIONS_KEY)
        .unwrap()
        .unwrap();
    let reserved = u64::from_be_bytes((*reserved).try_into().unwrap());
    assert!(reserved > version(&store, "key").await);
    store.close().await.unwrap();
    let store = open(directory.path());
    store.commit(put("key", "2")).await.unwrap();
    assert_eq!(version(&store, "key").await, reserved);
    let renewed = store
        .db
        .load_full()
        .unwrap()
        .get(layout::VERSIONS_KEY)
        .unwrap()
        .unwrap();
    assert!(u64::from_be_bytes((*renewed).try_into().unwrap()) > reserved);
}

#[tokio::test]
async fn one_export_runs_at_a_time() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let first = store.export().await.unwrap();
    assert!(store.export().await.is_err());
    drop(first);
    assert!(store.export().await.is_ok());
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_batch_far_larger_than_a_segment_survives_a_restart() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let largest = vec![7; crate::store::MAX_VALUE_BYTES];
    let batch = (0..200_u8).fold(Batch::new(), |batch, number| {
        batch.put(vec![number], largest.clone())
    });
    store.commit(batch).await.unwrap();
    store.close().await.unwrap();
    let oversized = fs::read_dir(directory.path().join("blobs")).unwrap().count();
    assert!(oversized > 0, "this test is to cover oversized pages too");
    let store = open(directory.path());
    for number in 0..200_u8 {
        assert_eq!(store.get(&[number]).await.unwrap().unwrap().value, largest);
    }
    store.close().await.unwrap();
}

/// A store whose syncs wait for the test.
struct Gated {
    store: SledStore,
    syncing: channel::Receiver<()>,
    go_on: channel::Sender<()>,
    _directory: TempDir,
}

impl Gated {
    fn open() -> Self {
        let directory = TempDir::new().unwrap();
        let (entered, syncing) = channel::channel();
        let (go_on, gate) = channel::channel();
        let store = open_with(directory.path(), move || {
            // Either fails only when the test is over.
            let _over = entered.send(());
            let _over = gate.recv();
            Ok(())
        });
        Self {
            store,
            syncing,
            go_on,
            _directory: directory,
        }
    }

    /// Commits without holding it up.
    async fn pass(&self, batch: Batch) {
        self.release();
        self.store.commit(batch).await.unwrap();
        self.wait_for_sync();
    }

    fn wait_for_sync(&self) {
        self.syncing.recv().unwrap();
    }

    fn release(&self) {
        self.go_on.send(()).unwrap();
    }
}

fn open_with(directory: &Path, sync: impl FnMut() -> io::Result<()> + Send + 'static) -> SledStore {
    SledStore::open_with(&options(directory), |_, _| Box::new(sync)).unwrap()
}

fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(future.poll(&mut context), Poll::Pending)
}
