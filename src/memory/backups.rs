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
    /// Notes that the newest whole backup is of this moment, which may be earlier than what a clock has said that was ahead.
    pub fn note_good(&self, made: Timestamp) {
        self.last.store(made.seconds(), Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Else one that was made by a clock which was ahead would hide for long that none is made any more.
    #[test]
    fn the_newest_one_may_turn_out_to_be_older() {
        let tally = BackupTally::default();
        for seconds in [1_800_003_600, 1_800_000_000] {
            tally.note_good(Timestamp::from_seconds(seconds));
            assert_eq!(tally.last_good(), seconds);
        }
    }
}
