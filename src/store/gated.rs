//! For tests: a store at which something else happens between what the engine does and whoever has asked for it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::{
    Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, Scan, Statistics, Store, StoreError,
};
use crate::domain::time::Timestamp;

/// A wrapper with an interlude at one operation.
pub(crate) struct GatedStore {
    inner: Arc<dyn Store>,
    is_exclusive: bool,
    /// How long each operation takes, and all of them have taken so far.
    latency: Duration,
    busy: Mutex<Duration>,
    interlude: Mutex<Option<(StoreOperation, BoxFuture<'static, ()>)>>,
}

/// Where an interlude is: in front of a commit or a piece of an export, behind everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreOperation {
    Commit,
    Expired,
    Export,
    Get,
    GetMany,
    /// The first piece of an export.
    Piece,
    Scan,
}

impl GatedStore {
    /// Nothing happens yet at what `inner` does.
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            is_exclusive: false,
            latency: Duration::ZERO,
            busy: Mutex::default(),
            interlude: Mutex::default(),
        }
    }

    /// The same, as if nobody else could use the store.
    pub(crate) fn exclusive(inner: Arc<dyn Store>) -> Self {
        Self {
            is_exclusive: true,
            ..Self::new(inner)
        }
    }

    /// The same with operations that take as long as this.
    pub(crate) fn slow(inner: Arc<dyn Store>, latency: Duration) -> Self {
        Self {
            latency,
            ..Self::new(inner)
        }
    }

    /// How long the store was at work.
    pub(crate) fn busy(&self) -> Duration {
        *self.busy.lock().unwrap()
    }

    /// What happens at the next such operation, once.
    pub(crate) fn at_next(&self, operation: StoreOperation, what: impl Future<Output = ()> + Send + 'static) {
        *self.interlude.lock().unwrap() = Some((operation, Box::pin(what)));
    }

    /// Whether what was to happen did, or has begun to.
    pub(crate) fn is_open(&self) -> bool {
        self.interlude.lock().unwrap().is_none()
    }

    fn take(&self, operation: StoreOperation) -> Option<BoxFuture<'static, ()>> {
        let mut interlude = self.interlude.lock().unwrap();
        let taken = interlude.take_if(|(of, _)| *of == operation);
        taken.map(|(_, what)| what)
    }

    async fn work(&self) {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
            *self.busy.lock().unwrap() += self.latency;
        }
    }

    async fn pass<T>(&self, operation: StoreOperation, answer: T) -> T {
        self.work().await;
        if let Some(what) = self.take(operation) {
            what.await;
        }
        answer
    }
}

#[async_trait]
impl Store for GatedStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.pass(StoreOperation::Get, self.inner.get(key).await).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.pass(StoreOperation::GetMany, self.inner.get_many(keys).await)
            .await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        self.pass(StoreOperation::Scan, self.inner.scan(scan).await).await
    }

    /// As engines do it: what was begun goes on, whether somebody still waits for it or not.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.work().await;
        let Some(what) = self.take(StoreOperation::Commit) else {
            return self.inner.commit(batch).await;
        };
        let inner = Arc::clone(&self.inner);
        let begun = tokio::spawn(async move {
            what.await;
            inner.commit(batch).await
        });
        begun.await.unwrap()
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        let found = self.inner.expired(now, after, limit).await;
        self.pass(StoreOperation::Expired, found).await
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        let inner = self
            .pass(StoreOperation::Export, self.inner.export().await)
            .await?;
        let interlude = self.take(StoreOperation::Piece);
        Ok(Box::new(GatedExport { inner, interlude }))
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }

    fn statistics(&self) -> Statistics {
        self.inner.statistics()
    }

    fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }
}

struct GatedExport {
    inner: Box<dyn Export>,
    interlude: Option<BoxFuture<'static, ()>>,
}

#[async_trait]
impl Export for GatedExport {
    async fn next(&mut self) -> Result<Option<Vec<(Vec<u8>, Entry)>>, StoreError> {
        if let Some(what) = self.interlude.take() {
            what.await;
        }
        self.inner.next().await
    }
}

impl fmt::Debug for GatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GatedStore").field(&self.inner).finish()
    }
}
