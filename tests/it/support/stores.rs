//! The stores that tests run on.
//!
//! A test that is about no engine asks for [`new_store`], which is one in memory, or for a [`StorePlace`], which is a
//! directory for sled. With `COUNTERSIGN_TEST_STORE=postgres` both are databases, so that the same tests see the flows on
//! PostgreSQL.

use std::any::Any;
use std::ops::Div;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tempfile::TempDir;

use countersign::domain::time::SystemClock;
use countersign::store::Store;
use countersign::store::memory::MemoryStore;
use countersign::store::postgres::{PostgresAddress, PostgresOptions, PostgresStore};
use countersign::store::sled::{Options, SledStore};

use crate::postgres_server::{Cluster, Database};

/// An empty store, for a test that opens it once.
pub(crate) async fn new_store() -> Arc<dyn Store> {
    if !on_postgres() {
        return Arc::new(MemoryStore::new());
    }
    let database = new_database().await;
    let store = Arc::new(open(&database).await);
    drop_with(&store, &database);
    store
}

/// Where a store lies that is closed and opened again.
pub(crate) enum StorePlace {
    Directory(TempDir),
    Database(Arc<Database>),
}

impl StorePlace {
    pub(crate) async fn new() -> Self {
        if !on_postgres() {
            return Self::Directory(TempDir::new().unwrap());
        }
        let database = Arc::new(new_database().await);
        drop_with(&database, &database);
        Self::Database(database)
    }

    /// A place of each engine to copy from and one to copy to; directories alone where there is no PostgreSQL.
    pub(crate) async fn pairs() -> Vec<(Self, Self)> {
        let directory = || Self::Directory(TempDir::new().unwrap());
        let mut pairs = vec![(directory(), directory())];
        let has_postgres = tokio::task::spawn_blocking(|| Cluster::shared().is_some());
        if has_postgres.await.unwrap() {
            for from_database in [false, true] {
                let database = Arc::new(new_database().await);
                drop_with(&database, &database);
                let database = Self::Database(database);
                pairs.push(if from_database {
                    (database, directory())
                } else {
                    (directory(), database)
                });
            }
        }
        pairs
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Directory(directory) => sled_in(directory.path()),
            Self::Database(database) => Arc::new(open(database).await),
        }
    }
}

/// How often to try what is random, if it is tried `often` in memory.
pub(crate) fn fewer_on_postgres<N: From<u8> + Div<Output = N>>(often: N) -> N {
    if on_postgres() { often / N::from(10) } else { often }
}

/// The store that keeps its data in `directory`, whatever engine the tests run on.
pub(crate) fn sled_in(directory: &Path) -> Arc<dyn Store> {
    let options = Options {
        cache_bytes: 8 * 1024 * 1024,
        ..Options::new(directory)
    };
    Arc::new(SledStore::open(&options).unwrap())
}

/// Whether the tests of flows and dialects run on PostgreSQL.
fn on_postgres() -> bool {
    match std::env::var(VARIABLE).as_deref() {
        Err(_) | Ok("") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("{VARIABLE}={other}: set it to postgres, or not at all"),
    }
}

async fn open(database: &Database) -> PostgresStore {
    let options = PostgresOptions {
        readers: 4,
        writers: 2,
        ..PostgresOptions::new(address(database))
    };
    PostgresStore::open(&options, Arc::new(SystemClock))
        .await
        .unwrap()
}

fn address(database: &Database) -> PostgresAddress {
    PostgresAddress::parse(&database.url(), None).unwrap()
}

/// A copy of the database that has the tables: a good deal sooner there than they are made.
async fn new_database() -> Database {
    static TEMPLATE: OnceLock<Database> = OnceLock::new();
    let made = tokio::task::spawn_blocking(|| {
        let cluster = Cluster::shared()
            .expect("COUNTERSIGN_TEST_STORE=postgres needs PostgreSQL: install it, as the line above says");
        let template = TEMPLATE.get_or_init(|| with_tables(cluster));
        cluster.copy(template, &abandoned())
    });
    made.await.unwrap()
}

/// On a runtime of its own, which takes its connections with it: a database is only copied when nobody uses it.
fn with_tables(cluster: &Cluster) -> Database {
    let database = cluster.database();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(PostgresStore::migrate(&address(&database)))
        .unwrap();
    database
}

/// Databases in use, each with what keeps it so. A test's takes 8 MB of the disk.
static IN_USE: Mutex<Vec<(Weak<dyn Any + Send + Sync>, Database)>> = Mutex::new(Vec::new());

/// Lets the database go when `user` is gone and the next one is made.
fn drop_with<T: Any + Send + Sync>(user: &Arc<T>, database: &Database) {
    let user: Arc<dyn Any + Send + Sync> = Arc::clone(user) as _;
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    in_use.push((Arc::downgrade(&user), database.clone()));
}

fn abandoned() -> Vec<Database> {
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    let gone = in_use.extract_if(.., |(user, _)| user.strong_count() == 0);
    gone.map(|(_, database)| database).collect()
}

const VARIABLE: &str = "COUNTERSIGN_TEST_STORE";
