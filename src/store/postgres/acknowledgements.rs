//! Whether the database still has what it acknowledged to this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_postgres::{Client, Error};

use super::layout::number;
use crate::store::{StoreError, Version};

/// What this process knows of the database's memory.
#[derive(Default)]
pub(super) struct Acknowledgements {
    /// The era: odd once the database has lost commits, even again when that was gone on with.
    era: AtomicU64,
    /// The mark that each slot holds at least, and the draw of epochs.
    marks: Mutex<HashMap<Vec<u8>, Version>>,
}

impl Acknowledgements {
    /// # Errors
    /// [`StoreError::Unavailable`] while the database has lost commits.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.are_lost() { Err(lost()) } else { Ok(()) }
    }

    pub(super) fn are_lost(&self) -> bool {
        !self.era().is_multiple_of(2)
    }

    /// What was acknowledged in one era says nothing of the next.
    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Notes that the database has acknowledged what left this mark there; whether that still counts, or another era has begun.
    pub(super) fn acknowledge(&self, era: u64, key: &[u8], version: Version) -> bool {
        let mut marks = self.marks();
        if self.era() != era || self.are_lost() {
            return false;
        }
        if let Some(mark) = marks.get_mut(key) {
            *mark = version.max(*mark);
        } else {
            marks.insert(key.to_vec(), version);
        }
        true
    }

    /// Notes that nothing is known of a slot any more.
    pub(super) fn forget(&self, slot: &[u8]) {
        self.marks().remove(slot);
    }

    /// Looks whether a database that was connected to just now has what was acknowledged before.
    pub(super) async fn verify(&self, client: &Client) -> Result<(), Error> {
        // Taken when the session is there: what is acknowledged from here on, it sees as well.
        let (era, marks) = (self.era(), self.marks().clone());
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
            if !holds && self.era() == era && self.marks().contains_key(&slot) {
                self.lost_commits();
            }
        }
        Ok(())
    }

    /// Notes, and says, that the database has not what it acknowledged. Nothing is read or written from then on.
    pub(super) fn lost_commits(&self) -> StoreError {
        let _marks = self.marks();
        if !self.are_lost() {
            self.era.fetch_add(1, Ordering::Release);
            tracing::error!(
                "the database has lost commits that it had acknowledged, as a standby has that was behind when it took over: \
                 codes that were used may count as unused there"
            );
        }
        lost()
    }

    /// Begins anew with what the database has now.
    pub(super) fn begin_anew(&self) {
        let mut marks = self.marks();
        if self.are_lost() {
            marks.clear();
            self.era.fetch_add(1, Ordering::Release);
        }
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Version>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("the database has lost commits that it had acknowledged".into())
}

const READ_MARKS: &str = "SELECT key, version FROM countersign_entries WHERE key = ANY($1)";
