//! What is counted for the operators' metrics, since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::fraud::BlockReason;
use crate::domain::sender_name::SenderName;

/// What became of deliveries.
#[derive(Debug, Default)]
pub struct DeliveryTally {
    delivered: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
    obsolete: AtomicU64,
    waiting_lanes: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Deliveries that the receiver has.
    pub delivered: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Rows that became dead letters.
    pub given_up: u64,
    /// Rows that were dropped because there was nothing to deliver any more.
    pub obsolete: u64,
    /// How many receivers have something to get now.
    pub waiting_lanes: u64,
}

impl DeliveryTally {
    pub fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

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
    pub fn counts(&self) -> DeliveryCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        DeliveryCounts {
            delivered: read(&self.delivered),
            failed: read(&self.failed),
            given_up: read(&self.given_up),
            obsolete: read(&self.obsolete),
            waiting_lanes: read(&self.waiting_lanes),
        }
    }
}

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

/// How many codes were refused, by reason.
#[derive(Debug, Default)]
pub struct BlockTally([AtomicU64; BlockReason::GUARDS.len()]);

impl BlockTally {
    /// A code was refused.
    pub fn count(&self, reason: BlockReason) {
        let place = BlockReason::GUARDS.iter().position(|other| *other == reason);
        if let Some(count) = place.and_then(|place| self.0.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were refused for each reason.
    pub fn by_reason(&self) -> impl Iterator<Item = (BlockReason, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        BlockReason::GUARDS.into_iter().zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_count() {
        let tally = BlockTally::default();
        for (times, reason) in BlockReason::GUARDS.into_iter().enumerate() {
            for _ in 0..times {
                tally.count(reason);
            }
        }
        for (times, (_, count)) in tally.by_reason().enumerate() {
            assert_eq!(count, u64::try_from(times).unwrap());
        }
    }
}
