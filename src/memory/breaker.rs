//! Circuit breakers: whoever fails several times in a row is left alone for a while, so that a dead one costs next to
//! nothing.
//!
//! While a circuit is open nothing is given to its owner before the pause is over. Then one thing is tried (half-open): if
//! that goes well the circuit is closed again, otherwise the next pause begins, which is longer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::sender_name::SenderName;
use crate::domain::time::Timestamp;

/// One circuit. How long it pauses is its user's to say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker {
    /// How often it failed in a row.
    failures: u32,
    /// How often it was paused in a row.
    pauses: u32,
    /// Until when it is left alone, by its failures or because it asked for it.
    resume_at: Option<Timestamp>,
    /// Until when a try that is under way is waited for.
    probe_until: Option<Timestamp>,
}

impl Breaker {
    /// After so many failures in a row a circuit opens. One that fails now and then is worth neither a pause nor a line in
    /// the log.
    pub(crate) const FAILURES_UNTIL_OPEN: u32 = 5;

    /// Whether it failed so often in a row that only single tries are made.
    #[must_use]
    pub(crate) fn is_open(&self) -> bool {
        self.failures >= Self::FAILURES_UNTIL_OPEN
    }

    /// Until when it is left alone altogether, if that is after `now`.
    #[must_use]
    pub(crate) fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        let resume_at = self.resume_at?;
        let probe = self.probe_until.filter(|until| *until > now);
        // Who waits for a try looks again soon: it rarely takes as long as it may.
        let looks_again = probe.map(|until| until.min(now + SOON));
        looks_again.or(Some(resume_at).filter(|at| *at > now))
    }

    /// Asks to try something at `now`, and lets others wait for it for `probe` if the circuit is half-open.
    ///
    /// # Errors
    /// [`CircuitOpen`] while it is.
    pub(crate) fn begin(&mut self, now: Timestamp, probe: Duration) -> Result<(), CircuitOpen> {
        if let Some(until) = self.paused_until(now) {
            return Err(CircuitOpen { until });
        }
        if self.is_open() {
            self.probe_until = Some(now + probe);
        }
        Ok(())
    }

    /// It works. Whether that closed the circuit.
    pub(crate) fn succeeded(&mut self) -> bool {
        std::mem::take(self).is_open()
    }

    /// It failed, and rests for as long as `pause` says of the number of pauses before. Whether that opened the circuit.
    pub(crate) fn failed(&mut self, now: Timestamp, pause: impl FnOnce(u32) -> Duration) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.probe_until = None;
        // Those that were under way together and fail together are one reason for one pause.
        if self.is_open() && self.paused_until(now).is_none() {
            self.resume_at = Some(now + pause(self.pauses));
            self.pauses = self.pauses.saturating_add(1);
        }
        self.failures == Self::FAILURES_UNTIL_OPEN
    }

    /// It wants to be left alone until then.
    pub(crate) fn rest(&mut self, until: Timestamp) {
        self.resume_at = self.resume_at.max(Some(until));
    }
}

/// It is not to be given anything now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitOpen {
    /// When to ask again.
    pub until: Timestamp,
}

/// A circuit for each sender of codes, as far as this process has seen. One that is not named does well.
#[derive(Debug, Default)]
pub struct SenderBreakers(Mutex<HashMap<SenderName, Breaker>>);

impl SenderBreakers {
    /// The first pause. Each further one is twice as long.
    pub const FIRST_PAUSE: Duration = Duration::from_secs(5);
    /// The longest pause: within the life of a code each sender is tried several times.
    pub const LONGEST_PAUSE: Duration = Duration::from_mins(1);
    /// How long a single try is waited for.
    pub const PROBE: Duration = Duration::from_secs(30);

    /// Whether `sender` is to be given something new at `now`. This asks for nothing: [`SenderBreakers::begin`] does.
    #[must_use]
    pub fn is_available(&self, sender: SenderName, now: Timestamp) -> bool {
        self.breakers()
            .get(&sender)
            .is_none_or(|breaker| breaker.paused_until(now).is_none())
    }

