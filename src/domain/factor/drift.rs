//! How far the clock of a TOTP device is off, as learned from the codes that were accepted.
//!
//! Codes are tried around the server's time and around what was learned: whoever sets a device's clock right is let in as
//! before. What is learned moves by one time step at a time, after several codes in a row on the same side of it and no more
//! often than once a day, and never beyond the operator's limit. So whoever gets hold of one code, or of all codes of an
//! hour, moves it by one step at the most, and nobody by so much that the server's own time does not count.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TimeStep;
use crate::domain::time::Timestamp;

/// How far what is learned may be off, in time steps; 0 learns nothing, and does not use what was learned before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DriftLimit(u8);

impl DriftLimit {
    /// The most steps that an operator can allow.
    pub const LARGEST: u8 = 10;
    /// Nothing is learned.
    pub const OFF: Self = Self(0);

    /// So many steps, [`DriftLimit::LARGEST`] at the most.
    #[must_use]
    pub fn of_steps(steps: u8) -> Self {
        Self(steps.min(Self::LARGEST))
    }

    pub(super) fn steps(self) -> u64 {
        u64::from(self.0)
    }
}

/// What was learned of a device's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedDrift {
    /// By how many time steps the clock is ahead of the server's.
    steps: i8,
    /// How many codes in a row lay on one side of that: above it if positive.
    run: i8,
    /// When the offset was moved last.
    moved_at: Option<Timestamp>,
}

impl LearnedDrift {
    /// After how many codes in a row on one side of it the offset moves there.
    pub const RUN: i8 = 3;
    /// How long it then stays.
    pub const REST: Duration = Duration::from_hours(24);

    /// By how many time steps the clock is ahead, whatever the limit is now.
    #[must_use]
    pub fn steps(self) -> i8 {
        self.steps
    }

    /// The same as far as it may be used; `None` while nothing is learned.
    #[must_use]
    pub fn within(self, limit: DriftLimit) -> Option<i8> {
        let most = limit.0.cast_signed();
        (limit != DriftLimit::OFF).then(|| self.steps.clamp(-most, most))
    }

    /// What is known once a code was accepted that is of `seen` time steps after the server's time.
    #[must_use]
    pub fn after_code(self, seen: i64, limit: DriftLimit, now: Timestamp) -> Self {
        let Some(centre) = self.within(limit) else {
            return self;
        };
        let side: i8 = match seen.cmp(&i64::from(centre)) {
            std::cmp::Ordering::Less => -1,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 1,
        };
        let run = match side {
            0 => 0,
            side if side == self.run.signum() => (self.run + side).clamp(-Self::RUN, Self::RUN),
            side => side,
        };
        let most = limit.0.cast_signed();
        let steps = (centre + side).clamp(-most, most);
        if run.abs() < Self::RUN || steps == centre || !self.has_rested(now) {
            return Self { run, ..self };
        }
        Self {
            steps,
            run: 0,
            moved_at: Some(now),
        }
    }

    /// The same in time steps of another length.
    #[must_use]
    pub fn rescaled(self, from: TimeStep, to: TimeStep) -> Self {
        if from == to {
            return self;
        }
        let (from, to) = (i32::from(from.get()), i32::from(to.get()));
        let seconds = i32::from(self.steps) * from;
        // To the nearest.
        let steps = (seconds * 2 + to * seconds.signum()) / (to * 2);
        let most = i32::from(DriftLimit::LARGEST);
        Self {
            steps: i8::try_from(steps.clamp(-most, most)).unwrap_or_default(),
            run: 0,
            moved_at: self.moved_at,
        }
    }

    fn has_rested(self, now: Timestamp) -> bool {
        self.moved_at
            .is_none_or(|moved| moved.was_set_back(now) || now.since(moved) >= Self::REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: DriftLimit = DriftLimit(3);

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_seconds(hours * 3600)
    }

    /// Codes that are all off by so much, one each hour.
    fn after(mut drift: LearnedDrift, seen: i64, hours: std::ops::Range<u64>) -> LearnedDrift {
        for hour in hours {
            drift = drift.after_code(seen, LIMIT, at(hour));
        }
        drift
    }

    /// SECURITY.md, row 15: so many steps at the most, in either direction.
    #[test]
    fn codes_in_a_row_move_it_by_a_step_a_day_and_never_beyond_the_limit() {
        let drift = after(LearnedDrift::default(), 2, 0..2);
        assert_eq!(drift.steps(), 0, "two are no row");
        let drift = after(drift, 2, 2..3);
        assert_eq!(drift.steps(), 1);
        let drift = after(drift, 2, 3..26);
        assert_eq!(drift.steps(), 1, "not a day yet");
        let drift = after(drift, 2, 26..27);
        assert_eq!(drift.steps(), 2);
        assert_eq!(after(drift, 2, 27..200).steps(), 2, "it is there");
        assert_eq!(after(drift, 9, 27..2000).steps(), 3, "the limit");
        assert_eq!(after(LearnedDrift::default(), -9, 0..2000).steps(), -3);
    }

    #[test]
    fn codes_on_both_sides_move_nothing() {
        let mut drift = LearnedDrift::default();
        for hour in 0..300 {
            let seen = [-1, -1, 0, 1, 1, 0][usize::try_from(hour % 6).unwrap()];
            drift = drift.after_code(seen, LIMIT, at(hour));
        }
        assert_eq!(drift.steps(), 0);
    }

    #[test]
    fn it_comes_back_as_it_went() {
        let drift = after(LearnedDrift::default(), 3, 0..100);
        assert_eq!(drift.steps(), 3);
        let drift = after(drift, 0, 100..103);
        assert_eq!(drift.steps(), 2);
        assert_eq!(after(drift, 0, 103..200).steps(), 0);
    }

    #[test]
    fn without_a_limit_nothing_is_learned_or_used_and_nothing_is_forgotten() {
        let drift = after(LearnedDrift::default(), 3, 0..100);
        assert_eq!(drift.within(DriftLimit::OFF), None);
        assert_eq!(drift.after_code(0, DriftLimit::OFF, at(200)), drift);
        assert_eq!(drift.within(LIMIT), Some(3));
        assert_eq!(drift.within(DriftLimit(2)), Some(2));
        assert_eq!(LearnedDrift::default().within(LIMIT), Some(0));
        assert_eq!(DriftLimit::of_steps(200), DriftLimit(DriftLimit::LARGEST));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_it() {
        let drift = after(LearnedDrift::default(), 3, 5000..5003);
        assert_eq!(drift.steps(), 1);
        assert_eq!(after(drift, 3, 100..103).steps(), 2);
    }

    #[test]
    fn another_step_length_is_the_same_time() {
        let step = |seconds| TimeStep::new(seconds).unwrap();
        let of = |steps| LearnedDrift {
            steps,
            ..LearnedDrift::default()
        };
        for (from, steps, to, expected) in [
            (30, 2, 60, 1),
            (60, -2, 30, -4),
            (30, 1, 20, 2),
            (30, -1, 20, -2),
            (20, 1, 30, 1),
            (60, 10, 20, 10),
            (30, 7, 30, 7),
        ] {
            assert_eq!(of(steps).rescaled(step(from), step(to)).steps(), expected);
        }
    }
}
