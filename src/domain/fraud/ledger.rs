//! What a process holds of the budgets: blocks that it took out of the store and has not spent.

use std::collections::HashMap;
use std::time::Duration;

use super::budget::{Counter, Need};
use crate::domain::time::Timestamp;

/// What a process holds of the budgets.
#[derive(Debug)]
pub struct Ledger {
    held: HashMap<Counter, Held>,
    /// With how many entries what is over is looked for.
    full_at: usize,
}

/// What is held of one budget.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// What can be spent without asking the store.
    spare: u64,
    /// The most that the store still had when it was asked. Only who gives a budget anew makes it have more later.
    rest: Option<(u64, Timestamp)>,
    /// When it was found that it was told that nothing is left.
    told: Option<Timestamp>,
}

/// Who else may change what the store says, and when that matters.
#[derive(Clone, Copy, Debug)]
pub struct StoreView {
    pub now: Timestamp,
    /// Whether other processes share the store: one of them may give a budget anew.
    pub shared: bool,
}

impl StoreView {
    /// For how long it is believed what a store said that others share.
    pub const BELIEVED: Duration = Duration::from_secs(1);

    /// Whether what the store said at `asked` is as good as asking it now.
    fn holds(self, asked: Timestamp) -> bool {
        !self.shared || (asked <= self.now && self.now.since(asked) < Self::BELIEVED)
    }
}

/// What came of taking something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// The store has to be asked.
    Lacking,
    /// The store has not enough either.
    Spent,
    Taken,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            held: HashMap::new(),
            full_at: Self::FEWEST,
        }
    }
}

impl Ledger {
    const FEWEST: usize = 1024;
    /// The most budgets that something is held of. Beyond, all is let go of: that costs budgets what was held of them, and
    /// never gives anybody more.
    const MOST: usize = 65_536;

    /// Takes what `need` says, if it is held.
    pub fn take(&mut self, need: &Need, view: StoreView) -> Taking {
        let Some(held) = self.held.get_mut(&need.counter) else {
            return Taking::Lacking;
        };
        if let Some(left) = held.spare.checked_sub(need.amount) {
            held.spare = left;
            return Taking::Taken;
        }
        match held.rest {
            Some((rest, asked)) if rest < need.amount && view.holds(asked) => Taking::Spent,
            _ => Taking::Lacking,
        }
    }

    /// Adds what was taken out of the store or is given back, at `now`.
    pub fn add(&mut self, counter: &Counter, amount: u64, now: Timestamp) {
        if amount > 0 {
            let held = self.entry(counter, now);
            held.spare = held.spare.saturating_add(amount);
        }
    }

    /// Remembers what the store still has, if that saves asking it again.
    pub fn learn(&mut self, need: &Need, rest: u64, now: Timestamp) {
        if rest < need.amount {
            self.entry(&need.counter, now).rest = Some((rest, now));
        }
    }

    /// Whether it was told that nothing is left.
    #[must_use]
    pub fn is_told(&self, counter: &Counter, view: StoreView) -> bool {
        let told = self.held.get(counter).and_then(|held| held.told);
        told.is_some_and(|told| view.holds(told))
    }

    /// Remembers that it was told.
    pub fn tell(&mut self, counter: &Counter, now: Timestamp) {
        self.entry(counter, now).told = Some(now);
    }

    /// Forgets what is held of it: it begins anew.
    pub fn drop_held(&mut self, counter: &Counter) {
        self.held.remove(counter);
    }

    fn entry(&mut self, counter: &Counter, now: Timestamp) -> &mut Held {
        if self.held.len() >= self.full_at {
            self.forget(now);
        }
        self.held.entry(counter.clone()).or_default()
    }

