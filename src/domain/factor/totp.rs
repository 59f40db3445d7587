//! TOTP factors (RFC 6238): parameters, and which time steps were accepted.

use serde::{Deserialize, Serialize};

use super::drift::{DriftLimit, LearnedDrift};
use crate::domain::opaque::{Fingerprint, Sealed};
use crate::domain::text::Invalid;
use crate::domain::time::{CLOCKS_APART, Timestamp};
use crate::domain::totp_algorithm::TotpAlgorithm;

/// A shared secret, how codes are made from it, and which were used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TotpFactor {
    /// The secret, sealed for this factor.
    pub secret: Sealed,
    /// Equal for equal secrets.
    pub fingerprint: Fingerprint,
    /// Whether the secret has fewer than 128 bits: it came from an older system while the operator allowed that.
    pub legacy_secret: bool,
    /// How codes are made.
    pub config: TotpConfig,
    /// Which time steps were used.
    pub accepted: AcceptedSteps,
    /// What was learned of the device's clock.
    pub drift: LearnedDrift,
}

impl TotpFactor {
    /// The time steps whose codes are live at `now`: those around the server's time, and those around what was learned of
    /// the device's clock. There are as many wherever that is, so some may be there twice.
    pub fn live_steps(&self, limit: DriftLimit, now: Timestamp) -> impl Iterator<Item = u64> {
        let around = move |ahead: i8| self.config.steps_around(i64::from(ahead), now);
        let learned = self.drift.within(limit);
        around(0).chain(learned.into_iter().flat_map(around))
    }

    /// The last time step that can have been accepted at `now` unless a server's clock was wrong: that of another one may be
    /// somewhat ahead. It does not depend on the skew and the limit that hold now: a step that was accepted under larger ones was
    /// accepted honestly.
    #[must_use]
    pub fn last_honest_step(&self, now: Timestamp) -> u64 {
        self.last_possible_step(now, DriftLimit::OFF)
    }

    /// The same if more may have been learned of the device's clock than is known here, up to `limit`.
    #[must_use]
    pub fn last_possible_step(&self, now: Timestamp, limit: DriftLimit) -> u64 {
        let known = u64::from(self.drift.steps().max(0).unsigned_abs());
        self.config.step_at(now + CLOCKS_APART) + u64::from(Skew::LARGEST) + known.max(limit.steps())
    }

    /// When the last time step began that was used, by the device's code; `None` if none was.
    #[must_use]
    pub fn last_use(&self) -> Option<Timestamp> {
        let length = u64::from(self.config.time_step.get());
        self.accepted
            .last()
            .map(|step| Timestamp::from_seconds(step.saturating_mul(length)))
    }

    /// Takes in that the code of `step` was accepted. Without a skew it is of one centre or the other, so it tells nothing of where
    /// the device's clock goes.
    pub fn learn_drift(&mut self, step: u64, limit: DriftLimit, now: Timestamp) {
        if self.config.skew.get() > 0 {
            let seen = self.config.steps_ahead(step, now);
            self.drift = self.drift.after_code(seen, limit, now);
        }
    }

    /// Has codes made in another way. What was used stays used.
    pub fn change_config(&mut self, config: TotpConfig, now: Timestamp) {
        let (old, new) = (self.config.time_step, config.time_step);
        self.accepted = self.accepted.rescaled(old, new, self.last_honest_step(now));
        self.drift = self.drift.rescaled(old, new);
        self.config = config;
    }
}

/// How codes are made and how far clocks may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotpConfig {
    /// The hash of the HMAC.
    pub algorithm: TotpAlgorithm,
    /// How many time steps before and after the current one are accepted.
    pub skew: Skew,
    /// How many digits a code has.
    pub code_length: CodeLength,
    /// How long a code lives.
    pub time_step: TimeStep,
}

impl Skew {
    const LARGEST: u8 = 2;
}

impl TotpConfig {
    /// The number of the time step at `now` (RFC 6238, 4.2, with T0 = 0).
    #[must_use]
    pub fn step_at(&self, now: Timestamp) -> u64 {
        now.seconds() / u64::from(self.time_step.get())
    }

    /// By how many time steps `step` is ahead of the one at `now`.
    #[must_use]
    pub fn steps_ahead(&self, step: u64, now: Timestamp) -> i64 {
        step.cast_signed() - self.step_at(now).cast_signed()
    }

