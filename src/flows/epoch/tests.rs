//! Epochs in a database that several processes share.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::domain::destination::Destination;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::AccountSid;
use crate::domain::time::SystemClock;
use crate::doubles::TestParts;
use crate::flows::{retry_on_conflict, store_format};
use crate::postgres_server::{Cluster, Database};
use crate::store::postgres::{PostgresAddress, PostgresOptions, PostgresStore};
use crate::store::{Batch, Entry, StoreError, keys};

async fn node_on(database: &Database) -> App {
    let address = PostgresAddress::parse(&database.url(), None).unwrap();
    PostgresStore::migrate(&address).await.unwrap();
    let store = PostgresStore::open(&PostgresOptions::new(address), Arc::new(SystemClock)).await;
    let parts = TestParts {
        store: Arc::new(store.unwrap()),
        ..TestParts::default()
    };
    let app = parts.wire();
    store_format::check(&app).await.unwrap();
    app
}

fn number(app: &App) -> u32 {
    app.memory.epoch.get().unwrap().0.number
}

/// A second standby that was behind may have lost what the first one had: what was void must not be good again, though nobody
/// was acknowledged anything since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_is_forgotten_is_begun_anew() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = tokio::task::block_in_place(|| cluster.database());
    let app = node_on(&database).await;
    let epoch = "FROM countersign_entries WHERE key = 'd~'";
    let forgotten = database.psql(&format!("SELECT version {epoch}"));
    app.store.report_loss();
    begin_after_loss(&app).await.unwrap();
    assert_eq!(number(&app), 1);
    for (known, forget) in [
        (
            1,
            format!(
                "UPDATE countersign_entries SET version = {} WHERE key = 'd~'",
                forgotten.trim()
            ),
        ),
        (2, format!("DELETE {epoch}")),
    ] {
        assert_eq!(number(&app), known);
        database.psql(&forget);
        let refused = learn(&app).await;
        assert!(matches!(refused, Err(Fault::Unavailable(_))), "{refused:?}");
        assert_eq!(number(&app), known, "what is void stays void");
        assert!(app.store.has_lost_commits());
        begin_after_loss(&app).await.unwrap();
        assert_eq!(number(&app), known + 1);
        assert!(!app.store.has_lost_commits());
    }
}

/// A database with two nodes, and what one of them has at `key`, of which the first version is kept aside.
struct RolledBack {
    database: Database,
    node: App,
    key: Vec<u8>,
}

impl RolledBack {
    async fn new() -> Option<Self> {
        let cluster = Cluster::shared()?;
        let database = tokio::task::block_in_place(|| cluster.database());
        let node = node_on(&database).await;
        let phone = PhoneNumber::try_from("+32470123456".to_owned()).unwrap();
        let key = keys::wrong_codes(AccountSid::from_bytes([1; 16]), &Destination::Phone(phone)).into_bytes();
        let world = Self { database, node, key };
        world.write(b"old").await;
        world.keep("aside", &format!("key = {}", world.row_key()));
        world.write(b"new").await;
        world.read().await.unwrap();
        Some(world)
    }

    fn row_key(&self) -> String {
        let mut literal = "'\\x64".to_owned();
        for byte in &self.key {
            write!(literal, "{byte:02x}").unwrap();
        }
        literal + "'"
    }

    async fn write(&self, value: &[u8]) {
        let batch = match self.read().await.unwrap() {
            Some(found) => Batch::new().assert_at(self.key.clone(), found.version),
            None => Batch::new().assert_absent(self.key.clone()),
        };
        let batch = batch.put(self.key.clone(), value.to_vec());
        self.node.store.commit(batch).await.unwrap();
    }

    async fn read(&self) -> Result<Option<Entry>, StoreError> {
        self.node.store.get(&self.key).await
    }

    fn keep(&self, table: &str, which: &str) {
        let kept = format!("CREATE TABLE {table} AS SELECT * FROM countersign_entries WHERE {which}");
        self.database.psql(&kept);
    }

    /// Puts back what was kept, in the version that it had and `above`.
    fn put_back(&self, table: &str, above: u64) {
        self.database.psql(&format!(
            "UPDATE countersign_entries SET value = kept.value, version = kept.version + {above} FROM {table} AS kept
             WHERE countersign_entries.key = kept.key"
        ));
    }

    async fn is_refused(&self) -> bool {
        match self.read().await {
            Err(StoreError::Forged(why)) => why.contains("older than it was"),
            Ok(_) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_puts_back_begins_no_epoch_and_stays_refused() {
    let Some(world) = RolledBack::new().await else {
        return;
    };
    world.put_back("aside", 0);
    for _ in 0..3 {
        assert!(world.is_refused().await);
        assert!(!world.node.store.has_lost_commits());
        learn(&world.node).await.unwrap();
    }
    assert_eq!(number(&world.node), 0, "nothing is void");
    assert!(world.node.store.statistics().forged >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_another_node_began_lets_older_versions_count() {
    let Some(world) = RolledBack::new().await else {
        return;
    };
    let other = node_on(&world.database).await;
    world.put_back("aside", 0);
    assert!(world.is_refused().await);
    other.store.report_loss();
    begin_after_loss(&other).await.unwrap();
    learn(&world.node).await.unwrap();
    assert_eq!(number(&world.node), 1);
    assert_eq!(world.read().await.unwrap().unwrap().value, b"old");
}

/// An old record of the epoch has a MAC that is right. With a version above all others it would make good what is void.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_is_over_is_refused_in_whatever_version() {
    let Some(world) = RolledBack::new().await else {
        return;
    };
    world.keep("epoch_before", "key = 'd~'");
    world.node.store.report_loss();
    begin_after_loss(&world.node).await.unwrap();
    world.write(b"newer").await;
    world.read().await.unwrap();
    world.put_back("epoch_before", 1 << 50);
    let refused = learn(&world.node).await;
    assert!(matches!(refused, Err(Fault::Forged(_))), "{refused:?}");
    assert_eq!(number(&world.node), 1, "what is void stays void");
    assert!(!world.node.store.has_lost_commits());
    world.put_back("aside", 0);
    assert!(world.is_refused().await, "nothing is forgotten");
}

/// Every commit rests on the epoch, so none can come through: each says so at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_the_epochs_place_is_said_at_once() {
    let Some(world) = RolledBack::new().await else {
        return;
    };
    let node = &world.node;
    let attempts = AtomicUsize::new(0);
    let decide = || async {
        attempts.fetch_add(1, Ordering::SeqCst);
        let key = keys::vapid_key().into_bytes();
        Reading::new(node).commit(Batch::new().put(key, Vec::new())).await
    };
    retry_on_conflict(node, decide).await.unwrap();
    world
        .database
        .psql("UPDATE countersign_entries SET value = 'garbage', version = version + 1 WHERE key = 'd~'");
    attempts.store(0, Ordering::SeqCst);
    let refused: Result<(), Fault> = retry_on_conflict(node, decide).await;
    assert!(matches!(refused, Err(Fault::Forged(_))), "{refused:?}");
    let attempts = attempts.load(Ordering::SeqCst);
    assert!(attempts < 20, "{attempts}");
    // What has an end there is written over without one.
    world
        .database
        .psql("UPDATE countersign_entries SET expires_at = 1 WHERE key = 'd~'");
    node.store.report_loss();
    begin_after_loss(node).await.unwrap();
    assert_eq!(number(node), 1);
    retry_on_conflict(node, decide).await.unwrap();
}
