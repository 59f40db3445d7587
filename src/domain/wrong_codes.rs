//! Wrong codes that were given for one destination, over all verifications of an account.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::{Failures, SlidingLog};
use super::time::Timestamp;
use super::verification::Refusal;

/// What an account remembers of wrong codes for a destination, whichever of its services and in whichever protocol they were
/// given. A new verification, or another code, resets none of the counts (NIST SP 800-63B-4, 3.1.3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongCodes {
    /// Wrong codes in a row.
    pub failures: Failures,
    /// When wrong codes were given within a day.
    pub failed_checks: SlidingLog,
}

impl WrongCodes {
    /// How many wrong codes are evaluated within a day, over all verifications.
    pub const MOST_FAILURES_PER_DAY: usize = 50;
    /// How long a row of wrong codes is remembered after the last of them.
    pub const ROW_MEMORY: Duration = Duration::from_hours(30 * 24);
    const DAY: Duration = Duration::from_hours(24);

    /// Whether a code is evaluated now.
    ///
    /// # Errors
    /// [`Refusal::DestinationLocked`] after [`MOST_FAILURES_PER_DAY`](Self::MOST_FAILURES_PER_DAY) wrong codes within a day,
    /// during the delay that follows each wrong code from the tenth in a row on, and for a day after the hundredth in a row
    /// (NIST SP 800-63B-4, 3.2.2).
    pub fn require_unlocked(&self, now: Timestamp) -> Result<(), Refusal> {
        let row = self.row(now);
        let rest = if row.exhausted() {
            row.last().map(|last| (last + Self::DAY).since(now))
        } else {
            row.delay(now)
        };
        let of_the_day = self
            .failed_checks
            .wait(now, Self::DAY, Self::MOST_FAILURES_PER_DAY);
        let retry_after = rest.unwrap_or_default().min(Self::DAY).max(of_the_day);
        if retry_after.is_zero() {
            Ok(())
        } else {
            Err(Refusal::DestinationLocked { retry_after })
        }
    }

    /// Until when the wrong codes so far close it, at the longest that is known now; `None` if they do not. A row of
    /// [`Failures::DELAYED_FROM`] closes it until the row ends, also between two delays.
    #[must_use]
    pub fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let in_a_row = self.row(now).count() >= Failures::DELAYED_FROM;
        match self.require_unlocked(now) {
            Err(Refusal::DestinationLocked { retry_after }) => Some(now + retry_after),
            _ => in_a_row.then_some(now),
        }
    }

    /// Counts a wrong code.
    pub fn count_failure(&mut self, now: Timestamp) {
        self.failures = self.row(now);
        self.failures.fail(now);
        self.failed_checks.record(now, Self::DAY);
    }

    /// Ends the row of wrong codes: the right one was given. Those of the day still count.
    pub fn end_row(&mut self) {
        self.failures.clear();
    }

    /// From when on nothing in it counts any more.
    #[must_use]
    pub fn counts_until(&self, now: Timestamp) -> Timestamp {
        let row = self.failures.last().map(|last| last.max(now) + Self::ROW_MEMORY);
        let day = (!self.failed_checks.is_empty()).then_some(now + Self::DAY);
        row.max(day).unwrap_or(now)
    }

    /// The row as it counts at `now`: forgotten after a day without a further one once it was as long as may be, and after
    /// [`ROW_MEMORY`](Self::ROW_MEMORY) in any case.
    fn row(&self, now: Timestamp) -> Failures {
        let memory = if self.failures.exhausted() {
            Self::DAY
        } else {
            Self::ROW_MEMORY
        };
        match self.failures.last() {
            // One that is more than a day ahead is of a clock that was wrong: nobody waits until that time comes.
            Some(last) if now >= last + memory || last > now + Self::DAY => Failures::default(),
            _ => self.failures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds)
    }

    fn wait(record: &WrongCodes, now: Timestamp) -> u64 {
        match record.require_unlocked(now) {
            Ok(()) => 0,
            Err(Refusal::DestinationLocked { retry_after }) => retry_after.as_secs(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn delays_begin_with_the_tenth_wrong_code_in_a_row() {
        let mut record = WrongCodes::default();
        for _ in 0..9 {
            record.count_failure(at(0));
        }
        assert_eq!(wait(&record, at(0)), 0);
        record.count_failure(at(0));
        assert_eq!(wait(&record, at(0)), 30);
        assert_eq!(wait(&record, at(29)), 1);
        assert_eq!(wait(&record, at(30)), 0);
        record.count_failure(at(30));
        assert_eq!(wait(&record, at(30)), 60);
        record.end_row();
        assert_eq!(wait(&record, at(30)), 0);
    }

    #[test]
    fn the_right_code_ends_the_row_but_gives_no_more_wrong_ones_for_the_day() {
        let mut record = WrongCodes::default();
        for second in 0..50 {
            assert_eq!(wait(&record, at(second)), 0, "{second}");
            record.count_failure(at(second));
            record.end_row();
        }
        assert_eq!(wait(&record, at(100)), 86_400 - 100);
        assert_eq!(wait(&record, at(86_400)), 0);
    }

    #[test]
    fn a_hundred_in_a_row_close_the_destination_for_a_day() {
        let mut record = WrongCodes::default();
        let mut now = at(0);
        for count in 0..100 {
            assert_eq!(record.failures.count(), count);
            now = now + Duration::from_secs(wait(&record, now));
            assert_eq!(wait(&record, now), 0);
            record.count_failure(now);
        }
        assert_eq!(wait(&record, now), 86_400);
        assert_eq!(wait(&record, now + Duration::from_secs(86_399)), 1);
        let next_day = now + Duration::from_hours(24);
        assert_eq!(wait(&record, next_day), 0);
        record.count_failure(next_day);
        assert_eq!(record.failures.count(), 1);
    }

    #[test]
    fn a_row_is_remembered_for_thirty_days_and_the_record_is_kept_so_long() {
        let mut record = WrongCodes::default();
        (0..9).for_each(|_| record.count_failure(at(0)));
        assert_eq!(record.counts_until(at(0)), at(30 * 86_400));
        let mut later = record.clone();
        later.count_failure(at(30 * 86_400 - 1));
        assert_eq!(later.failures.count(), 10);
        record.count_failure(at(30 * 86_400));
        assert_eq!(record.failures.count(), 1);
    }

    #[test]
    fn a_clock_set_back_locks_nobody_for_longer_than_a_day() {
        let mut record = WrongCodes::default();
        (0..60).for_each(|_| record.count_failure(at(10_000_000)));
        assert!(wait(&record, at(0)) <= 86_400);
    }

    #[test]
    fn a_clock_that_was_a_month_ahead_locks_nobody() {
        let mut record = WrongCodes::default();
        let ahead = at(30 * 86_400);
        for _ in 0..100 {
            record.count_failure(ahead);
        }
        assert_eq!(wait(&record, ahead), 86_400);
        assert_eq!(wait(&record, at(0)), 0);
        record.count_failure(at(0));
        assert_eq!(record.failures.count(), 1);
        assert_eq!(
            wait(&record, at(0)),
            0,
            "nor does one more wrong code bring back the others"
        );
    }
}
