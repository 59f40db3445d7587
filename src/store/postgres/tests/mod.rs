//! The engine's own promises, beside the contract. Each test has a database of its own.

mod connections;
mod history;
mod nodes;
mod outages;
mod reaching;
mod servers;
mod unreadable;
mod witness_rows;

use self::history::Workload;
use super::*;
use crate::domain::time::SystemClock;
use crate::postgres_server::{Cluster, Database, Proxy};

/// What makes it; or the end of the test where there is no PostgreSQL.
macro_rules! or_return {
    ($made:expr) => {
        match $made {
            Some(made) => made,
            None => return,
        }
    };
}
use or_return;

crate::store::contract::contract_tests!(or_return!(EmptyStore::new().await));

struct EmptyStore {
    store: PostgresStore,
    database: Database,
}

impl EmptyStore {
    /// An empty store in a new database.
    async fn new() -> Option<Self> {
        let database = new_database().await?;
        let store = open(&database.url()).await.unwrap();
        Some(Self { store, database })
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }

    /// Another process on the same database.
    async fn another(&self) -> PostgresStore {
        open(&self.database.url()).await.unwrap()
    }
}

/// A store whose connections go through a proxy that makes faults.
struct BehindProxy {
    store: Arc<PostgresStore>,
    proxy: Proxy,
}

impl BehindProxy {
    async fn new(bounds: PostgresBounds) -> Option<Self> {
        let database = new_database().await?;
        let proxy = Proxy::start(database.address());
        let store = open_within(&database.at(proxy.address()).url(), bounds)
            .await
            .unwrap();
        Some(Self {
            store: Arc::new(store),
            proxy,
        })
    }
}

/// Bounds that a test can wait for.
fn short_bounds() -> PostgresBounds {
    PostgresBounds {
        connect: Duration::from_secs(1),
        statement: Duration::from_secs(1),
        read: Duration::from_secs(4),
        commit: Duration::from_secs(5),
    }
}

/// A new database that has its tables.
async fn new_database() -> Option<Database> {
    let database = tokio::task::spawn_blocking(|| Some(Cluster::shared()?.database()));
    let database = database.await.unwrap()?;
    PostgresStore::migrate(&address(&database.url())).await.unwrap();
    Some(database)
}

fn address(url: &str) -> PostgresAddress {
    PostgresAddress::parse(url, None).unwrap()
}

async fn open(url: &str) -> Result<PostgresStore, StoreError> {
    open_within(url, PostgresBounds::default()).await
}

async fn open_within(url: &str, bounds: PostgresBounds) -> Result<PostgresStore, StoreError> {
    let options = PostgresOptions {
        readers: 4,
        writers: 2,
        bounds,
        ..PostgresOptions::new(address(url))
    };
    PostgresStore::open(&options, Arc::new(SystemClock)).await
}

fn put(key: &str, value: &str) -> Batch {
    Batch::new().put(key.into(), value.into())
}

async fn value(store: &PostgresStore, key: &str) -> Option<String> {
    let entry = store.get(key.as_bytes()).await.unwrap();
    entry.map(|entry| String::from_utf8(entry.value).unwrap())
}

async fn version(store: &PostgresStore, key: &str) -> Version {
    store.get(key.as_bytes()).await.unwrap().unwrap().version
}
