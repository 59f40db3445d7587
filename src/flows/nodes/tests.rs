//! Several servers on one store, each with a clock of its own.

use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::domain::node::{Duty, DutyHolder};
use crate::domain::time::{Clock as _, Timestamp};
use crate::doubles::{ManualClock, SeededEntropy, TestParts};
use crate::flows::{store_format, sweep};
use crate::store::counting::{CountingStore, RoundTrips};
use crate::store::memory::MemoryStore;
use crate::store::{
    CommitError, Entry, ExpiredPage, ExpiryPosition, Export, Scan, Statistics, Store, StoreError,
};

/// A store in memory with a clock that all who share it can ask.
#[derive(Debug)]
struct ClockedStore {
    inner: CountingStore<MemoryStore>,
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Store for ClockedStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.inner.get_many(keys).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        self.inner.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.inner.commit(batch).await
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        self.inner.expired(now, after, limit).await
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        self.inner.export().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }

    fn statistics(&self) -> Statistics {
        self.inner.statistics()
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(Some(self.clock.now()))
    }
}

/// The database, and the clocks of all.
struct ClockedWorld {
    store: Arc<ClockedStore>,
    clocks: Vec<Arc<ManualClock>>,
}

/// A server, with its own clock.
struct NodeWithClock {
    app: App,
    clock: Arc<ManualClock>,
}

impl ClockedWorld {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let store = Arc::new(ClockedStore {
            inner: CountingStore::new(MemoryStore::new()),
            clock: Arc::clone(&clock),
        });
        let mut world = Self {
            store,
            clocks: vec![clock],
        };
        let first = world.server(0);
        store_format::check(&first.app).await.unwrap();
        world
    }

    /// A server whose clock is so many seconds ahead of the database's.
    fn server(&mut self, ahead: i64) -> NodeWithClock {
        let now = self.store.clock.now();
        let distance = Duration::from_secs(ahead.unsigned_abs());
        let now = if ahead < 0 {
            now.before(distance)
        } else {
            now + distance
        };
        let clock = Arc::new(ManualClock::new(now));
        self.clocks.push(Arc::clone(&clock));
        let entropy = SeededEntropy::new(self.clocks.len() as u64);
        let parts = TestParts {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(entropy),
            ..TestParts::default()
        };
        NodeWithClock {
            app: parts.wire(),
            clock,
        }
    }

    /// A server that runs beside the others.
    async fn running(&mut self, ahead: i64) -> (NodeWithClock, RegisteredNode) {
        let server = self.server(ahead);
        let member = join(&server.app, new(&server.app, "alike"))
            .await
            .unwrap()
            .unwrap();
        (server, member)
    }

    fn pass(&self, time: Duration) {
        for clock in &self.clocks {
            clock.advance(time);
        }
    }
}

/// What a server says of itself whose setting has this value.
fn new(app: &App, value: &str) -> NewNode {
    let setting =
        |name: &str, text: &str| mark(&app.vault, name.to_owned(), &Zeroizing::new(text.to_owned()));
    NewNode {
        host: "host".to_owned(),
        version: "1".to_owned(),
        settings: vec![setting("limits.rate", value), setting("same", "same")],
        rolling: false,
    }
}

