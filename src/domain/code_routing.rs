//! Whether codes come back: of what a sender sent to a country, how much was followed by an approval. It is kept in memory
//! only: a process that begins anew finds out again within minutes.
//!
//! A try counts once it is old enough for its code to have been typed in. Tries are counted by the minute, so the memory
//! is bounded however many there are, and an approval is counted in the minute of its try.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::time::Timestamp;

/// The tries of an hour, and how many of them were followed by an approval.
#[derive(Clone, Debug, Default)]
pub struct ConversionWindow(VecDeque<Minute>);

#[derive(Clone, Copy, Debug)]
struct Minute {
    /// Which one, since the epoch.
    number: u64,
    tries: u32,
    conversions: u32,
}

/// How many of some tries were followed by an approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// How many there were, whatever followed.
    pub tries: u32,
    /// Those that were followed by one.
    pub conversions: u32,
}

impl ConversionWindow {
    /// How old a try must be to count: nearly everybody who types a code in at all has done it by then.
    pub const MATURITY: Duration = Duration::from_mins(5);
    /// How old a try may be to count.
    pub const LENGTH: Duration = Duration::from_hours(1);

    /// Takes in a try of `at`. What is older than the window by then is forgotten.
    pub fn tried(&mut self, at: Timestamp) {
        if let Some(minute) = self.minute(at) {
            minute.tries = minute.tries.saturating_add(1);
        }
    }

    /// Takes in that the try of `at` was followed by an approval.
    pub fn converted(&mut self, at: Timestamp) {
        if let Some(minute) = self.minute(at) {
            minute.conversions = minute.conversions.saturating_add(1).min(minute.tries);
        }
    }

    /// What counts at `now`.
    #[must_use]
    pub fn rate(&self, now: Timestamp) -> Rate {
        let last = number_of(now.before(Self::MATURITY));
        let first = number_of(now.before(Self::LENGTH));
        let counted = self.0.iter().filter(|m| (first..last).contains(&m.number));
        counted.fold(Rate::default(), |rate, minute| Rate {
            tries: rate.tries.saturating_add(minute.tries),
            conversions: rate.conversions.saturating_add(minute.conversions),
        })
    }

    /// The count of the minute of `at`; `None` if it is over and forgotten.
    fn minute(&mut self, at: Timestamp) -> Option<&mut Minute> {
        let number = number_of(at);
        let newest = self.0.back().map_or(number, |minute| minute.number.max(number));
        let oldest = newest.saturating_sub(Self::LENGTH.as_secs() / 60);
        while self.0.front().is_some_and(|minute| minute.number < oldest) {
            self.0.pop_front();
        }
        if number < oldest {
            return None;
        }
        let index = self.0.partition_point(|minute| minute.number < number);
        if self.0.get(index).is_none_or(|minute| minute.number != number) {
            let minute = Minute {
                number,
                tries: 0,
                conversions: 0,
            };
            self.0.insert(index, minute);
        }
        self.0.get_mut(index)
    }
}

fn number_of(at: Timestamp) -> u64 {
    at.seconds() / 60
}

impl Rate {
    /// So many tries say something.
    pub const ENOUGH: u32 = 20;

    /// Whether there are enough tries to say something.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.tries >= Self::ENOUGH
    }

    /// Whether less than a tenth was followed by an approval: codes do not arrive, whoever sends them.
    #[must_use]
    pub fn is_poor(self) -> bool {
        self.is_known() && u64::from(self.conversions) * 10 < u64::from(self.tries)
    }

    /// Whether it is less than half of what `other` has.
    #[must_use]
    pub fn is_clearly_below(self, other: Self) -> bool {
        let (ours, theirs) = (u64::from(self.conversions), u64::from(other.conversions));
        let both = self.is_known() && other.is_known();
        both && 2 * ours * u64::from(other.tries) < theirs * u64::from(self.tries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    fn minutes(count: u64) -> Duration {
        Duration::from_mins(count)
    }

    #[test]
    fn a_try_counts_when_it_is_old_enough_and_until_it_is_too_old() {
        let mut window = ConversionWindow::default();
        window.tried(start());
        window.tried(start());
        window.converted(start());
        let counted = Rate {
            tries: 2,
            conversions: 1,
        };
        for (after, expected) in [
            (0, Rate::default()),
            (5, Rate::default()),
            (6, counted),
            (60, counted),
            (61, Rate::default()),
        ] {
            assert_eq!(window.rate(start() + minutes(after)), expected, "{after}");
        }
    }

    #[test]
    fn memory_is_bounded_and_what_was_forgotten_is_not_counted_again() {
        let mut window = ConversionWindow::default();
        for minute in 0..10_000 {
            window.tried(start() + minutes(minute));
        }
        assert!(window.0.len() <= 61, "{}", window.0.len());
        let before = window.rate(start() + minutes(10_000));
        window.tried(start());
        window.converted(start());
        assert_eq!(window.rate(start() + minutes(10_000)), before);
        assert_eq!(before.tries, 55);
    }

    #[test]
    fn rates_are_compared_only_when_they_are_known() {
        let rate = |conversions, tries| Rate { tries, conversions };
        assert!(rate(0, 20).is_poor());
        assert!(!rate(0, 19).is_poor());
        assert!(!rate(2, 20).is_poor());
        assert!(rate(7, 20).is_clearly_below(rate(15, 20)));
        assert!(!rate(8, 20).is_clearly_below(rate(16, 20)));
        assert!(!rate(0, 19).is_clearly_below(rate(20, 20)));
        assert!(!rate(0, 20).is_clearly_below(rate(19, 19)));
        assert!(!rate(0, 20).is_clearly_below(rate(0, 20)));
        assert!(rate(1, u32::MAX).is_clearly_below(rate(u32::MAX, u32::MAX)));
    }
}
