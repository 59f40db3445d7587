//! Whether it is the server's own clock that is off: the clocks of many devices hardly err in the same direction.

use std::collections::VecDeque;
use std::time::Duration;

use super::sid::FactorSid;
use super::time::Timestamp;

/// How far the codes were off that were accepted last, one of each factor.
#[derive(Debug, Default)]
pub struct CodeOffsets {
    /// The oldest first.
    latest: VecDeque<CodeOffset>,
    told_at: Option<Timestamp>,
}

#[derive(Debug)]
struct CodeOffset {
    factor: FactorSid,
    ahead: i64,
    at: Timestamp,
}

impl CodeOffsets {
    /// Fewer factors than this say nothing of the server.
    pub const FEWEST: usize = 20;
    /// No more are remembered.
    const MOST: usize = 100;
    /// None is remembered for longer, and nothing is told again sooner.
    const WINDOW: Duration = Duration::from_hours(1);

    /// Takes in that a code of `factor` was accepted that was `ahead` time steps ahead of the server's clock. If the operator
    /// should hear of it: by how many steps at least half of the factors are ahead (behind, if negative).
    pub fn accepted(&mut self, factor: FactorSid, ahead: i64, now: Timestamp) -> Option<i64> {
        self.latest
            .retain(|seen| seen.factor != factor && now.since(seen.at) < Self::WINDOW);
        if self.latest.len() >= Self::MOST {
            self.latest.pop_front();
        }
        self.latest.push_back(CodeOffset {
            factor,
            ahead,
            at: now,
        });
        let may_tell = self
            .told_at
            .is_none_or(|told| told.was_set_back(now) || now.since(told) >= Self::WINDOW);
        if !may_tell {
            return None;
        }
        let median = self.median().filter(|median| *median != 0)?;
        self.told_at = Some(now);
        Some(median)
    }

    /// Of two in the middle the one that is closer to none, which is none if they are on both sides of it.
    fn median(&self) -> Option<i64> {
        if self.latest.len() < Self::FEWEST {
            return None;
        }
        let mut all: Vec<i64> = self.latest.iter().map(|seen| seen.ahead).collect();
        all.sort_unstable();
        let (low, high) = (*all.get((all.len() - 1) / 2)?, *all.get(all.len() / 2)?);
        Some(0.clamp(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    fn factors(count: usize) -> Vec<FactorSid> {
        let entropy = SeededEntropy::new(1);
        (0..count)
            .map(|_| FactorSid::generate_at(at(0), &entropy))
            .collect()
    }

    #[test]
    fn many_factors_that_are_off_in_one_direction_tell_of_the_server_once_an_hour() {
        let factors = factors(CodeOffsets::FEWEST);
        let mut offsets = CodeOffsets::default();
        let (last, others) = factors.split_last().unwrap();
        for factor in others {
            assert_eq!(offsets.accepted(*factor, 1, at(0)), None);
            assert_eq!(offsets.accepted(*factor, 1, at(1)), None, "the same one again");
        }
        assert_eq!(offsets.accepted(*last, 2, at(2)), Some(1));
        assert_eq!(offsets.accepted(*last, 2, at(3)), None, "it was told");
        assert_eq!(
            offsets.accepted(*last, 2, at(3602)),
            None,
            "nobody else came for an hour"
        );
        let told = factors
            .iter()
            .map(|factor| offsets.accepted(*factor, -1, at(3603)));
        assert_eq!(told.flatten().collect::<Vec<_>>(), [-1]);
    }

    #[test]
    fn factors_that_are_off_in_both_directions_tell_of_themselves() {
        let mut offsets = CodeOffsets::default();
        for (index, factor) in factors(90).into_iter().enumerate() {
            let ahead = [-1, -1, 0, 1, 2, 1][index % 6];
            assert_eq!(offsets.accepted(factor, ahead, at(0)), None, "{index}");
        }
    }

    #[test]
    fn no_more_is_remembered_than_is_needed() {
        let mut offsets = CodeOffsets::default();
        for factor in factors(1000) {
            offsets.accepted(factor, 0, at(0));
        }
        assert_eq!(offsets.latest.len(), CodeOffsets::MOST);
    }
}
