//! How many refusals of an account are written into the audit log: whoever is refused must not fill the disk with it.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::audit::Author;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;

/// How many refusals of an account may be written, and how many were not.
#[derive(Debug, Default)]
pub(super) struct RefusalBudgets {
    budgets: HashMap<Refused, RefusalBudget>,
    /// Refusals of more accounts than are told apart.
    beyond: u32,
    /// When room was last made for others.
    room_made_at: Timestamp,
}

/// Whose refusals share a budget. Whoever has a device of an account's user cannot use up what is written of the account's own keys,
/// nor they what is written of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Refused {
    account: AccountSid,
    has_credentials: bool,
}

/// What of an account may be written at once, and is given back in time.
#[derive(Debug)]
struct RefusalBudget {
    /// In milliseconds: one refusal costs [`COST`].
    credit: u64,
    at: Timestamp,
    unwritten: u32,
}

/// Refusals that were counted and that no entry tells of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct UntoldRefusals {
    /// By account: how many.
    pub(crate) by_account: Vec<(AccountSid, u32)>,
    /// Those of more accounts than are told apart.
    pub(crate) beyond: u32,
}

impl RefusalBudgets {
    pub(super) fn admit(&mut self, account: AccountSid, author: &Author, now: Timestamp) -> Option<u32> {
        let refused = Refused::of(account, author);
        if self.budgets.len() >= MOST_BUDGETS && !self.budgets.contains_key(&refused) {
            self.make_room(now);
            if self.budgets.len() >= MOST_BUDGETS {
                self.beyond = self.beyond.saturating_add(1);
                return None;
            }
        }
        let budget = self
            .budgets
            .entry(refused)
            .or_insert_with(|| RefusalBudget::full(now));
        if budget.take(now) {
            return Some(std::mem::take(&mut budget.unwritten));
        }
        budget.unwritten = budget.unwritten.saturating_add(1);
        None
    }

    pub(super) fn take_left_out(&mut self, now: Timestamp) -> UntoldRefusals {
        let budgets = self.budgets.iter_mut();
        let untold = budgets.filter(|(_, budget)| budget.unwritten > 0);
        let by_account = untold.filter_map(|(refused, budget)| {
            budget.refill(now);
            // As long as more come, they tell.
            let is_over = budget.credit >= 2 * COST && budget.take(now);
            is_over.then(|| (refused.account, std::mem::take(&mut budget.unwritten)))
        });
        UntoldRefusals {
            by_account: by_account.collect(),
            beyond: std::mem::take(&mut self.beyond),
        }
    }

    pub(super) fn take_all_left_out(&mut self) -> UntoldRefusals {
        let budgets = self.budgets.iter_mut();
        let untold = budgets.filter(|(_, budget)| budget.unwritten > 0);
        let by_account =
            untold.map(|(refused, budget)| (refused.account, std::mem::take(&mut budget.unwritten)));
        UntoldRefusals {
            by_account: by_account.collect(),
            beyond: std::mem::take(&mut self.beyond),
        }
    }

    /// Forgets the budgets that are as new. It looks at all of them, so not too often.
    fn make_room(&mut self, now: Timestamp) {
        if now.since(self.room_made_at) < BETWEEN_ROOM && !self.room_made_at.was_set_back(now) {
            return;
        }
        self.room_made_at = now;
        self.budgets.retain(|_, budget| {
            budget.refill(now);
            budget.credit < FULL || budget.unwritten > 0
        });
    }
}

impl Refused {
    fn of(account: AccountSid, author: &Author) -> Self {
        let has_credentials = match author {
            Author::Server
            | Author::Account
            | Author::ApiKey(_)
            | Author::BearerToken(_)
            | Author::Operator(_) => true,
            Author::AccessToken(_) | Author::Device(_) | Author::Anyone | Author::Unknown => false,
        };
        Self {
            account,
            has_credentials,
        }
    }
}

impl RefusalBudget {
    fn full(now: Timestamp) -> Self {
        Self {
            credit: FULL,
            at: now,
            unwritten: 0,
        }
    }

    /// Whether one more may be written; then it is paid for.
    fn take(&mut self, now: Timestamp) -> bool {
        self.refill(now);
        match self.credit.checked_sub(COST) {
            Some(rest) => {
                self.credit = rest;
                true
            }
            None => false,
        }
    }

    /// Nothing is given for a clock that goes back, nor twice for the time that it has told before; but nobody waits until it is as
    /// late again as it was by a clock that was wrong.
    fn refill(&mut self, now: Timestamp) {
        if self.at.was_set_back(now) {
            self.at = now;
        } else if now > self.at {
            self.credit = FULL.min(self.credit + (now.millis() - self.at.millis()));
            self.at = now;
        }
    }
}

/// How many refusals of an account are written at once.
pub(crate) const MOST_AT_ONCE: u32 = 20;

/// How many are in the long run.
pub(crate) const MOST_PER_HOUR: u32 = 1000;

/// After how many milliseconds one more may be written.
const COST: u64 = 3_600_000 / MOST_PER_HOUR as u64;

const FULL: u64 = COST * MOST_AT_ONCE as u64;

/// For how many it is remembered: two for each account.
const MOST_BUDGETS: usize = 20_000;

