//! Whether the database still has what it acknowledged to this process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio_postgres::{Client, Error};

use super::layout::number;
use crate::store::{StoreError, Version};

/// What this process knows of the database's memory.
#[derive(Default)]
pub(super) struct Acknowledgements {
    lost: OnceLock<StoreError>,
    /// The mark that each slot holds at least.
    marks: Mutex<HashMap<Vec<u8>, Version>>,
}

impl Acknowledgements {
    /// # Errors
    /// [`StoreError::Unavailable`] once the database has lost commits.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.lost.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Notes that the database has acknowledged a group.
    pub(super) fn acknowledge(&self, slot: &[u8], version: Version) {
        let mut marks = self.marks();
        if let Some(mark) = marks.get_mut(slot) {
            *mark = version;
        } else {
            marks.insert(slot.to_vec(), version);
        }
    }

    /// Notes that nothing is known of a slot any more.
    pub(super) fn forget(&self, slot: &[u8]) {
        self.marks().remove(slot);
    }

    /// Looks whether a database that was connected to just now has what was acknowledged before.
    pub(super) async fn verify(&self, client: &Client) -> Result<(), Error> {
        // Taken when the session is there: what is acknowledged from here on, it sees as well.
        let marks = self.marks().clone();
        if marks.is_empty() {
            return Ok(());
        }
        let slots: Vec<&[u8]> = marks.keys().map(Vec::as_slice).collect();
        let mut found = HashMap::new();
        for row in client.query(READ_MARKS, &[&slots]).await? {
            let (slot, version): (Vec<u8>, i64) = (row.try_get(0)?, row.try_get(1)?);
            found.insert(slot, number(version).unwrap_or(0));
        }
        for (slot, version) in marks {
            let holds = found.get(&slot).is_some_and(|found| *found >= version.0);
            // A slot that was forgotten meanwhile is gone for a good reason.
            if !holds && self.marks().contains_key(&slot) {
                self.lost_commits();
            }
        }
        Ok(())
    }

    /// Notes, and says, that the database has not what it acknowledged. Nothing is read or written from then on.
    pub(super) fn lost_commits(&self) -> StoreError {
        let error = self.lost.get_or_init(|| {
            tracing::error!(
                "the database has lost commits that it had acknowledged, as a standby has that was behind when it took \
                 over: this process stops using it, because codes that were used may count as unused there"
            );
            StoreError::Unavailable(
                "the database has lost commits that it had acknowledged; find out why, and start anew".into(),
            )
        });
        error.clone()
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Version>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const READ_MARKS: &str = "SELECT key, version FROM countersign_entries WHERE key = ANY($1)";
