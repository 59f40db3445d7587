//! How far the store is durable, and whether it can still be trusted: what the committer and the syncer tell the readers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use sled::IVec;
use tokio::sync::Notify;

use crate::domain::histogram::GroupSizes;
use crate::store::atomic_histogram::AtomicHistogram;
use crate::store::{Statistics, StoreError};

/// Shared by the two threads that write it and all readers.
#[derive(Debug, Default)]
pub(super) struct Durability {
    /// Every batch up to this version is on disk.
    durable: AtomicU64,
    /// No batch that was applied has a version above this one.
    given: AtomicU64,
    /// Says without a lock that `deleting` is empty, as it mostly is.
    deletes: AtomicBool,
    /// The tree's keys that groups delete which are not durable yet, each with the last version of its group. An entry's
    /// own version tells a reader that it is not durable yet; an entry that is gone tells nothing.
    deleting: Mutex<BTreeMap<IVec, u64>>,
    /// Why nothing is read or acknowledged any more.
    failure: OnceLock<String>,
    /// Signals that `durable` rose or `failure` was set.
    moved: Notify,
    pub(super) commits: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) group_sizes: AtomicHistogram<GroupSizes>,
}

impl Durability {
    /// Everything before `version` counts as durable.
    pub(super) fn from_version(version: u64) -> Self {
        Self {
            durable: AtomicU64::new(version.saturating_sub(1)),
            given: AtomicU64::new(version.saturating_sub(1)),
            ..Self::default()
        }
    }

    /// Announces a group whose last version is `until`, with its deletes, before it is applied.
    pub(super) fn announce(&self, keys: BTreeSet<IVec>, until: u64) {
        self.given.store(until, Ordering::SeqCst);
        if !keys.is_empty() {
            let mut deleting = self.lock();
            deleting.extend(keys.into_iter().map(|key| (key, until)));
            self.deletes.store(true, Ordering::SeqCst);
        }
    }

    /// Everything up to `version` is on disk.
    pub(super) fn advance(&self, version: u64) {
        self.durable.store(version, Ordering::SeqCst);
        if self.deletes.load(Ordering::SeqCst) {
            // Another group may have announced its own meanwhile.
            let mut deleting = self.lock();
            deleting.retain(|_, until| *until > version);
            self.deletes.store(!deleting.is_empty(), Ordering::SeqCst);
        }
        self.moved.notify_waiters();
    }

    /// Nothing is read or acknowledged from now on. The first reason stays.
    pub(super) fn fail(&self, reason: String) {
        self.failure.get_or_init(|| reason);
        self.moved.notify_waiters();
    }

    /// Whether a batch can have had this version.
    pub(super) fn was_given(&self, version: u64) -> bool {
        version <= self.given.load(Ordering::SeqCst)
    }

    /// Waits until `version`, which was given, is on disk.
    pub(super) async fn reached(&self, version: u64) -> Result<(), StoreError> {
        if self.is_durable(version)? {
            return Ok(());
        }
        loop {
            let mut moved = pin!(self.moved.notified());
            // Registered before looking, so that no signal falls between the look and the wait.
            moved.as_mut().enable();
            if self.is_durable(version)? {
                return Ok(());
            }
            moved.await;
        }
    }

    /// Waits until the group is on disk that deletes the entry at `data_key`, if there is such a group.
    pub(super) async fn deleted(&self, data_key: &[u8]) -> Result<(), StoreError> {
        match self.deleting(|keys| keys.get(data_key).copied()) {
            Some(until) => self.reached(until).await,
            None => self.usable(),
        }
    }

    /// Waits until the groups are on disk that delete entries whose keys in the tree begin with `prefix`.
    pub(super) async fn deleted_within(&self, prefix: &[u8]) -> Result<(), StoreError> {
        let last = |keys: &BTreeMap<IVec, u64>| {
            let behind = keys.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
            let within = behind.take_while(|(key, _)| key.starts_with(prefix));
            within.map(|(_, until)| *until).max()
        };
        match self.deleting(last) {
            Some(until) => self.reached(until).await,
            None => self.usable(),
        }
    }

    /// Whether the store can be used at all.
    pub(super) fn usable(&self) -> Result<(), StoreError> {
        match self.failure.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Unavailable(reason.clone())),
        }
    }

    /// Why nothing is read or acknowledged any more, if that is so.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// Why nobody answers.
    pub(super) fn absence(&self) -> StoreError {
        let reason = self.failure.get().cloned();
        StoreError::Unavailable(reason.unwrap_or_else(|| "it is closed".into()))
    }

    /// The counts so far.
    pub(super) fn statistics(&self, disk_bytes: u64) -> Statistics {
        Statistics {
            commits: self.commits.load(Ordering::Relaxed),
            conflicts: self.conflicts.load(Ordering::Relaxed),
            groups: self.groups.load(Ordering::Relaxed),
            group_sizes: self.group_sizes.counts(),
            disk_bytes,
            ..Statistics::default()
        }
    }

    fn is_durable(&self, version: u64) -> Result<bool, StoreError> {
        self.usable()?;
        Ok(self.durable.load(Ordering::SeqCst) >= version)
    }

    fn deleting(&self, until: impl FnOnce(&BTreeMap<IVec, u64>) -> Option<u64>) -> Option<u64> {
        if self.deletes.load(Ordering::SeqCst) {
            until(&self.lock())
        } else {
            None
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IVec, u64>> {
        self.deleting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