    /// Asks to give a code to `sender` at `now`. Of those who ask while the circuit is half-open one may.
    ///
    /// # Errors
    /// [`CircuitOpen`] while it is.
    pub fn begin(&self, sender: SenderName, now: Timestamp) -> Result<(), CircuitOpen> {
        let mut breakers = self.breakers();
        breakers
            .get_mut(&sender)
            .map_or(Ok(()), |breaker| breaker.begin(now, Self::PROBE))
    }

    /// The sender took a code, or refused one for a reason of that code: it works. Whether that closed its circuit.
    pub fn succeeded(&self, sender: SenderName) -> bool {
        let breaker = self.breakers().remove(&sender);
        breaker.is_some_and(|mut breaker| breaker.succeeded())
    }

    /// The sender failed. Whether that opened its circuit, which was closed before.
    pub fn failed(&self, sender: SenderName, now: Timestamp) -> bool {
        let longer = |pauses: u32| Self::FIRST_PAUSE * (1 << pauses.min(10));
        let mut breakers = self.breakers();
        let breaker = breakers.entry(sender).or_default();
        breaker.failed(now, |pauses| longer(pauses).min(Self::LONGEST_PAUSE))
    }

    /// The senders that are left alone at `now`.
    #[must_use]
    pub fn open(&self, now: Timestamp) -> Vec<SenderName> {
        let breakers = self.breakers();
        let paused = breakers
            .iter()
            .filter(|(_, breaker)| breaker.paused_until(now).is_some());
        paused.map(|(sender, _)| *sender).collect()
    }

    fn breakers(&self) -> MutexGuard<'_, HashMap<SenderName, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When to look again for the end of a try.
const SOON: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(name: &str) -> SenderName {
        SenderName::parse(name).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    fn fail(health: &SenderBreakers, times: u32, at: Timestamp) -> u32 {
        let opened = |_| u32::from(health.failed(sender("a"), at));
        (0..times).map(opened).sum()
    }

    #[test]
    fn a_circuit_opens_behind_several_failures_in_a_row_only() {
        let health = SenderBreakers::default();
        for _ in 0..10 {
            assert_eq!(fail(&health, 4, now()), 0);
            assert!(health.is_available(sender("a"), now()));
            assert!(!health.succeeded(sender("a")));
        }
        assert_eq!(fail(&health, 40, now()), 1);
        assert!(!health.is_available(sender("a"), now()));
        assert!(health.is_available(sender("b"), now()));
        assert_eq!(health.open(now()), [sender("a")]);
        let until = now() + SenderBreakers::FIRST_PAUSE;
        assert_eq!(health.begin(sender("a"), now()), Err(CircuitOpen { until }));
    }

    #[test]
    fn behind_the_pause_one_code_is_tried_and_what_becomes_of_it_decides() {
        let health = SenderBreakers::default();
        fail(&health, 5, now());
        let mut at = now();
        for pause in [5, 10, 20, 40, 60, 60] {
            let before = at + Duration::from_secs(pause - 1);
            assert!(health.begin(sender("a"), before).is_err());
            at = at + Duration::from_secs(pause);
            assert_eq!(health.begin(sender("a"), at), Ok(()));
            let soon = at + Duration::from_secs(1);
            assert_eq!(health.begin(sender("a"), at), Err(CircuitOpen { until: soon }));
            assert!(!health.is_available(sender("a"), at));
            assert_eq!(fail(&health, 1, at), 0, "it is said once");
        }
        at = at + Duration::from_mins(1);
        assert_eq!(health.begin(sender("a"), at), Ok(()));
        assert!(health.succeeded(sender("a")));
        assert_eq!(health.begin(sender("a"), at), Ok(()));
        assert_eq!(health.begin(sender("a"), at), Ok(()));
    }

    #[test]
    fn a_try_that_never_ends_is_not_waited_for_for_ever() {
        let health = SenderBreakers::default();
        fail(&health, 5, now());
        let at = now() + SenderBreakers::FIRST_PAUSE;
        assert_eq!(health.begin(sender("a"), at), Ok(()));
        assert!(!health.is_available(sender("a"), at + SenderBreakers::PROBE.mul_f64(0.9)));
        assert_eq!(health.begin(sender("a"), at + SenderBreakers::PROBE), Ok(()));
    }
}
