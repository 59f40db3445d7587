//! Counters that live in the record they protect.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// When the last uses were: an exact sliding window that only remembers what still counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlidingLog(Vec<u64>);

impl SlidingLog {
    /// How many uses the `window` before `now` holds.
    #[must_use]
    pub fn count(&self, now: Timestamp, window: Duration) -> usize {
        self.within(now, window).count()
    }

    /// The uses in the `window` before `now`. Those somewhat later are of a clock that was set back since, and count; those later
    /// than by a whole window are of one that was wrong, and would hold everybody up until that time comes.
    fn within(&self, now: Timestamp, window: Duration) -> impl Iterator<Item = u64> {
        let (start, end) = (now.before(window).seconds(), (now + window).seconds());
        self.0
            .iter()
            .copied()
            .filter(move |used| *used > start && *used <= end)
    }

    /// How long until the window holds fewer than `limit` uses; zero if it does already.
    #[must_use]
    pub fn wait(&self, now: Timestamp, window: Duration, limit: usize) -> Duration {
        let mut counted: Vec<u64> = self.within(now, window).collect();
        if counted.len() < limit {
            return Duration::ZERO;
        }
        counted.sort_unstable();
        let freeing = counted[counted.len() - limit];
        (Timestamp::from_seconds(freeing) + window)
            .since(now)
            .max(Duration::from_secs(1))
            .min(window)
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a use, and forgets those older than `memory`, the longest window that is ever asked about.
    ///
    /// Uses that lie in the future (the clock was set back since) count as of now, so that they cannot hold anybody
    /// up for longer than one window; those that are later than by a whole `memory` count no more.
    pub fn record(&mut self, now: Timestamp, memory: Duration) {
        self.0 = self.within(now, memory).collect();
        for used in &mut self.0 {
            *used = (*used).min(now.seconds());
        }
        self.0.push(now.seconds());
    }
}

/// Consecutive failures of a factor, over all its challenges: growing delays, then the end.
///
/// NIST SP 800-63B-4, 3.2.2: at most 100 consecutive failures, then the authenticator is disabled. A new challenge
/// resets nothing; a success clears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    count: u32,
    last: Option<Timestamp>,
}

impl Failures {
    /// From this many consecutive failures on, each one is followed by a delay.
    pub const DELAYED_FROM: u32 = 10;
    /// At this many consecutive failures the factor is disabled.
    pub const DISABLED_AT: u32 = 100;
    /// The first delay; each further failure doubles it.
    pub const FIRST_DELAY: Duration = Duration::from_secs(30);
    /// Where the delays stop growing.
    pub const LONGEST_DELAY: Duration = Duration::from_hours(1);

    /// How many failures in a row there were.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How long no attempt is evaluated; `None` when one may be made now.
    ///
    /// A last failure that lies far in the future shows that the clock was set back since. Nobody is locked out for the
    /// length of that jump: one attempt is evaluated, and its failure is stamped with the time that holds now. One that lies in
    /// the future by less was stamped by a node whose clock is ahead, and delays as any other.
    #[must_use]
    pub fn delay(&self, now: Timestamp) -> Option<Duration> {
        let last = self.last.filter(|last| !last.was_set_back(now))?;
        let doublings = self.count.checked_sub(Self::DELAYED_FROM)?;
        let delay = Self::FIRST_DELAY
            .saturating_mul(1 << doublings.min(7))
            .min(Self::LONGEST_DELAY);
        let remaining = (last + delay).since(now);
        (!remaining.is_zero()).then_some(remaining)
    }

    /// `None` if none was counted since the last success.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Whether the factor has used up its last attempt.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.count >= Self::DISABLED_AT
    }

    /// Counts a failure.
    pub fn fail(&mut self, now: Timestamp) {
        self.count = self.count.saturating_add(1);
        // A node whose clock is behind makes no delay shorter.
        let ahead = self.last.filter(|last| !last.was_set_back(now));
        self.last = ahead.max(Some(now));
    }

    /// Forgets all failures: the factor was used successfully.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A bucket of permits: so many may be taken at once, each comes back in its time, and between two there is a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct PermitRule {
    pub capacity: u32,
    /// How long until a permit that was taken is there again.
    pub regeneration: Duration,
    /// How long nothing is given after one was taken.
    pub pause: Duration,
}

/// What was taken of a bucket of permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permits {
    /// When the last one was taken.
    last: Timestamp,
    /// When all are there again.
    full_at: Timestamp,
}

impl Permits {
    /// Takes one of a bucket of which `taken` was taken so far.
    ///
    /// # Errors
    /// How long until there is one. A clock that was set back makes nobody wait for longer than an empty bucket takes.
    pub fn take(taken: Option<Self>, rule: &PermitRule, now: Timestamp) -> Result<Self, Duration> {
        let whole = rule.regeneration.saturating_mul(rule.capacity);
        // One taken later than the bucket takes to fill is of a clock that was wrong.
        let taken = taken.filter(|taken| taken.last <= now + whole);
        let full_at = taken.map_or(now, |taken| taken.full_at.max(now).min(now + whole));
        let paused_by = taken.filter(|taken| !taken.last.was_set_back(now));
        let paused = paused_by.map_or(Duration::ZERO, |taken| (taken.last + rule.pause).since(now));
        let missing = (full_at + rule.regeneration).since(now).saturating_sub(whole);
        let wait = missing.max(paused);
        if !wait.is_zero() {
            return Err(wait);
        }
        let last = paused_by.map_or(now, |taken| taken.last.max(now));
        Ok(Self {
            last,
            full_at: full_at + rule.regeneration,
        })
    }