const BETWEEN_ROOM: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sid::{ApiKeySid, FactorSid};
    use crate::memory::audit::AuditMemory;

    const ONE: AccountSid = AccountSid::from_bytes([1; 16]);
    const OTHER: AccountSid = AccountSid::from_bytes([2; 16]);
    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// How many of so many refusals in so many milliseconds are written, and how many those that are tell of as left out.
    fn written(memory: &AuditMemory, count: u64, from: Timestamp, millis: u64) -> (u32, u32) {
        let (mut written, mut told) = (0, 0);
        for number in 0..count {
            let now = from + Duration::from_millis(number * millis / count);
            if let Some(unwritten) = memory.admit_refusal(ONE, &Author::Account, now) {
                written += 1;
                told += unwritten;
            }
        }
        (written, told)
    }

    #[test]
    fn at_the_limit_all_are_written() {
        let memory = AuditMemory::default();
        assert_eq!(written(&memory, MOST_AT_ONCE.into(), START, 1), (MOST_AT_ONCE, 0));
        let day = Duration::from_hours(24);
        let all = u64::from(MOST_PER_HOUR) * 24;
        let after = START + Duration::from_millis(COST);
        assert_eq!(
            written(&memory, all, after, u64::try_from(day.as_millis()).unwrap()),
            (MOST_PER_HOUR * 24, 0)
        );
    }

    #[test]
    fn at_twice_the_limit_and_far_above_none_goes_uncounted() {
        for times in [2, 1000] {
            let memory = AuditMemory::default();
            let count = u64::from(MOST_PER_HOUR) * times;
            let (written, told) = written(&memory, count, START, 3_600_000);
            let limit = MOST_AT_ONCE + MOST_PER_HOUR;
            assert!((limit - 2..=limit).contains(&written), "{written}");
            let left =
                memory.take_left_out(START + Duration::from_hours(1) + Duration::from_millis(2 * COST));
            let left: u32 = left.by_account.iter().map(|(_, count)| count).sum();
            assert_eq!(u64::from(written + told + left), count);
        }
    }

    /// Nobody pays for another: not for another account, nor the account's keys for the devices of its users.
    #[test]
    fn who_is_hostile_takes_nothing_from_others() {
        let memory = AuditMemory::default();
        let device = Author::Device(FactorSid::from_bytes([3; 16]));
        let key = Author::ApiKey(ApiKeySid::from_bytes([4; 16]));
        for _ in 0..100_000 {
            let _written_or_not = memory.admit_refusal(ONE, &device, START);
        }
        for account in [ONE, OTHER] {
            for _ in 0..MOST_AT_ONCE {
                assert_eq!(memory.admit_refusal(account, &key, START), Some(0));
            }
        }
        assert_eq!(memory.admit_refusal(OTHER, &device, START), Some(0));
        assert_eq!(
            memory.take_left_out(START + Duration::from_millis(COST)),
            UntoldRefusals::default()
        );
        let told = memory.take_left_out(START + Duration::from_millis(2 * COST));
        assert_eq!(told.by_account, [(ONE, 100_000 - MOST_AT_ONCE)]);
        assert_eq!(
            memory.take_left_out(START + Duration::from_hours(1)),
            UntoldRefusals::default()
        );
    }

    #[test]
    fn a_clock_that_goes_back_and_forth_neither_gives_nor_takes() {
        let memory = AuditMemory::default();
        let admit = |now| memory.admit_refusal(ONE, &Author::Account, now).is_some();
        // Threads that read the clock one after the other ask in another order.
        let jitter = (0..100_000).filter(|number| admit(START + Duration::from_millis(number % 2 * 9)));
        assert_eq!(jitter.count(), MOST_AT_ONCE as usize);
        // A clock that was set back by an hour: one more when it has gone on for as long as one costs, not in an hour.
        let back = START.before(Duration::from_hours(1));
        assert!(!admit(back) && !admit(back + Duration::from_millis(COST - 10)));
        assert!(admit(back + Duration::from_millis(COST)));
        // One that leaps ahead gives no more than may be written at once.
        let ahead = START + Duration::from_hours(1000);
        let leap = (0..1000).filter(|_| admit(ahead)).count();
        assert_eq!(leap, MOST_AT_ONCE as usize);
    }

    #[test]
    fn who_has_been_quiet_makes_room_and_what_finds_none_is_counted() {
        let memory = AuditMemory::default();
        let account = |number: usize| AccountSid::from_bytes((number as u128).to_be_bytes());
        let admit = |number, now| memory.admit_refusal(account(number), &Author::Account, now);
        for number in 0..MOST_BUDGETS {
            assert_eq!(admit(number, START), Some(0));
        }
        for _ in 0..2 {
            assert_eq!(admit(MOST_BUDGETS, START), None);
        }
        let before = START + Duration::from_millis(COST - 1);
        assert_eq!(
            admit(MOST_BUDGETS, before),
            None,
            "all of them are remembered for something"
        );
        assert_eq!(admit(3, before), Some(0), "and none is forgotten");
        let after = before + BETWEEN_ROOM;
        assert_eq!(admit(MOST_BUDGETS, after), Some(0));
        assert_eq!(
            memory.take_left_out(after),
            UntoldRefusals {
                by_account: vec![],
                beyond: 3
            }
        );
    }

    #[test]
    fn who_ends_takes_all_along() {
        let memory = AuditMemory::default();
        for _ in 0..MOST_AT_ONCE + 5 {
            let _written_or_not = memory.admit_refusal(ONE, &Author::Account, START);
        }
        assert_eq!(
            memory.take_left_out(START),
            UntoldRefusals::default(),
            "none may be written yet"
        );
        assert_eq!(memory.take_all_left_out().by_account, [(ONE, 5)]);
        assert_eq!(memory.take_all_left_out(), UntoldRefusals::default());
    }
}
