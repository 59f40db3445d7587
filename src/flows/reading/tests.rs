//! What a reading reads, how often, and what its commit rests on.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::outbox::{Lane, Receiver};
use crate::domain::sid::{AccountSid, EventSid, ServiceSid, WebhookSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::Refusal;
use crate::doubles::TestParts;
use crate::memory::turns::TurnKey;
use crate::store::counting::{CountingStore, RoundTrips};
use crate::store::faulty::FaultyStore;
use crate::store::memory::MemoryStore;
use crate::store::records::{CreationRate, Purge};

/// A store with a record at some keys, and what a process remembers.
#[derive(Default)]
struct SmallWorld {
    store: CountingStore<MemoryStore>,
    memory: Memory,
}

impl SmallWorld {
    /// Records `present`, each as [`rate`] has it.
    async fn with(present: &[u8]) -> Self {
        let world = Self::default();
        for number in present {
            world.change(*number).await;
        }
        world
    }

    fn reading(&self) -> Reading<'_> {
        Reading::of(&self.store, &self.memory, 2)
    }

    /// Writes the record at a key as somebody else would.
    async fn change(&self, number: u8) {
        self.apply(put(number)).await;
    }

    async fn remove(&self, number: u8) {
        self.apply(Batch::new().delete(key(number).into_bytes())).await;
    }

    async fn apply(&self, batch: Batch) {
        self.store.inner().commit(batch).await.unwrap();
    }
}

fn key(number: u8) -> Key<CreationRate> {
    keys::creation_rate(AccountSid::from_bytes([number; 16]))
}

fn rate(number: u8) -> CreationRate {
    CreationRate {
        second: 7,
        count: number.into(),
    }
}

fn put(number: u8) -> Batch {
    Batch::new().put_record(key(number), &rate(number)).unwrap()
}

/// A change that nothing is in the way of.
fn elsewhere() -> Batch {
    put(200)
}

#[tokio::test]
async fn a_record_is_read_once() {
    let world = SmallWorld::with(&[1]).await;
    let mut reading = world.reading();
    for _ in 0..3 {
        assert_eq!(reading.get(&key(1)).await.unwrap(), Some(rate(1)));
        assert_eq!(reading.get(&key(2)).await.unwrap(), None);
        assert_eq!(reading.glance(&key(1)).await.unwrap(), Some(rate(1)));
        assert!(reading.contains(&key(1)).await.unwrap());
    }
    let both = RoundTrips {
        get: 2,
        ..RoundTrips::default()
    };
    assert_eq!(world.store.take(), both);
    // It is what it was, whatever becomes of it.
    world.remove(1).await;
    assert_eq!(reading.get(&key(1)).await.unwrap(), Some(rate(1)));
    assert_eq!(world.store.take().reads(), 0);
}

#[tokio::test]
async fn several_records_are_read_in_one_round_trip() {
    let world = SmallWorld::with(&[1, 2]).await;
    let mut reading = world.reading();
    let keys = [key(1), key(2), key(3), key(1)];
    reading.prefetch(keys.iter().map(Key::bytes)).await.unwrap();
    let once = RoundTrips {
        get_many: 1,
        ..RoundTrips::default()
    };
    assert_eq!(world.store.take(), once);
    assert_eq!(reading.require(&key(1)).await, Ok(rate(1)));
    assert_eq!(reading.require(&key(2)).await, Ok(rate(2)));
    assert_eq!(reading.require(&key(3)).await, Err(NotRead::Absent));
    // What is known is not read anew.
    reading.prefetch([key(3).bytes(), key(1).bytes()]).await.unwrap();
    reading.prefetch([]).await.unwrap();
    assert_eq!(world.store.take().reads(), 0);
}

#[tokio::test]
async fn a_listing_is_remembered() {
    let world = SmallWorld::default();
    let services = [[1; 16], [2; 16], [3; 16]].map(ServiceSid::from_bytes);
    for service in services {
        let purge = Purge {
            since: Timestamp::from_millis(service.as_bytes()[0].into()),
        };
        world
            .apply(Batch::new().put_record(keys::purge(service), &purge).unwrap())
            .await;
    }
    let mut reading = world.reading();
    let listed = reading.list(&keys::purges(), 2).await.unwrap();
    let times: Vec<_> = listed.iter().map(|purge| purge.since.millis()).collect();
    assert_eq!(times, [1, 2]);
    reading.require(&keys::purge(services[0])).await.unwrap();
    let once = RoundTrips {
        scan: 1,
        ..RoundTrips::default()
    };
    assert_eq!(world.store.take(), once);
    // The second one may go: it was listed, but nobody asked for it.
    let purge = |service| Batch::new().delete(keys::purge(service).into_bytes());
    world.apply(purge(services[1])).await;
    assert_eq!(reading.commit(elsewhere()).await, Ok(()));
    let mut reading = world.reading();
    reading.list(&keys::purges(), 2).await.unwrap();
    reading.require(&keys::purge(services[0])).await.unwrap();
    world.apply(purge(services[0])).await;
    assert!(matches!(
        reading.commit(elsewhere()).await,
        Err(Fault::Conflict(_))
    ));
}