    /// From when on nothing of it counts any more.
    #[must_use]
    pub fn counts_until(&self, rule: &PermitRule) -> Timestamp {
        self.full_at.max(self.last + rule.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds)
    }

    #[test]
    fn a_sliding_log_never_lets_more_through_than_its_limit() {
        let mut log = SlidingLog::default();
        for second in 0..50 {
            assert_eq!(log.wait(at(second), HOUR, 50), Duration::ZERO);
            log.record(at(second), HOUR);
        }
        assert_eq!(log.count(at(100), HOUR), 50);
        assert_eq!(log.wait(at(100), HOUR, 50), Duration::from_secs(3500));
        assert_eq!(log.wait(at(3600), HOUR, 50), Duration::ZERO);
    }

    #[test]
    fn a_clock_set_back_holds_nobody_up_for_longer_than_the_window() {
        let mut log = SlidingLog::default();
        for _ in 0..50 {
            log.record(at(1_000_000), HOUR);
        }
        assert!(log.wait(at(0), HOUR, 50) <= HOUR);
        log.record(at(0), HOUR);
        assert_eq!(log.count(at(3600), HOUR), 0);
    }

    #[test]
    fn delays_double_from_the_tenth_failure_to_an_hour() {
        let mut failures = Failures::default();
        let mut delays = Vec::new();
        for _ in 0..20 {
            failures.fail(at(0));
            delays.push(failures.delay(at(0)).map_or(0, |d| d.as_secs()));
        }
        assert_eq!(delays[..9], [0; 9]);
        assert_eq!(
            delays[9..],
            [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
        );
        failures.clear();
        assert_eq!(failures, Failures::default());
    }

    #[test]
    fn a_failure_in_the_future_does_not_lock() {
        let mut failures = Failures::default();
        (0..15).for_each(|_| failures.fail(at(1_000_000)));
        assert_eq!(failures.delay(at(0)), None);
        failures.fail(at(0));
        assert_eq!(failures.delay(at(0)), Some(Duration::from_mins(32)));
    }

    /// Of two nodes in turn, one of which is ahead, none evaluates anything before the delay of all failures is over.
    #[test]
    fn a_failure_on_a_node_that_is_ahead_delays_on_all() {
        let (behind, ahead) = (at(0), at(10));
        let mut failures = Failures::default();
        (0..10).for_each(|_| failures.fail(ahead));
        assert_eq!(failures.delay(behind), Some(Duration::from_secs(40)));
        failures.fail(behind);
        assert_eq!(failures.last(), Some(ahead), "no delay becomes shorter");
        assert_eq!(failures.delay(ahead), Some(Duration::from_mins(1)));
        assert_eq!(failures.delay(at(0).before(Duration::from_secs(1))), None);
    }

    #[test]
    fn a_pause_after_a_permit_that_was_taken_on_a_node_that_is_ahead_holds() {
        let rule = PermitRule {
            capacity: 5,
            regeneration: Duration::from_mins(1),
            pause: Duration::from_mins(1),
        };
        let taken = Some(Permits::take(None, &rule, at(10)).unwrap());
        assert_eq!(Permits::take(taken, &rule, at(0)), Err(Duration::from_secs(70)));
        assert!(Permits::take(taken, &rule, at(70)).is_ok());
        assert!(Permits::take(taken, &rule, at(0).before(Duration::from_secs(1))).is_ok());
    }

    #[test]
    fn five_permits_come_back_one_at_a_time_and_a_minute_lies_between_two() {
        let rule = PermitRule {
            capacity: 5,
            regeneration: Duration::from_mins(288),
            pause: Duration::from_mins(1),
        };
        let mut taken = None;
        for minute in 0..5 {
            if let Some(before) = taken {
                let early = Permits::take(Some(before), &rule, at(60 * minute - 1));
                assert_eq!(early, Err(Duration::from_secs(1)));
            }
            taken = Some(Permits::take(taken, &rule, at(60 * minute)).unwrap());
        }
        let first_is_back = 288 * 60;
        let wait = Permits::take(taken, &rule, at(300)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(first_is_back - 300));
        assert_eq!(
            Permits::take(taken, &rule, at(first_is_back - 1)),
            Err(Duration::from_secs(1))
        );
        let taken = Permits::take(taken, &rule, at(first_is_back)).unwrap();
        assert_eq!(taken.counts_until(&rule), at(6 * first_is_back));
        let before_all = Permits::take(Some(taken), &rule, at(0)).unwrap_err();
        assert!(before_all <= rule.regeneration, "{before_all:?}");
    }

    #[test]
    fn permits_that_a_clock_that_was_wrong_took_are_there() {
        let rule = PermitRule {
            capacity: 5,
            regeneration: Duration::from_mins(288),
            pause: Duration::from_mins(1),
        };
        let ahead = Permits::take(None, &rule, at(30 * 86_400)).unwrap();
        let taken = Permits::take(Some(ahead), &rule, at(0)).unwrap();
        assert!(Permits::take(Some(taken), &rule, at(59)).is_err());
        assert!(Permits::take(Some(taken), &rule, at(60)).is_ok());
    }
}
