//! What this process knows of the backups that it makes by itself.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::time::Timestamp;

/// What became of the backups.
#[derive(Debug, Default)]
pub struct BackupTally {
    /// In seconds; 0 if none is known.
    last: AtomicU64,
    failures: AtomicU64,
}

impl BackupTally {
    /// Notes that there is a whole backup of this moment.
    pub fn note_good(&self, made: Timestamp) {
        self.last.fetch_max(made.seconds(), Ordering::Relaxed);
    }

    /// Notes that none was made when one should have been.
    pub fn note_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// When the last good one was made, in seconds; 0 if none is known here.
    pub fn last_good(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// How often none was made.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}
