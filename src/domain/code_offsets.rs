//! Whether it is the server's own clock that is off: the clocks of many devices hardly err in the same direction.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::sid::{AccountSid, FactorSid};
use super::time::Timestamp;

/// How far the codes were off that were accepted last, one of each factor.
///
/// Of whoever shares the server each account has one voice, however many factors it has: nobody makes others believe alone that
/// the server's clock is wrong, or right.
#[derive(Debug, Default)]
pub struct CodeOffsets {
    /// The oldest first.
    latest: VecDeque<CodeOffset>,
    /// How many of them each account has.
    counts: BTreeMap<AccountSid, usize>,
    looked_at: Option<Timestamp>,
    told_at: Option<Timestamp>,
}

#[derive(Debug)]
struct CodeOffset {
    account: AccountSid,
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
    /// What they say together is looked at no more often: every login comes by here, one after the other.
    const LOOK_PAUSE: Duration = Duration::from_secs(1);

    /// Takes in that a code of `factor` of `account` was accepted that was `ahead` time steps ahead of the server's clock. If the
    /// operator should hear of it: by how many steps at least half of the accounts are ahead (behind, if negative), each with
    /// at least half of its factors.
    pub fn accepted(
        &mut self,
        account: AccountSid,
        factor: FactorSid,
        ahead: i64,
        now: Timestamp,
    ) -> Option<i64> {
        let counts = &mut self.counts;
        self.latest.retain(|seen| {
            let stays = seen.factor != factor && now.since(seen.at) < Self::WINDOW;
            if !stays {
                count_out(counts, seen.account);
            }
            stays
        });
        if self.latest.len() >= Self::MOST {
            self.forget_one();
        }
        self.latest.push_back(CodeOffset {
            account,
            factor,
            ahead,
            at: now,
        });
        *self.counts.entry(account).or_default() += 1;
        if !is_due(self.told_at, now, Self::WINDOW)
            || self.latest.len() < Self::FEWEST
            || !is_due(self.looked_at, now, Self::LOOK_PAUSE)
        {
            return None;
        }
        self.looked_at = Some(now);
        let median = self.median().filter(|median| *median != 0)?;
        self.told_at = Some(now);
        Some(median)
    }

    /// Forgets the oldest of the account that has most.
    fn forget_one(&mut self) {
        let most = self.counts.values().copied().max();
        let has_most = |seen: &CodeOffset| self.counts.get(&seen.account).copied() == most;
        if let Some(oldest) = self.latest.iter().position(has_most)
            && let Some(forgotten) = self.latest.remove(oldest)
        {
            count_out(&mut self.counts, forgotten.account);
        }
    }

    fn median(&self) -> Option<i64> {
        let mut accounts: BTreeMap<AccountSid, Vec<i64>> = BTreeMap::new();
        for seen in &self.latest {
            accounts.entry(seen.account).or_default().push(seen.ahead);
        }
        median(accounts.into_values().filter_map(median).collect())
    }
}

/// Whether this long has passed since the last time, or the clock was set back.
fn is_due(last: Option<Timestamp>, now: Timestamp, pause: Duration) -> bool {
    last.is_none_or(|last| last.was_set_back(now) || now.since(last) >= pause)
}

fn count_out(counts: &mut BTreeMap<AccountSid, usize>, account: AccountSid) {
    if let Some(count) = counts.get_mut(&account) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&account);
        }
    }
}

/// Of two in the middle the one that is closer to none, which is none if they are on both sides of it.
fn median(mut all: Vec<i64>) -> Option<i64> {
    all.sort_unstable();
    let (low, high) = (*all.get(all.len().checked_sub(1)? / 2)?, *all.get(all.len() / 2)?);
    Some(0.clamp(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    fn account(number: u8) -> AccountSid {
        AccountSid::from_bytes([number; 16])
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
            assert_eq!(offsets.accepted(account(1), *factor, 1, at(0)), None);
            assert_eq!(
                offsets.accepted(account(1), *factor, 1, at(1)),
                None,
                "the same one again"
            );
        }
        assert_eq!(offsets.accepted(account(1), *last, 2, at(2)), Some(1));
        assert_eq!(offsets.accepted(account(1), *last, 2, at(3)), None, "it was told");
        assert_eq!(
            offsets.accepted(account(1), *last, 2, at(3602)),
            None,
            "nobody else came for an hour"
        );
        let told = factors
            .iter()
            .map(|factor| offsets.accepted(account(1), *factor, -1, at(3603)));
        assert_eq!(told.flatten().collect::<Vec<_>>(), [-1]);
    }

    #[test]
    fn factors_that_are_off_in_both_directions_tell_of_themselves() {
        let mut offsets = CodeOffsets::default();
        for (index, factor) in factors(90).into_iter().enumerate() {
            let ahead = [-1, -1, 0, 1, 2, 1][index % 6];
            assert_eq!(
                offsets.accepted(account(1), factor, ahead, at(0)),
                None,
                "{index}"
            );
        }
    }

    /// One tenant has most of the factors, and they say what it likes.
    #[test]
    fn no_account_speaks_for_the_others() {
        let all = factors(1000);
        let (theirs, others) = all.split_at(900);
        for (lying, honest) in [(1, 0), (0, 1), (-1, 1)] {
            let mut offsets = CodeOffsets::default();
            let mut told = Vec::new();
            let mut seen = |tenant: u8, factor: FactorSid, ahead| {
                told.extend(offsets.accepted(account(tenant), factor, ahead, at(0)));
            };
            for (index, factor) in others.iter().take(6).enumerate() {
                seen(u8::try_from(index % 3).unwrap() + 2, *factor, honest);
            }
            for factor in theirs {
                seen(1, *factor, lying);
            }
            for (index, factor) in others.iter().skip(6).take(6).enumerate() {
                seen(u8::try_from(index % 3).unwrap() + 2, *factor, honest);
            }
            let expected: Vec<i64> = Some(honest).filter(|ahead| *ahead != 0).into_iter().collect();
            assert_eq!(told, expected, "{lying} {honest}");
        }
    }

    #[test]
    fn no_more_is_remembered_than_is_needed() {
        let mut offsets = CodeOffsets::default();
        for factor in factors(1000) {
            offsets.accepted(account(1), factor, 0, at(0));
        }
        assert_eq!(offsets.latest.len(), CodeOffsets::MOST);
        assert_eq!(offsets.counts, BTreeMap::from([(account(1), CodeOffsets::MOST)]));
        let last = factors(1).remove(0);
        offsets.accepted(account(2), last, 0, at(3600));
        assert_eq!(offsets.counts, BTreeMap::from([(account(2), 1)]));
    }

    /// Whoever comes a moment after many who were right is heard all the same.
    #[test]
    fn what_is_said_together_is_looked_at_again_a_second_later() {
        let all = factors(120);
        let (early, late) = all.split_at(CodeOffsets::FEWEST);
        let mut offsets = CodeOffsets::default();
        for factor in early {
            assert_eq!(offsets.accepted(account(1), *factor, 0, at(0)), None);
        }
        for factor in late {
            assert_eq!(offsets.accepted(account(1), *factor, 1, at(0)), None);
        }
        assert_eq!(offsets.accepted(account(1), late[0], 1, at(1)), Some(1));
    }
}
