//! What it costs when many decide about one record, and that nobody is stopped by another one.

use std::cell::Cell;
use std::future::pending;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::*;
use crate::domain::sid::AccountSid;
use crate::doubles::TestParts;
use crate::flows::reading::Reading;
use crate::store::authentic::vouched;
use crate::store::counting::CountingStore;
use crate::store::keys::{self, Key};
use crate::store::memory::MemoryStore;
use crate::store::records::CreationRate;
use crate::store::{Batch, Store as _};

/// A process, on a store that others may share.
struct SharedWorld {
    app: App,
    store: Arc<CountingStore<MemoryStore>>,
}

impl SharedWorld {
    fn new() -> Self {
        let store = Arc::new(CountingStore::new(MemoryStore::new()));
        Self::on(&store)
    }

    /// Another process on the same store.
    fn on(store: &Arc<CountingStore<MemoryStore>>) -> Self {
        let parts = TestParts {
            store: Arc::clone(store) as _,
            ..TestParts::default()
        };
        Self {
            app: parts.wire(),
            store: Arc::clone(store),
        }
    }

    /// Adds one to the count at a key. Others come between reading and writing.
    async fn add(&self, number: u8) -> Result<(), Fault> {
        retry_on_conflict(&self.app, || self.add_once(number)).await
    }

    async fn add_once(&self, number: u8) -> Result<(), Fault> {
        let mut reading = Reading::new(&self.app);
        let count = reading.get(&key(number)).await?.map_or(0, |rate| rate.count);
        yield_now().await;
        reading.commit(put(number, count + 1)?).await
    }

    /// The same, but the first attempt loses to another change, and the second one never ends.
    async fn add_and_hang(&self, number: u8) -> Result<(), Fault> {
        let attempts = Cell::new(0);
        retry_on_conflict(&self.app, || async {
            attempts.set(attempts.get() + 1);
            if attempts.get() == 2 {
                return pending().await;
            }
            self.lose_once(number).await
        })
        .await
    }

    async fn lose_once(&self, number: u8) -> Result<(), Fault> {
        let mut reading = Reading::new(&self.app);
        let count = reading.get(&key(number)).await?.map_or(0, |rate| rate.count);
        let theirs = vouched(&self.app.vault, put(number, count + 1)?);
        self.store.inner().commit(theirs).await?;
        reading.commit(put(number, count + 1)?).await
    }

    async fn count(&self, number: u8) -> u32 {
        let rate = Reading::new(&self.app).get(&key(number)).await.unwrap();
        rate.map_or(0, |rate| rate.count)
    }
}

fn key(number: u8) -> Key<CreationRate> {
    keys::creation_rate(AccountSid::from_bytes([number; 16]))
}

fn put(number: u8, count: u32) -> Result<Batch, Fault> {
    Ok(Batch::new().put_record(key(number), &CreationRate { second: 7, count })?)
}

#[tokio::test(start_paused = true)]
async fn many_on_one_record_cost_a_few_round_trips_each() {
    let world = SharedWorld::new();
    let outcomes = join_all((0..64).map(|_| world.add(1))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let asked = world.store.take();
    // And a few looks whether it is the keys that have changed.
    assert!(asked.commit <= 2 * 64 && asked.reads() <= 2 * 64 + 4, "{asked:?}");
    assert_eq!(world.count(1).await, 64);
}

#[tokio::test(start_paused = true)]
async fn many_in_two_processes_cost_a_few_round_trips_each() {
    let one = SharedWorld::new();
    let other = SharedWorld::on(&one.store);
    let (first, second) = tokio::join!(
        join_all((0..32).map(|_| one.add(1))),
        join_all((0..32).map(|_| other.add(1))),
    );
    assert!(first.iter().chain(&second).all(Result::is_ok));
    let asked = one.store.take();
    assert!(asked.commit <= 4 * 64 && asked.reads() <= 4 * 64, "{asked:?}");
    assert_eq!(one.count(1).await, 64);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_dropped_during_its_turn_stops_nobody() {
    let world = SharedWorld::new();
    let mut dropped = Box::pin(world.add_and_hang(1));
    assert!((&mut dropped).now_or_never().is_none());
    let began = Instant::now();
    let waiting = join_all((0..8).map(|_| world.add(1)));
    let mut waiting = Box::pin(waiting);
    assert!((&mut waiting).now_or_never().is_none());
    drop(dropped);
    assert!(waiting.await.iter().all(Result::is_ok));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_during_its_turn_stops_nobody_for_long() {
    let world = SharedWorld::new();
    let began = Instant::now();
    let hanging = world.add_and_hang(1);
    let waiting = join_all((0..8).map(|_| world.add(1)));
    tokio::select! {
        _ = hanging => panic!("it hangs"),
        outcomes = waiting => assert!(outcomes.iter().all(Result::is_ok)),
    }
    assert!(
        began.elapsed() < LONGEST_TURN + LONGEST_PAUSE,
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_asked_any_more_whether_it_hangs_stops_nobody_for_ever() {
    let world = SharedWorld::new();
    let began = Instant::now();
    let mut hanging = Box::pin(world.add_and_hang(1));
    assert!((&mut hanging).now_or_never().is_none());
    let waiting = join_all((0..8).map(|_| world.add(1)));
    assert!(waiting.await.iter().all(Result::is_ok));
    assert!(began.elapsed() < 2 * LONGEST_WAIT, "{:?}", began.elapsed());
    drop(hanging);
}

#[tokio::test(start_paused = true)]
async fn another_record_is_not_held_up() {
    let world = SharedWorld::new();
    let mut hanging = Box::pin(world.add_and_hang(1));
    assert!((&mut hanging).now_or_never().is_none());
    let began = Instant::now();
    let outcomes = join_all((0..8).map(|_| world.add(2))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// A flow within a flow, which waits for the turn that the outer one has.
#[tokio::test(start_paused = true)]
async fn whoever_waits_for_itself_gets_through() {
    let world = SharedWorld::new();
    let attempts = Cell::new(0);
    let outer = retry_on_conflict(&world.app, || async {
        attempts.set(attempts.get() + 1);
        if attempts.get() == 1 {
            return world.lose_once(1).await;
        }
        let inner = Cell::new(0);
        retry_on_conflict(&world.app, || async {
            inner.set(inner.get() + 1);
            if inner.get() == 1 {
                return world.lose_once(1).await;
            }
            world.add_once(1).await
        })
        .await
    });
    outer.await.unwrap();
    assert_eq!(world.count(1).await, 3);
}

#[tokio::test(start_paused = true)]
async fn what_never_succeeds_ends() {
    let world = SharedWorld::new();
    let began = Instant::now();
    let outcome = retry_on_conflict(&world.app, || world.lose_once(1)).await;
    assert_eq!(outcome, Err(Fault::Busy));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
