//! Which record it was that others changed at the same moment, so that those who decide about it take turns.

use super::Seen;
use crate::flows::Fault;
use crate::memory::turns::TurnKey;
use crate::store::{Batch, CommitError, Entry, Store, Version};

/// What a decision both rests on and writes, as it was read. Others who do the same with one of these come in its way; a
/// record that it only rests on was changed once, and not by one of many like it.
pub(super) struct Contestable(Vec<(Vec<u8>, Option<Version>)>);

impl Contestable {
    /// Of what was read decisively and `batch` writes or deletes. Nothing where no other process comes in the way: there a
    /// new attempt costs less than a turn.
    pub(super) fn of(store: &dyn Store, seen: &[Seen], batch: &Batch) -> Self {
        if store.is_exclusive() {
            return Self(Vec::new());
        }
        let version = |seen: &Seen| seen.entry.as_ref().map(|entry| entry.version);
        let changed = |seen: &&Seen| {
            let mut keys = batch.written_keys().chain(batch.deleted_keys());
            seen.decisive && keys.any(|key| key == seen.key)
        };
        let changed = seen.iter().filter(changed).take(MOST_LOOKED_AT);
        Self(changed.map(|seen| (seen.key.clone(), version(seen))).collect())
    }

    /// Commits `batch`.
    ///
    /// # Errors
    /// [`Fault::Conflict`] says which of these it was about; other faults as the store's.
    pub(super) async fn commit(self, store: &dyn Store, batch: Batch) -> Result<(), Fault> {
        match store.commit(batch).await {
            Err(CommitError::Conflict) => Err(Fault::Conflict(Box::pin(self.lost(store)).await)),
            settled => Ok(settled?),
        }
    }

    /// The one that is no longer as it was read; the first in the order of keys, if there are several, so that all who lost
    /// to the same change agree. `None` where that is not known.
    async fn lost(mut self, store: &dyn Store) -> Option<TurnKey> {
        if let [(key, _)] = self.0.as_slice() {
            return Some(TurnKey::of(key));
        }
        if self.0.is_empty() {
            return None;
        }
        self.0.sort_unstable();
        let keys: Vec<Vec<u8>> = self.0.iter().map(|(key, _)| key.clone()).collect();
        // It is a hint: whoever does without it has lost nothing but time.
        let now = store.get_many(&keys).await.ok()?;
        let is_lost = |(was, entry): &(&(Vec<u8>, Option<Version>), Option<Entry>)| {
            entry.as_ref().map(|entry| entry.version) != was.1
        };
        let mut compared = self.0.iter().zip(now);
        let ((key, _), _) = compared.find(is_lost)?;
        Some(TurnKey::of(key))
    }
}

/// More than this many records are written together only by who clears up, and nobody waits for that.
const MOST_LOOKED_AT: usize = 16;