    /// Forgets windows that are over, those that a clock that was wrong led to, and what says nothing.
    fn forget(&mut self, now: Timestamp) {
        self.held.retain(|counter, held| {
            let says = held.spare > 0 || held.rest.is_some() || held.told.is_some();
            says && counter.kept_until() > now && counter.end() <= now + counter.kind.window() * 2
        });
        if self.held.len() > Self::MOST / 2 {
            self.held.clear();
        }
        self.full_at = (self.held.len() * 2).clamp(Self::FEWEST, Self::MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::CounterKind;
    use super::*;
    use crate::domain::sid::{AccountSid, ServiceSid};

    impl Ledger {
        fn len(&self) -> usize {
            self.held.len()
        }
    }

    fn alone() -> StoreView {
        StoreView {
            now: now(),
            shared: false,
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    fn need(service: u64, amount: u64, now: Timestamp) -> Need {
        let mut sid = [0; 16];
        sid[..8].copy_from_slice(&service.to_be_bytes());
        Need {
            counter: Counter::of_service(AccountSid::from_bytes([1; 16]), ServiceSid::from_bytes(sid), now),
            amount,
            limit: 100,
        }
    }

    #[test]
    fn what_is_held_is_taken_and_no_more() {
        let (mut ledger, need) = (Ledger::default(), need(1, 1, now()));
        assert_eq!(ledger.take(&need, alone()), Taking::Lacking);
        ledger.add(&need.counter, 2, now());
        assert_eq!(ledger.take(&need, alone()), Taking::Taken);
        assert_eq!(ledger.take(&need, alone()), Taking::Taken);
        assert_eq!(ledger.take(&need, alone()), Taking::Lacking);
        ledger.learn(&need, 0, now());
        assert_eq!(ledger.take(&need, alone()), Taking::Spent);
        ledger.add(&need.counter, 1, now());
        assert_eq!(ledger.take(&need, alone()), Taking::Taken, "it was given back");
        assert_eq!(ledger.take(&need, alone()), Taking::Spent);
    }

    #[test]
    fn a_smaller_amount_may_still_fit() {
        let mut ledger = Ledger::default();
        let (large, small) = (need(1, 50, now()), need(1, 10, now()));
        ledger.learn(&large, 20, now());
        assert_eq!(ledger.take(&large, alone()), Taking::Spent);
        assert_eq!(ledger.take(&small, alone()), Taking::Lacking);
    }

    #[test]
    fn what_others_may_have_changed_is_believed_for_a_second() {
        let (mut ledger, need) = (Ledger::default(), need(1, 1, now()));
        ledger.learn(&need, 0, now());
        ledger.tell(&need.counter, now());
        for (millis, believed) in [(0, true), (999, true), (1000, false), (3_600_000, false)] {
            let later = now() + Duration::from_millis(millis);
            let among = StoreView {
                now: later,
                shared: true,
            };
            let expected = if believed { Taking::Spent } else { Taking::Lacking };
            assert_eq!(ledger.take(&need, among), expected, "{millis}");
            assert_eq!(ledger.is_told(&need.counter, among), believed, "{millis}");
            let alone = StoreView {
                shared: false,
                ..among
            };
            assert_eq!(ledger.take(&need, alone), Taking::Spent, "{millis}");
            assert!(ledger.is_told(&need.counter, alone), "{millis}");
        }
    }

    #[test]
    fn windows_that_are_over_are_forgotten() {
        let mut ledger = Ledger::default();
        for service in 0..1000 {
            ledger.add(&need(service, 1, now()).counter, 1, now());
        }
        let later = now() + CounterKind::Service.window() * 3;
        for service in 0..1000 {
            ledger.add(&need(service, 1, later).counter, 1, later);
        }
        assert_eq!(ledger.len(), 1000);
        let back = now().before(Duration::from_hours(24 * 30));
        for service in 0..1000 {
            ledger.add(&need(service, 1, back).counter, 1, back);
        }
        assert!(ledger.len() <= 1024, "those of a clock that was ahead, too");
    }

    #[test]
    fn memory_is_bounded_within_a_window() {
        let mut ledger = Ledger::default();
        for service in 0..200_000 {
            ledger.add(&need(service, 1, now()).counter, 1, now());
            assert!(ledger.len() <= Ledger::MOST);
        }
        assert_eq!(ledger.take(&need(199_999, 1, now()), alone()), Taking::Taken);
    }
}
