//! Counts of refusals for the operators' metrics, since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use super::block::BlockReason;

/// How many codes were refused, by reason.
#[derive(Debug, Default)]
pub struct Tally([AtomicU64; BlockReason::ALL.len()]);

impl Tally {
    /// A code was refused.
    pub fn count(&self, reason: BlockReason) {
        let place = BlockReason::ALL.iter().position(|other| *other == reason);
        if let Some(count) = place.and_then(|place| self.0.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were refused for each reason.
    pub fn by_reason(&self) -> impl Iterator<Item = (BlockReason, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        BlockReason::ALL.into_iter().zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_count() {
        let tally = Tally::default();
        for (times, reason) in BlockReason::ALL.into_iter().enumerate() {
            for _ in 0..times {
                tally.count(reason);
            }
        }
        for (times, (_, count)) in tally.by_reason().enumerate() {
            assert_eq!(count, u64::try_from(times).unwrap());
        }
    }
}
