//! How the senders of codes do: a circuit for each, and whom something is on its way to.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::circuit::{Breaker, CircuitOpen, FailureScope, RecipientId, TryTarget};
use crate::domain::sender_name::SenderName;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;

/// A circuit for each sender of codes, as far as this process has seen. One that is not named does well.
#[derive(Debug, Default)]
pub struct SenderBreakers {
    breakers: Mutex<HashMap<SenderName, Breaker>>,
    under_way: Mutex<HashSet<(SenderName, RecipientId)>>,
}

/// Why nothing is to be given to a sender now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// Something for the same recipient is on its way: look again then.
    Busy(Timestamp),
    /// The sender is left alone until then.
    Open(Timestamp),
}

/// A try that is under way, until dropped: no other one for the same recipient is made by the same sender.
#[derive(Debug)]
pub struct Trying<'a> {
    all: &'a SenderBreakers,
    what: (SenderName, RecipientId),
}

impl SenderBreakers {
    /// The first pause. Each further one is twice as long.
    pub const FIRST_PAUSE: Duration = Duration::from_secs(5);
    /// The longest pause: within the life of a code each sender is tried several times.
    pub const LONGEST_PAUSE: Duration = Duration::from_mins(1);
    /// How long a single try is waited for.
    pub const PROBE: Duration = Duration::from_secs(30);

    /// Whether `sender` is to be given something new of `account` at `now`. This asks for nothing:
    /// [`SenderBreakers::begin`] does.
    #[must_use]
    pub fn is_available(&self, sender: SenderName, account: AccountSid, now: Timestamp) -> bool {
        self.breakers()
            .get(&sender)
            .is_none_or(|breaker| breaker.is_open_to(account, now))
    }

    /// Asks to give a code for `target` to `sender` at `now`. Of those who ask while the circuit is half-open one may.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn begin(
        &self,
        sender: SenderName,
        target: &TryTarget,
        now: Timestamp,
    ) -> Result<Trying<'_>, NotNow> {
        let what = (sender, target.recipient);
        if !self.under_way().insert(what) {
            return Err(NotNow::Busy(now + LOOKS_AGAIN));
        }
        // From here on it is taken back by its drop.
        let trying = Trying { all: self, what };
        let mut breakers = self.breakers();
        let begun = breakers
            .get_mut(&sender)
            .map_or(Ok(()), |breaker| breaker.begin(target, now, Self::PROBE));
        drop(breakers);
        begun
            .map(|()| trying)
            .map_err(|CircuitOpen { until }| NotNow::Open(until))
    }

    /// The sender took a code, or refused one for a reason of that code: it works. Whether that closed its circuit.
    pub fn succeeded(&self, sender: SenderName) -> bool {
        let breaker = self.breakers().remove(&sender);
        breaker.is_some_and(|mut breaker| breaker.succeeded())
    }

    /// The sender failed for `target`, and wants to be left alone for `asked`, of which it gets
    /// [`LONGEST_PAUSE`](Self::LONGEST_PAUSE): then one code asks whether it still wants that. Whether that opened its
    /// circuit, which was closed before.
    pub fn failed(
        &self,
        sender: SenderName,
        target: &TryTarget,
        about: FailureScope,
        asked: Option<Duration>,
        now: Timestamp,
    ) -> bool {
        let longer = |pauses: u32| Self::FIRST_PAUSE * (1 << pauses.min(10));
        let mut breakers = self.breakers();
        let breaker = breakers.entry(sender).or_default();
        let asked = asked.map(|asked| asked.min(Self::LONGEST_PAUSE));
        breaker.failed(target, about, asked, now, |pauses| {
            longer(pauses).min(Self::LONGEST_PAUSE)
        })
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
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<(SenderName, RecipientId)>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        self.all.under_way().remove(&self.what);
    }
}