    /// The time steps that are live for a clock that is `ahead` steps ahead of `now`.
    fn steps_around(self, ahead: i64, now: Timestamp) -> std::ops::RangeInclusive<u64> {
        let centre = self.step_at(now).saturating_add_signed(ahead);
        let skew = u64::from(self.skew.get());
        centre.saturating_sub(skew)..=centre + skew
    }
}

macro_rules! bounded {
    ($($(#[$doc:meta])* $name:ident, $least:literal, $most:expr, $default:literal, $invalid:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u8);

        impl $name {
            /// Checks the range.
            ///
            /// # Errors
            /// [`Invalid`] with the range.
            pub fn new(value: u8) -> Result<Self, Invalid> {
                if ($least..=$most).contains(&value) {
                    Ok(Self(value))
                } else {
                    Err(Invalid::$invalid($least, u32::from($most)))
                }
            }

            /// Within the bounds of the type.
            #[must_use]
            pub fn get(self) -> u8 {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }
    )+};
}

bounded! {
    /// How many time steps before and after the current one are accepted: 0 to 2, 1 if nothing else is said.
    Skew, 0, Self::LARGEST, 1, range;
    /// How many digits a code has: 3 to 8, 6 if nothing else is said.
    CodeLength, 3, 8_u8, 6, range;
    /// How many seconds a time step lasts: 20 to 60, 30 if nothing else is said.
    TimeStep, 20, 60_u8, 30, seconds;
}

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeVerdict {
    /// It belongs to a live time step that was not used yet.
    Fresh {
        /// The step that is used up by accepting it.
        step: u64,
    },
    /// It is right, but its time step, or a later one, was accepted before. No guess: whoever sends it knew the code.
    Replayed,
    /// It belongs to no live time step.
    Wrong,
}

/// The time steps that were accepted, each once and none below the last (RFC 6238, 5.2).
///
/// Steps that lie beyond every skew were accepted while the clock was ahead. They stay used, but they do not lock
/// the factor until the time comes round to them: the rule "none below the last" counts from the last step that can
/// have been honest. Only when more steps than [`AcceptedSteps::REMEMBERED`] were accepted ahead of time does everything
/// up to the oldest of them stay refused, because forgetting one would let it be replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedSteps {
    /// Every step up to this one is used.
    floor: Option<u64>,
    /// Steps above the floor that were accepted, ascending.
    recent: Vec<u64>,
}

impl AcceptedSteps {
    /// How many accepted steps are remembered one by one.
    pub const REMEMBERED: usize = 8;

    /// Decides on a code whose matching steps are `matching`, given [`TotpFactor::last_honest_step`].
    #[must_use]
    pub fn judge(&self, matching: &[u64], last_honest: u64) -> CodeVerdict {
        let fresh = matching
            .iter()
            .copied()
            .filter(|step| self.is_fresh(*step, last_honest))
            .max();
        match fresh {
            Some(step) => CodeVerdict::Fresh { step },
            None if matching.is_empty() => CodeVerdict::Wrong,
            None => CodeVerdict::Replayed,
        }
    }

    /// Uses up `step`.
    pub fn accept(&mut self, step: u64) {
        if let Err(place) = self.recent.binary_search(&step) {
            self.recent.insert(place, step);
        }
        if self.recent.len() > Self::REMEMBERED {
            self.floor = self.floor.max(Some(self.recent.remove(0)));
        }
    }

    /// The step that was accepted since it was `before`.
    #[must_use]
    pub fn gained_since(&self, before: &Self) -> Option<u64> {
        let is_new = |step: &&u64| before.recent.binary_search(step).is_err();
        self.recent.iter().rfind(is_new).copied()
    }

    /// The last step that is used.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.recent.last().copied().max(self.floor)
    }

    /// Uses up every step up to `last`.
    pub fn use_up_to(&mut self, last: u64) {
        self.floor = self.floor.max(Some(last));
        self.recent.retain(|step| *step > last);
    }

    /// Whether a step was accepted behind [`TotpFactor::last_honest_step`]: the clock was set back since.
    #[must_use]
    pub fn ahead_of(&self, last_honest: u64) -> bool {
        self.recent.last().is_some_and(|last| *last > last_honest)
    }

    /// The same moments in steps of another length: everything that overlaps a used step is used. `last_honest` is
    /// [`TotpFactor::last_honest_step`] in steps of the old length.
    #[must_use]
    pub fn rescaled(&self, from: TimeStep, to: TimeStep, last_honest: u64) -> Self {
        if from == to {
            return self.clone();
        }
        let (from, to) = (u64::from(from.get()), u64::from(to.get()));
        let overlapped = |step: u64| step * from / to..=((step + 1) * from - 1) / to;
        let ahead = self.recent.partition_point(|step| *step <= last_honest);
        let last_used = self.recent[..ahead].last().copied().max(self.floor);
        let mut recent: Vec<u64> = self.recent[ahead..]
            .iter()
            .copied()
            .flat_map(overlapped)
            .collect();
        recent.dedup();
        Self {
            floor: last_used.map(|step| *overlapped(step).end()),
            recent,
        }
    }

    fn is_fresh(&self, step: u64, last_honest: u64) -> bool {
        let last_used = self
            .recent
            .iter()
            .copied()
            .filter(|used| *used <= last_honest)
            .max();
        let above_floor = Some(step) > self.floor && Some(step) > last_used;
        above_floor && self.recent.binary_search(&step).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_fresh_once_and_never_below_the_last() {
        let mut used = AcceptedSteps::default();
        assert_eq!(used.judge(&[100], 101), CodeVerdict::Fresh { step: 100 });
        used.accept(100);
        assert_eq!(used.judge(&[100], 101), CodeVerdict::Replayed);
        assert_eq!(used.judge(&[99], 101), CodeVerdict::Replayed);
        assert_eq!(used.judge(&[], 101), CodeVerdict::Wrong);
        assert_eq!(used.judge(&[101], 101), CodeVerdict::Fresh { step: 101 });
        // One code may belong to two live steps; the used one does not stand in the way of the other.
        assert_eq!(used.judge(&[100, 101], 101), CodeVerdict::Fresh { step: 101 });
    }

    #[test]
    fn a_clock_that_jumped_ahead_and_back_neither_replays_nor_locks() {
        let mut used = AcceptedSteps::default();
        used.accept(100);
        (220..224).for_each(|step| used.accept(step));
        assert!(used.ahead_of(102));
        assert_eq!(used.judge(&[101], 102), CodeVerdict::Fresh { step: 101 });
        used.accept(101);
        assert_eq!(used.judge(&[101], 102), CodeVerdict::Replayed);
        assert_eq!(used.judge(&[100], 102), CodeVerdict::Replayed);
        for step in 220..224 {
            assert_eq!(
                used.judge(&[step], step + 1),
                CodeVerdict::Replayed,
                "the time came round to {step}"
            );
        }
        assert_eq!(used.judge(&[224], 225), CodeVerdict::Fresh { step: 224 });
    }

    #[test]
    fn another_step_length_does_not_lock_what_a_clock_ahead_had_accepted() {
        let (thirty, twenty) = (TimeStep::new(30).unwrap(), TimeStep::new(20).unwrap());
        let mut used = AcceptedSteps::default();
        used.accept(100); // seconds 3000 to 3029
        used.accept(3000); // seconds 90,000 to 90,029, while the clock was a day ahead
        let mut rescaled = used.rescaled(thirty, twenty, 102);
        assert_eq!(rescaled.judge(&[151], 155), CodeVerdict::Replayed);
        assert_eq!(rescaled.judge(&[152], 155), CodeVerdict::Fresh { step: 152 });
        rescaled.accept(152);
        for step in [4500, 4501] {
            assert_eq!(
                rescaled.judge(&[step], 4600),
                CodeVerdict::Replayed,
                "the time came round to {step}"
            );
        }
        assert_eq!(rescaled.judge(&[4502], 4600), CodeVerdict::Fresh { step: 4502 });
    }

    #[test]
    fn what_is_forgotten_stays_used() {
        let mut used = AcceptedSteps::default();
        (100..200).for_each(|step| used.accept(step));
        for step in 0..200 {
            assert_eq!(used.judge(&[step], 300), CodeVerdict::Replayed);
        }
    }

    #[test]
    fn another_step_length_reopens_no_moment() {
        let (thirty, twenty) = (TimeStep::new(30).unwrap(), TimeStep::new(20).unwrap());
        let mut used = AcceptedSteps::default();
        used.accept(100); // seconds 3000 to 3029
        let rescaled = used.rescaled(thirty, twenty, 101);
        assert_eq!(
            rescaled.judge(&[151], 152),
            CodeVerdict::Replayed,
            "seconds 3020 to 3039 overlap"
        );
        assert_eq!(rescaled.judge(&[152], 152), CodeVerdict::Fresh { step: 152 });
        assert_eq!(used.rescaled(thirty, thirty, 101), used);
    }
}
