//! The store's epoch, as far as this process knows it.

use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::store_epoch::StoreEpoch;

/// The store's epoch, as it was read last. Whoever decides with it commits only if it is still that one; see
/// [`Reading`](crate::flows::reading::Reading).
#[derive(Debug, Default)]
pub struct KnownEpoch {
    epoch: RwLock<Option<(StoreEpoch, u64)>>,
    /// When somebody last looked because another change came first.
    looked: Mutex<Option<Instant>>,
    learning: tokio::sync::Mutex<()>,
}

impl KnownEpoch {
    /// The epoch and the version that its record was read in; `None` if there is none.
    #[must_use]
    pub fn get(&self) -> Option<(StoreEpoch, u64)> {
        *self.epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was read.
    pub fn set(&self, epoch: Option<(StoreEpoch, u64)>) {
        *self.epoch.write().unwrap_or_else(PoisonError::into_inner) = epoch;
    }

    /// Waits until nobody else is about to read and note it.
    pub async fn learning(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.learning.lock().await
    }

    /// Whether it is worth a look that another change came first: many lose to each other for every epoch that begins, and
    /// whoever loses to one tries for longer than this.
    #[must_use]
    pub fn is_to_be_looked_at(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked.is_none_or(|looked| looked.elapsed() >= LOOK_PAUSE);
        if is_due {
            *looked = Some(Instant::now());
        }
        is_due
    }
}

const LOOK_PAUSE: Duration = Duration::from_millis(100);
