//! The store's epoch, as far as this process knows it.

use std::sync::{PoisonError, RwLock};

use crate::domain::store_epoch::StoreEpoch;
use crate::store::Version;

/// The store's epoch, as it was read last. Whoever decides with it commits only if it is still that one; see
/// [`Reading`](crate::flows::reading::Reading).
#[derive(Debug, Default)]
pub struct KnownEpoch(RwLock<Option<(StoreEpoch, Version)>>);

impl KnownEpoch {
    /// The epoch and the version that its record was read in; `None` if there is none.
    #[must_use]
    pub fn get(&self) -> Option<(StoreEpoch, Version)> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was read.
    pub fn set(&self, epoch: Option<(StoreEpoch, Version)>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = epoch;
    }
}