fn refusal(joined: Result<Option<RegisteredNode>, NotJoined>) -> String {
    joined.map(drop).unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_with_other_settings_is_told_which_and_leaves_no_trace() {
    let mut world = ClockedWorld::new().await;
    let (one, mut member) = world.running(0).await;
    let other = world.server(0);
    let line = refusal(join(&other.app, new(&other.app, "unlike")).await);
    assert!(
        line.starts_with("the server on host runs with other settings: limits.rate;")
            && !line.contains("unlike"),
        "{line}"
    );
    assert!(other.app.memory.nodes.live().is_none());
    member.beat(&one.app).await.unwrap();
    assert_eq!(one.app.memory.nodes.live(), Some(1));

    let rolling = NewNode {
        rolling: true,
        ..new(&other.app, "unlike")
    };
    join(&other.app, rolling).await.unwrap().unwrap();
    member.beat(&one.app).await.unwrap();
    assert_eq!(one.app.memory.nodes.live(), Some(2));
    assert_eq!(member.warned.len(), 1);
}

#[tokio::test]
async fn a_server_that_left_or_has_ended_is_no_reason_to_refuse() {
    let mut world = ClockedWorld::new().await;
    let (one, member) = world.running(0).await;
    leave(&one.app, member.node()).await.unwrap();
    let other = world.server(0);
    join(&other.app, new(&other.app, "unlike"))
        .await
        .unwrap()
        .unwrap();
    // This one is killed.
    let third = world.server(0);
    world.pass(NodeRecord::LIFE.saturating_sub(Duration::from_millis(1)));
    let line = refusal(join(&third.app, new(&third.app, "alike")).await);
    assert!(line.contains("limits.rate"), "{line}");
    world.pass(Duration::from_millis(1));
    join(&third.app, new(&third.app, "alike")).await.unwrap().unwrap();
    assert_eq!(third.app.memory.nodes.live(), Some(1));
}

#[tokio::test]
async fn of_two_that_start_together_with_other_settings_one_is_refused() {
    let mut world = ClockedWorld::new().await;
    let (one, other) = (world.server(0), world.server(0));
    // Both have read before either writes.
    let mut readings = Vec::new();
    for server in [&one, &other] {
        crate::flows::epoch::learn(&server.app).await.unwrap();
        let mut reading = Reading::new(&server.app);
        let format = reading.get(&keys::store_format()).await.unwrap().unwrap();
        let nobody = NodeId::from_bytes([0; 16]);
        assert!(
            running(&server.app, &mut reading, nobody)
                .await
                .unwrap()
                .is_empty()
        );
        readings.push((reading, format));
    }
    let mut committed = Vec::new();
    for (reading, format) in readings {
        let batch = Batch::new().put_record(keys::store_format(), &format).unwrap();
        committed.push(reading.commit(batch).await.is_ok());
    }
    assert_eq!(
        committed,
        [true, false],
        "what `join_once` writes lets one through at a time"
    );
    join(&one.app, new(&one.app, "alike")).await.unwrap().unwrap();
    let line = refusal(join(&other.app, new(&other.app, "unlike")).await);
    assert!(line.contains("limits.rate"), "{line}");
}

#[tokio::test]
async fn a_server_with_another_clock_does_not_start_and_one_that_gets_another_is_not_ready() {
    let mut world = ClockedWorld::new().await;
    let late = world.server(-11);
    let line = refusal(join(&late.app, new(&late.app, "alike")).await);
    assert!(
        line.starts_with("the clock of this machine is 11.0 s behind the database's, and more than 10 s"),
        "{line}"
    );
    let (one, mut first) = world.running(5).await;
    let (other, mut second) = world.running(-5).await;
    other.clock.advance(Duration::from_secs(30));
    first.beat(&one.app).await.unwrap();
    second.beat(&other.app).await.unwrap();
    assert!(
        !other.app.memory.nodes.clock_is_wrong(),
        "the others may not have looked since"
    );
    second.beat(&other.app).await.unwrap();
    assert!(other.app.memory.nodes.clock_is_wrong());
    first.beat(&one.app).await.unwrap();
    first.beat(&one.app).await.unwrap();
    assert!(!one.app.memory.nodes.clock_is_wrong());
    other.clock.set(world.store.clock.now());
    second.beat(&other.app).await.unwrap();
    assert!(!other.app.memory.nodes.clock_is_wrong());
}

/// As when a standby on another machine takes over.
#[tokio::test]
async fn a_database_whose_clock_jumps_stops_no_server() {
    let mut world = ClockedWorld::new().await;
    let mut servers = Vec::new();
    for ahead in [-1, 0, 1] {
        servers.push(world.running(ahead).await);
    }
    world.store.clock.advance(Duration::from_hours(1));
    for _ in 0..3 {
        for (server, member) in &mut servers {
            member.beat(&server.app).await.unwrap();
            assert!(!server.app.memory.nodes.clock_is_wrong());
        }
        world.pass(PERIOD);
    }
    for (server, _) in &servers {
        assert_eq!(server.app.memory.nodes.live(), Some(3));
    }
    // One that agrees with those that run may start, too.
    let (fourth, _member) = world.running(-3599).await;
    assert_eq!(fourth.app.memory.nodes.live(), Some(4));
}

#[tokio::test]
async fn one_of_several_has_a_duty_and_another_takes_it_when_that_one_is_gone() {
    let mut world = ClockedWorld::new().await;
    let mut servers = Vec::new();
    for ahead in [4, 0, -4] {
        servers.push(world.running(ahead).await);
    }
    let holders = |world: &ClockedWorld| {
        let held = servers.iter().map(|(server, _)| {
            let now = server.clock.now();
            server.app.memory.nodes.has_duty(Duty::Sweep, now)
        });
        let held: Vec<bool> = held.collect();
        (held, world.store.clock.now())
    };
    let look = async |which: &[usize]| {
        for at in which {
            let (server, member) = &servers[*at];
            duties::look(&server.app, member.node()).await.unwrap();
        }
    };
    assert_eq!(holders(&world).0, [true, false, false]);
    for _ in 0..20 {
        world.pass(duties::PERIOD);
        look(&[2, 1, 0]).await;
        assert_eq!(holders(&world).0, [true, false, false]);
    }
    // It is killed, or cannot write any more: it is no longer its duty, and nobody's for a moment.
    world.pass(DutyHolder::LEASE);
    look(&[1, 2]).await;
    assert_eq!(holders(&world).0, [false; 3]);
    world.pass(CLOCKS_APART + Duration::from_millis(1));
    look(&[2, 1, 0]).await;
    assert_eq!(holders(&world).0, [false, false, true]);
    // One that stops gives it back at once.
    leave(&servers[2].0.app, servers[2].1.node()).await.unwrap();
    look(&[1, 0]).await;
    assert_eq!(holders(&world).0[..2], [false, true]);
}

#[tokio::test]
async fn a_server_whose_clock_is_wrong_gives_its_duties_back() {
    let mut world = ClockedWorld::new().await;
    let (one, mut first) = world.running(0).await;
    let (other, second) = world.running(0).await;
    one.clock.advance(Duration::from_secs(30));
    first.beat(&one.app).await.unwrap();
    first.beat(&one.app).await.unwrap();
    duties::look(&one.app, first.node()).await.unwrap();
    duties::look(&other.app, second.node()).await.unwrap();
    let has = |server: &NodeWithClock| {
        server
            .app
            .memory
            .nodes
            .has_duty(Duty::ChallengeTimers, server.clock.now())
    };
    assert!(!has(&one) && has(&other));
}

/// Under the paused time of tokio, which runs on when everybody rests.
#[tokio::test(start_paused = true)]
async fn who_has_not_the_duty_asks_the_store_for_nothing() {
    let mut world = ClockedWorld::new().await;
    let (one, _first) = world.running(0).await;
    let (other, _second) = world.running(0).await;
    let sweeping = async |server: &NodeWithClock| {
        world.store.inner.take();
        let app = Arc::new(server.app.clone());
        let swept = tokio::time::timeout(Duration::from_mins(5), sweep::keep_up(app)).await;
        assert!(swept.is_err());
        world.store.inner.take()
    };
    assert!(sweeping(&one).await.reads() >= 9);
    assert_eq!(sweeping(&other).await, RoundTrips::default());
}

#[tokio::test]
async fn who_has_the_store_alone_has_no_register_and_all_duties() {
    let directory = tempfile::tempdir().unwrap();
    let options = crate::store::sled::Options::new(directory.path());
    let store = CountingStore::new(crate::store::sled::SledStore::open(&options).unwrap());
    let store = Arc::new(store);
    let app = TestParts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        ..TestParts::default()
    }
    .wire();
    assert!(join(&app, new(&app, "alike")).await.unwrap().is_none());
    assert_eq!(store.take(), RoundTrips::default());
    assert!(
        Duty::ALL
            .iter()
            .all(|duty| app.memory.nodes.has_duty(*duty, app.clock.now()))
    );
    assert!(app.memory.nodes.live().is_none() && app.memory.nodes.clock().is_none());
    store.close().await.unwrap();
}
