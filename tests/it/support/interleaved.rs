//! A store on which requests that run at once get in each other's way as often as they can: each waits for all others
//! before every single operation, so that all of them read before any of them writes.

use std::sync::Arc;

use async_trait::async_trait;
use countersign::domain::time::Timestamp;
use countersign::store::memory::MemoryStore;
use countersign::store::{
    Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, Scan, Statistics, Store, StoreError,
};
use tokio::task::yield_now;

/// A store in memory that lets everybody else go first.
#[derive(Debug, Default)]
pub(crate) struct Interleaved(MemoryStore);

impl Interleaved {
    pub(crate) fn store() -> Arc<dyn Store> {
        Arc::new(Self::default())
    }
}

#[async_trait]
impl Store for Interleaved {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        yield_now().await;
        self.0.get(key).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        yield_now().await;
        self.0.get_many(keys).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        yield_now().await;
        self.0.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        yield_now().await;
        self.0.commit(batch).await
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        yield_now().await;
        self.0.expired(now, after, limit).await
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        self.0.export().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }

    fn statistics(&self) -> Statistics {
        self.0.statistics()
    }
}
