//! The engine's own promises, beside the contract.

mod durability;
mod expiry;
mod opening;
mod space;
mod unreadable;

use tempfile::TempDir;

use super::*;

crate::store::contract::contract_tests!(Fixture::new());

struct Fixture {
    store: SledStore,
    _directory: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        Self {
            store: open(directory.path()),
            _directory: directory,
        }
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }
}

fn open(directory: &Path) -> SledStore {
    SledStore::open(&options(directory)).unwrap()
}

fn options(directory: &Path) -> Options {
    Options {
        cache_bytes: 16 * 1024 * 1024,
        ..Options::new(directory)
    }
}

fn put(key: &str, value: &str) -> Batch {
    Batch::new().put(key.into(), value.into())
}

async fn value(store: &SledStore, key: &str) -> Option<String> {
    let entry = store.get(key.as_bytes()).await.unwrap();
    entry.map(|entry| String::from_utf8(entry.value).unwrap())
}

async fn version(store: &SledStore, key: &str) -> u64 {
    store.get(key.as_bytes()).await.unwrap().unwrap().version.0
}