#[tokio::test]
async fn a_decision_may_rest_on_what_a_scan_has_found() {
    let world = SmallWorld::with(&[1, 2]).await;
    let everything = || Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: 10,
    };
    let (mut free, mut bound) = (world.reading(), world.reading());
    for reading in [&mut free, &mut bound] {
        assert_eq!(reading.scan(everything()).await.unwrap().len(), 2);
    }
    for (key, entry) in bound.scan(everything()).await.unwrap() {
        bound.rest_on(key, entry.version);
    }
    world.change(2).await;
    assert_eq!(free.commit(elsewhere()).await, Ok(()));
    assert!(matches!(bound.commit(elsewhere()).await, Err(Fault::Conflict(_))));
}

#[tokio::test]
async fn what_was_read_before_is_not_read_again_and_decides_nothing_by_itself() {
    let world = SmallWorld::with(&[1, 2]).await;
    let app = TestParts {
        store: Arc::new(MemoryStore::new()),
        ..TestParts::default()
    }
    .wire();
    let mut first = world.reading();
    for number in [1, 2] {
        first.get(&key(number)).await.unwrap();
    }
    let mut prior = Prior::of(first);
    world.change(1).await;
    world.change(2).await;
    // Its store has nothing of all this.
    let mut second = prior.reading(&app);
    assert_eq!(second.get(&key(1)).await.unwrap(), Some(rate(1)));
    let resting_on: Vec<_> = second.seen.iter().map(|seen| seen.decisive).collect();
    assert_eq!(resting_on, [true, false]);
    assert_eq!(prior.reading(&app).get(&key(1)).await.unwrap(), None);
}

#[tokio::test]
async fn a_batch_that_changes_nothing_is_not_committed() {
    let world = SmallWorld::with(&[1]).await;
    let mut reading = world.reading();
    reading.get(&key(1)).await.unwrap();
    world.change(1).await;
    let batch = Batch::new().assert_absent(key(1).into_bytes());
    assert_eq!(reading.commit(batch).await, Ok(()));
    assert_eq!(world.store.take().commit, 0);
}

#[tokio::test]
async fn a_batch_may_assert_by_itself() {
    let world = SmallWorld::with(&[1]).await;
    let batch = || elsewhere().assert_absent(key(1).into_bytes());
    assert!(matches!(
        world.reading().commit(batch()).await,
        Err(Fault::Conflict(_))
    ));
    world.remove(1).await;
    assert_eq!(world.reading().commit(batch()).await, Ok(()));
}

#[tokio::test]
async fn the_worker_is_woken_for_rows_that_were_committed() {
    let world = SmallWorld::with(&[1]).await;
    let lane = Lane {
        account: AccountSid::from_bytes([3; 16]),
        receiver: Receiver::Webhook(WebhookSid::from_bytes([4; 16])),
    };
    let row = keys::outbox_row(lane, EventSid::from_bytes([5; 16]));
    let with_row = || elsewhere().put(row.bytes().to_vec(), Vec::new());
    world.reading().commit(elsewhere()).await.unwrap();
    let mut refused = world.reading();
    refused.get(&key(1)).await.unwrap();
    world.change(1).await;
    assert!(matches!(
        refused.commit(with_row()).await,
        Err(Fault::Conflict(_))
    ));
    assert!(world.memory.wakeups.take().is_empty());
    world.reading().commit(with_row()).await.unwrap();
    assert_eq!(world.memory.wakeups.take(), [lane].into());
}

#[tokio::test]
async fn what_cannot_be_read_is_a_fault_and_not_an_absence() {
    let (store, memory) = (FaultyStore::new(MemoryStore::new()), Memory::default());
    let unavailable = |outcome| matches!(outcome, Err(NotRead::Failed(Fault::Unavailable(_))));
    let mut reading = Reading::of(&store, &memory, 2);
    store.fail_reads(true);
    assert!(unavailable(reading.require(&key(1)).await));
    assert!(reading.prefetch([key(1).bytes()]).await.is_err());
    store.fail_reads(false);
    // A read that failed has told nothing.
    assert_eq!(reading.require(&key(1)).await, Err(NotRead::Absent));
    store.fail_commits(true);
    assert!(matches!(
        reading.commit(elsewhere()).await,
        Err(Fault::Unavailable(_))
    ));
    store.fail_commits(false);
    let damaged = Batch::new().put(key(1).into_bytes(), b"damaged".to_vec());
    store.commit(damaged).await.unwrap();
    let read = Reading::of(&store, &memory, 2).require(&key(1)).await;
    assert!(
        matches!(read, Err(NotRead::Failed(Fault::Corrupt(_)))),
        "{read:?}"
    );
}

