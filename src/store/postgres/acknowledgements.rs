//! Whether the database still has what it acknowledged to this process.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::store::{StoreError, Version};

/// What this process knows of the database's memory.
#[derive(Default)]
pub(super) struct Acknowledgements {
    lost: OnceLock<StoreError>,
    newest: Mutex<Option<NewestMark>>,
}

/// What a slot holds at least.
#[derive(Clone)]
pub(super) struct NewestMark {
    pub(super) slot: Vec<u8>,
    pub(super) version: Version,
}

impl Acknowledgements {
    /// # Errors
    /// [`StoreError::Unavailable`] once the database has lost commits.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.lost.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Notes that the database has acknowledged a group.
    pub(super) fn acknowledge(&self, slot: &[u8], version: Version) {
        let mut newest = self.newest();
        match &mut *newest {
            Some(mark) if mark.slot == slot => mark.version = version,
            other => {
                *other = Some(NewestMark {
                    slot: slot.to_vec(),
                    version,
                });
            }
        }
    }

    /// Notes that nothing is known of a slot any more.
    pub(super) fn forget(&self, slot: &[u8]) {
        self.newest().take_if(|mark| mark.slot == slot);
    }

    /// The newest mark that was acknowledged.
    pub(super) fn newest_mark(&self) -> Option<NewestMark> {
        self.newest().clone()
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

    fn newest(&self) -> MutexGuard<'_, Option<NewestMark>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
