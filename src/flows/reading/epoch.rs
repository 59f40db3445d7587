//! What an epoch of the store means to whoever reads and decides: records that are older than it count only as far as it lets
//! them, and nothing is committed that was decided in another one.

use super::Fault;
use crate::domain::fraud::ledger::Ledger;
use crate::domain::store_epoch::StoreEpoch;
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
        Self(known.get())
    }

    /// The record of an entry, as far as it counts.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub(in crate::flows) fn record<T: Record>(self, entry: &Entry) -> Result<T, StoreError> {
        let mut record: T = records::decode(&entry.value)?;
        if let Some((epoch, began)) = self.0
            && epoch.voids()
            && entry.version <= began
        {
            record.void(epoch);
        }
        Ok(record)
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
    let stored = records::read(store, &keys::store_epoch()).await?;
    let read = stored.map(|stored| (stored.record, stored.version));
    if read == memory.epoch.get() {
        return Ok(());
    }
    // What is written from now on must not be taken for older than the epoch.
    store.raise_versions().await?;
    memory.epoch.set(read);
    // What is held of budgets may be of commits that are gone; and whoever waits looks at what is there.
    *memory.fraud.ledger() = Ledger::default();
    memory.waiters.heard(NewsItem::Everything);
    Ok(())
}
