//! Counts of deliveries for the operators' metrics, since the start.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of deliveries.
#[derive(Debug, Default)]
pub struct Tally {
    delivered: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
    obsolete: AtomicU64,
    waiting_lanes: AtomicU64,
}

/// What a [`Tally`] has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deliveries that the receiver has.
    pub delivered: u64,
    /// Tries in vain.
    pub failed: u64,
    /// Rows that became dead letters.
    pub given_up: u64,
    /// Rows that were dropped because there was nothing to deliver any more.
    pub obsolete: u64,
    /// How many receivers have something to get now.
    pub waiting_lanes: u64,
}

impl Tally {
    /// A receiver has it.
    pub fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    /// A try was in vain.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// So many rows became dead letters.
    pub fn given_up(&self, rows: u64) {
        self.given_up.fetch_add(rows, Ordering::Relaxed);
    }

    /// A row was dropped.
    pub fn obsolete(&self) {
        self.obsolete.fetch_add(1, Ordering::Relaxed);
    }

    /// So many receivers have something to get now.
    pub fn waiting_lanes(&self, lanes: usize) {
        self.waiting_lanes
            .store(u64::try_from(lanes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            delivered: read(&self.delivered),
            failed: read(&self.failed),
            given_up: read(&self.given_up),
            obsolete: read(&self.obsolete),
            waiting_lanes: read(&self.waiting_lanes),
        }
    }
}
