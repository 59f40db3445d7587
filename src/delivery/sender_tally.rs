//! Counts of codes for the operators' metrics, by sender, since the start.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::sender_name::SenderName;

/// What became of the codes that each sender was given.
#[derive(Debug, Default)]
pub struct SenderTally(Mutex<BTreeMap<SenderName, SenderCounts>>);

/// What became of the codes that one sender was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderCounts {
    /// Codes that it took.
    pub sent: u64,
    /// Codes that it did not take.
    pub failed: u64,
}

impl SenderTally {
    /// The sender took a code.
    pub fn sent(&self, sender: SenderName) {
        self.all().entry(sender).or_default().sent += 1;
    }

    /// The sender did not take a code.
    pub fn failed(&self, sender: SenderName) {
        self.all().entry(sender).or_default().failed += 1;
    }

    /// What was counted so far, of those senders that were given something.
    #[must_use]
    pub fn counts(&self) -> Vec<(SenderName, SenderCounts)> {
        self.all().iter().map(|(name, counts)| (*name, *counts)).collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<SenderName, SenderCounts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