#[test]
fn an_absence_becomes_the_refusal_of_the_area() {
    let not_found: Error<Refusal> = NotRead::Absent.into();
    assert_eq!(not_found, Error::Refused(Refusal::NotFound));
    let failed: Error<Refusal> = NotRead::Failed(Fault::Busy).into();
    assert_eq!(failed, Error::Failed(Fault::Busy));
}

/// One step of a flow, or of somebody else in between.
#[derive(Clone, Copy, Debug)]
enum RandomStep {
    Get(u8),
    Contains(u8),
    Glance(u8),
    Prefetch(u8, u8),
    Changed(u8),
    Removed(u8),
}

fn step() -> impl Strategy<Value = RandomStep> {
    let number = || 0..4_u8;
    prop_oneof![
        number().prop_map(RandomStep::Get),
        number().prop_map(RandomStep::Contains),
        number().prop_map(RandomStep::Glance),
        (number(), number()).prop_map(|(one, other)| RandomStep::Prefetch(one, other)),
        number().prop_map(RandomStep::Changed),
        number().prop_map(RandomStep::Removed),
    ]
}

/// What must come of the steps, and whether the commit must be refused.
#[derive(Default)]
struct Model {
    /// Which records are there, and how often each key was written.
    now: [(bool, u32); 4],
    /// The same as the reading saw it first.
    seen: [Option<(bool, u32)>; 4],
    decisive: [bool; 4],
}

impl Model {
    fn see(&mut self, number: u8) -> bool {
        let at = usize::from(number);
        self.seen[at].get_or_insert(self.now[at]).0
    }

    fn decide(&mut self, number: u8) -> bool {
        self.decisive[usize::from(number)] = true;
        self.see(number)
    }

    fn write(&mut self, number: u8, present: bool) {
        let (is_present, writes) = &mut self.now[usize::from(number)];
        // An absence is like any other, however it came about.
        *writes = if present { *writes + 1 } else { *writes };
        *is_present = present;
    }

    fn conflicts(&self) -> bool {
        (0..4).any(|at| {
            let changed = match (self.seen[at], self.now[at]) {
                (Some((false, _)), (present, _)) => present,
                (seen, now) => seen != Some(now),
            };
            self.decisive[at] && changed
        })
    }
}

proptest! {
    #[test]
    fn a_commit_rests_on_what_was_asked_for_and_on_nothing_else(
        present in prop::collection::vec(0..4_u8, 0..4),
        steps in prop::collection::vec(step(), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = SmallWorld::with(&present).await;
            let mut model = Model::default();
            for number in present {
                model.write(number, true);
            }
            let mut reading = world.reading();
            for step in steps {
                match step {
                    RandomStep::Get(number) => {
                        let found = reading.get(&key(number)).await.unwrap();
                        assert_eq!(found, model.decide(number).then(|| rate(number)));
                    }
                    RandomStep::Contains(number) => {
                        let found = reading.contains(&key(number)).await.unwrap();
                        assert_eq!(found, model.decide(number));
                    }
                    RandomStep::Glance(number) => {
                        let found = reading.glance(&key(number)).await.unwrap();
                        assert_eq!(found, model.see(number).then(|| rate(number)));
                    }
                    RandomStep::Prefetch(one, other) => {
                        reading.prefetch([key(one).bytes(), key(other).bytes()]).await.unwrap();
                        model.see(one);
                        model.see(other);
                    }
                    RandomStep::Changed(number) => {
                        world.change(number).await;
                        model.write(number, true);
                    }
                    RandomStep::Removed(number) => {
                        world.remove(number).await;
                        model.write(number, false);
                    }
                }
            }
            match reading.commit(elsewhere()).await {
                Ok(()) => assert!(!model.conflicts()),
                Err(Fault::Conflict(_)) => assert!(model.conflicts()),
                Err(fault) => panic!("{fault}"),
            }
        });
    }
}

#[tokio::test]
async fn a_conflict_says_which_record_others_write_too() {
    let world = SmallWorld::with(&[1, 2, 3]).await;
    let turn = |number| Some(TurnKey::of(key(number).bytes()));
    for (changed, named) in [(1, turn(1)), (2, turn(2)), (3, None)] {
        let mut reading = world.reading();
        for number in [3, 2, 1] {
            reading.get(&key(number)).await.unwrap();
        }
        world.change(changed).await;
        let batch = put(1).delete(key(2).into_bytes());
        assert_eq!(
            reading.commit(batch).await,
            Err(Fault::Conflict(named)),
            "{changed}"
        );
    }
}
