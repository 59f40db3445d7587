//! For tests: a store that fails when it is told to, to see that flows refuse rather than guess.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;

use super::{
    Announcements, Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, Scan, Statistics, Store,
    StoreError, ValueAfterLoss,
};
use crate::domain::store_condition::StoreCondition;
use crate::domain::time::Timestamp;

/// A wrapper whose reads or commits fail on demand, with [`StoreError::Unavailable`] and without an effect.
pub struct FaultyStore<S> {
    inner: S,
    fail_reads: AtomicBool,
    fail_commits: AtomicBool,
    lose_commits: AtomicBool,
    /// How many operations still succeed before one fails; [`NEVER`] when none is to fail.
    countdown: AtomicU64,
}

impl<S: Store> FaultyStore<S> {
    /// Wraps `inner`; nothing fails yet.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            fail_reads: AtomicBool::new(false),
            fail_commits: AtomicBool::new(false),
            lose_commits: AtomicBool::new(false),
            countdown: AtomicU64::new(NEVER),
        }
    }

    /// Whether every read fails from now on.
    pub fn fail_reads(&self, fail: bool) {
        self.fail_reads.store(fail, Ordering::SeqCst);
    }

    /// Whether every commit fails from now on.
    pub fn fail_commits(&self, fail: bool) {
        self.fail_commits.store(fail, Ordering::SeqCst);
    }

    /// Whether another change comes before every commit from now on.
    pub fn lose_commits(&self, lose: bool) {
        self.lose_commits.store(lose, Ordering::SeqCst);
    }

    /// Lets `succeeding` more operations (reads and commits alike, a read of many keys being one) through, fails the one behind them, and is healthy
    /// again. Walking `succeeding` from 0 up visits every point at which a flow can fail.
    pub fn fail_after(&self, succeeding: u64) {
        self.countdown.store(succeeding, Ordering::SeqCst);
    }

    /// The wrapped store, to look at what is there whatever fails.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn gate(&self, failing: &AtomicBool) -> Result<(), StoreError> {
        let tick = |left| (left != NEVER).then(|| if left == 0 { NEVER } else { left - 1 });
        let due = self
            .countdown
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, tick)
            == Ok(0);
        if due || failing.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("a test told it to fail".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.gate(&self.fail_reads)?;
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.gate(&self.fail_reads)?;
        self.inner.get_many(keys).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        self.gate(&self.fail_reads)?;
        self.inner.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.gate(&self.fail_commits)?;
        if self.lose_commits.load(Ordering::SeqCst) {
            return Err(CommitError::Conflict);
        }
        self.inner.commit(batch).await
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        self.gate(&self.fail_reads)?;
        self.inner.expired(now, after, limit).await
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        self.gate(&self.fail_reads)?;
        self.inner.export().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }

    fn statistics(&self) -> Statistics {
        self.inner.statistics()
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.gate(&self.fail_reads)?;
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

impl<S: fmt::Debug> fmt::Debug for FaultyStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultyStore").field(&self.inner).finish()
    }
}

const NEVER: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn a_failed_commit_changes_nothing_and_reads_go_on() {
        let store = FaultyStore::new(MemoryStore::new());
        store.fail_commits(true);
        let put = || Batch::new().put(b"k".to_vec(), b"v".to_vec());
        assert!(matches!(store.commit(put()).await, Err(CommitError::Store(_))));
        assert_eq!(store.get(b"k").await.unwrap(), None);
        store.fail_commits(false);
        store.commit(put()).await.unwrap();
        store.fail_reads(true);
        assert!(store.get(b"k").await.is_err());
        assert!(store.inner().get(b"k").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn exactly_the_chosen_operation_fails() {
        let store = FaultyStore::new(MemoryStore::new());
        store.fail_after(2);
        let mut outcomes = Vec::new();
        for _ in 0..4 {
            outcomes.push(store.get(b"k").await.is_ok());
        }
        assert_eq!(outcomes, [true, true, false, true]);
    }
}