/// When to look again for the end of a try for the same recipient.
const LOOKS_AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(name: &str) -> SenderName {
        SenderName::parse(name).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    fn to(number: u8) -> TryTarget {
        TryTarget {
            account: AccountSid::from_bytes([1; 16]),
            recipient: [number; 16],
            group: [number; 16],
        }
    }

    fn fail(health: &SenderBreakers, times: u32, at: Timestamp) -> u32 {
        let opened = |_| u32::from(health.failed(sender("a"), &to(1), FailureScope::Sender, None, at));
        (0..times).map(opened).sum()
    }

    fn begin(health: &SenderBreakers, number: u8, at: Timestamp) -> Result<(), NotNow> {
        health.begin(sender("a"), &to(number), at).map(drop)
    }

    #[test]
    fn a_circuit_opens_behind_several_failures_in_a_row_only() {
        let health = SenderBreakers::default();
        for _ in 0..10 {
            assert_eq!(fail(&health, 4, now()), 0);
            assert!(health.is_available(sender("a"), to(1).account, now()));
            assert!(!health.succeeded(sender("a")));
        }
        assert_eq!(fail(&health, 40, now()), 1);
        assert!(!health.is_available(sender("a"), to(1).account, now()));
        assert!(health.is_available(sender("b"), to(1).account, now()));
        assert_eq!(health.open(now()), [sender("a")]);
        let until = now() + SenderBreakers::FIRST_PAUSE;
        assert_eq!(begin(&health, 2, now()), Err(NotNow::Open(until)));
    }

    #[test]
    fn behind_the_pause_one_code_is_tried_and_what_becomes_of_it_decides() {
        let health = SenderBreakers::default();
        fail(&health, 5, now());
        let mut at = now();
        for pause in [5, 10, 20, 40, 60, 60] {
            let before = at + Duration::from_secs(pause - 1);
            assert!(begin(&health, 2, before).is_err());
            at = at + Duration::from_secs(pause);
            assert_eq!(begin(&health, 2, at), Ok(()));
            let soon = at + Duration::from_secs(1);
            assert_eq!(begin(&health, 3, at), Err(NotNow::Open(soon)));
            assert!(!health.is_available(sender("a"), to(1).account, at));
            assert_eq!(fail(&health, 1, at), 0, "it is said once");
        }
        at = at + Duration::from_mins(1);
        assert_eq!(begin(&health, 2, at), Ok(()));
        assert!(health.succeeded(sender("a")));
        assert_eq!(begin(&health, 2, at), Ok(()));
        assert_eq!(begin(&health, 2, at), Ok(()));
    }

    #[test]
    fn a_try_that_never_ends_is_not_waited_for_for_ever() {
        let health = SenderBreakers::default();
        fail(&health, 5, now());
        let at = now() + SenderBreakers::FIRST_PAUSE;
        assert_eq!(begin(&health, 2, at), Ok(()));
        assert!(!health.is_available(
            sender("a"),
            to(1).account,
            at + SenderBreakers::PROBE.mul_f64(0.9)
        ));
        assert_eq!(begin(&health, 2, at + SenderBreakers::PROBE), Ok(()));
    }

    #[test]
    fn nobody_waits_for_longer_than_a_minute_because_a_sender_asks_for_more() {
        let health = SenderBreakers::default();
        for number in 0..3 {
            let hour = Some(Duration::from_hours(1));
            health.failed(sender("a"), &to(number), FailureScope::Overload, hour, now());
        }
        let until = now() + SenderBreakers::LONGEST_PAUSE;
        assert_eq!(begin(&health, 9, now()), Err(NotNow::Open(until)));
        assert_eq!(begin(&health, 9, until), Ok(()));
    }

    #[test]
    fn one_recipient_has_one_try_under_way() {
        let health = SenderBreakers::default();
        let first = health.begin(sender("a"), &to(1), now()).unwrap();
        let again = now() + LOOKS_AGAIN;
        assert_eq!(begin(&health, 1, now()), Err(NotNow::Busy(again)));
        assert_eq!(begin(&health, 2, now()), Ok(()));
        let other = health.begin(sender("b"), &to(1), now());
        assert!(other.is_ok(), "another sender is not concerned");
        drop(first);
        assert_eq!(begin(&health, 1, now()), Ok(()));
    }
}
