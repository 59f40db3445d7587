//! What an epoch of the store means to whoever reads and decides: records that are older than it count only as far as it lets
//! them, and nothing is committed that was decided in another one.

use super::{Fault, Reading};
use crate::domain::factor::DriftLimit;
use crate::domain::fraud::ledger::Ledger;
use crate::domain::store_epoch::StoreEpoch;
use crate::domain::time::Timestamp;
use crate::memory::Memory;
use crate::memory::epoch::KnownEpoch;
use crate::memory::news::NewsItem;
use crate::store::keys;
use crate::store::records::{self, Record};
use crate::store::{Batch, Entry, Store, StoreError, Version};

/// The epoch that a decision is made in, and the version of its record; `None` if the store has no such record.
#[derive(Clone, Copy, Debug)]
pub(in crate::flows) struct DecisionEpoch(Option<(StoreEpoch, Version)>);

impl DecisionEpoch {
    /// The one that is known now.
    pub(in crate::flows) fn of(known: &KnownEpoch) -> Self {
        Self(known.get().map(|(epoch, version)| (epoch, Version(version))))
    }

    /// The record of an entry, as far as it counts.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub(in crate::flows) fn record<T: Record>(self, entry: &Entry) -> Result<T, StoreError> {
        let mut record: T = records::decode(&entry.value)?;
        if let Some(epoch) = self.voids(entry.version) {
            record.void(epoch);
        }
        Ok(record)
    }

    /// The epoch in which what has this version is void, as far as its kind can be.
    pub(super) fn voids(self, version: Version) -> Option<StoreEpoch> {
        let (epoch, began) = self.0?;
        (epoch.voids() && version <= began).then_some(epoch)
    }

    /// Has `batch` apply only in this epoch. Where no other process can begin one, it does anyway.
    pub(super) fn require(self, batch: Batch, store: &dyn Store) -> Batch {
        if store.is_exclusive() {
            return batch;
        }
        let key = keys::store_epoch().into_bytes();
        match self.0 {
            Some((_, version)) => batch.assert_at(key, version),
            None => batch.assert_absent(key),
        }
    }
}

/// Reads which epoch the store is in. If it is another one than was known, what goes with it is forgotten.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`]: what was known stays.
pub(super) async fn learn(store: &dyn Store, memory: &Memory) -> Result<(), Fault> {
    // One after the other: what was read first is not noted last, and many who lost to one epoch ask once for versions.
    let _learning = memory.epoch.learning().await;
    let stored = records::read(store, &keys::store_epoch()).await?;
    let read = stored.map(|stored| (stored.record, stored.version.0));
    let known = memory.epoch.get();
    if read == known {
        return Ok(());
    }
    let version = |epoch: Option<(StoreEpoch, u64)>| epoch.map(|(_, version)| version);
    if version(read) < version(known) {
        // It does not go back by itself: the store has forgotten it, and more with it.
        store.report_loss();
        return Err(StoreError::Unavailable("it has forgotten which epoch it was in".into()).into());
    }
    let number = |epoch: Option<(StoreEpoch, u64)>| epoch.map(|(epoch, _)| epoch.number);
    if number(read) < number(known) {
        // It is in a later version, so nothing was forgotten: somebody put it there, and what is void would be good again.
        let why = "the store's epoch is one that is over; what was written in its place is gone";
        return Err(Fault::Forged(why.into()));
    }
    // What is written from now on must not be taken for older than the epoch.
    store.raise_versions().await?;
    if number(read) > number(known) {
        store.forget_versions();
        memory.audit.note_loss();
    }
    memory.epoch.set(read);
    // What is held of budgets may be of commits that are gone; and whoever waits looks at what is there.
    *memory.fraud.ledger() = Ledger::default();
    memory.waiters.heard(NewsItem::Everything);
    Ok(())
}

/// What became of a commit. If another change came first, that may have been an epoch that another process began: it is read. If
/// that cannot be, no commit will ever do, and nobody need try again. So it is if something is older than it was: an epoch says
/// that it may be.
pub(super) async fn heed(
    store: &dyn Store,
    memory: &Memory,
    committed: Result<(), Fault>,
) -> Result<(), Fault> {
    if matches!(committed, Err(Fault::Conflict(_) | Fault::Forged(_)))
        && !store.is_exclusive()
        && memory.epoch.is_to_be_looked_at()
        && let Err(error) = Box::pin(learn(store, memory)).await
    {
        // Whoever knows none yet is about to begin with a store, and may find that another server was first.
        if error.is_of_a_record() && memory.epoch.get().is_some() {
            return Err(error);
        }
        tracing::debug!("which epoch the store is in could not be read: {error}");
    }
    committed
}

impl Reading<'_> {
    /// Reads which epoch the store is in, for whoever decides from now on.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub(crate) async fn learn_epoch(self) -> Result<(), Fault> {
        learn(self.store, self.memory).await
    }

    /// Whether the store refuses everything, because it has lost what it had acknowledged.
    pub(crate) fn has_lost_commits(&self) -> bool {
        self.store.has_lost_commits()
    }

    /// Writes the epoch of a store that has lost commits, in which clocks of devices were followed so far, and uses it again.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    pub(crate) async fn begin_epoch_after_loss(self, now: Timestamp, drift: DriftLimit) -> Result<(), Fault> {
        let known = self.memory.epoch.get().map(|(epoch, _)| epoch);
        // The database may have another one, of whoever has lost commits as well.
        let next = move |found: Option<&[u8]>| {
            let found = found.and_then(|value| records::decode::<StoreEpoch>(value).ok());
            records::encode(&StoreEpoch::later(known, found).next(now, drift))
        };
        let key = keys::store_epoch().into_bytes();
        self.store.go_on_after_loss(key, &next).await?;
        self.memory.audit.note_loss();
        Ok(())
    }
}
