//! For tests: a store that counts how often it is asked, because each time is a round trip for an engine across a network.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::keys::KeyParts;
use super::{
    Announcements, Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, Scan, Statistics, Store,
    StoreError, ValueAfterLoss,
};
use crate::domain::store_condition::StoreCondition;
use crate::domain::time::Timestamp;

/// A wrapper that counts the operations that reach the store it wraps.
#[derive(Debug, Default)]
pub struct CountingStore<S> {
    inner: S,
    get: AtomicUsize,
    get_many: AtomicUsize,
    scan: AtomicUsize,
    commit: AtomicUsize,
    audit: AtomicUsize,
    expired: AtomicUsize,
    export: AtomicUsize,
}

/// How often each operation was asked for, whether it succeeded or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrips {
    /// Single entries read.
    pub get: usize,
    /// Several entries read together.
    pub get_many: usize,
    /// Stretches of the key map read.
    pub scan: usize,
    /// Batches committed.
    pub commit: usize,
    /// Those of them that wrote into the audit log and nowhere else.
    pub audit: usize,
    /// Searches for what has ended.
    pub expired: usize,
    /// Copies of everything begun.
    pub export: usize,
}

impl RoundTrips {
    /// All that only read.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.get + self.get_many + self.scan + self.expired + self.export
    }
}

impl<S: Store> CountingStore<S> {
    /// Wraps `inner`; nothing is counted yet.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            get: AtomicUsize::new(0),
            get_many: AtomicUsize::new(0),
            scan: AtomicUsize::new(0),
            commit: AtomicUsize::new(0),
            audit: AtomicUsize::new(0),
            expired: AtomicUsize::new(0),
            export: AtomicUsize::new(0),
        }
    }

    /// The round trips since the last call, or since the beginning.
    pub fn take(&self) -> RoundTrips {
        let take = |count: &AtomicUsize| count.swap(0, Ordering::SeqCst);
        RoundTrips {
            get: take(&self.get),
            get_many: take(&self.get_many),
            scan: take(&self.scan),
            commit: take(&self.commit),
            audit: take(&self.audit),
            expired: take(&self.expired),
            export: take(&self.export),
        }
    }

    /// The wrapped store, to prepare it or look at it uncounted.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

#[async_trait]
impl<S: Store> Store for CountingStore<S> {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.get.fetch_add(1, Ordering::SeqCst);
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.get_many.fetch_add(1, Ordering::SeqCst);
        self.inner.get_many(keys).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        self.scan.fetch_add(1, Ordering::SeqCst);
        self.inner.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.commit.fetch_add(1, Ordering::SeqCst);
        let is_audit = |key: &[u8]| matches!(KeyParts::parse(key), Some(KeyParts::AuditEntry(..)));
        if batch.written_keys().chain(batch.deleted_keys()).all(is_audit) {
            self.audit.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.commit(batch).await
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        self.expired.fetch_add(1, Ordering::SeqCst);
        self.inner.expired(now, after, limit).await
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        self.export.fetch_add(1, Ordering::SeqCst);
        self.inner.export().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }

    fn statistics(&self) -> Statistics {
        self.inner.statistics()
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.clock().await
    }

    fn condition(&self) -> StoreCondition {
        self.inner.condition()
    }

    fn look_at_disk(&self) {
        self.inner.look_at_disk();
    }

    fn is_exclusive(&self) -> bool {
        self.inner.is_exclusive()
    }

    fn has_lost_commits(&self) -> bool {
        self.inner.has_lost_commits()
    }

    fn report_loss(&self) {
        self.inner.report_loss();
    }

    async fn go_on_after_loss(&self, key: Vec<u8>, value: &ValueAfterLoss<'_>) -> Result<(), StoreError> {
        self.inner.go_on_after_loss(key, value).await
    }

    async fn raise_versions(&self) -> Result<(), StoreError> {
        self.inner.raise_versions().await
    }

    fn announcements(&self) -> Option<Box<dyn Announcements>> {
        self.inner.announcements()
    }
}
