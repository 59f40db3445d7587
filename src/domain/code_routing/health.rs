//! How the senders of codes do, as far as this process has seen: a circuit for each, which opens when a sender fails
//! several times in a row.
//!
//! While it is open nothing is given to the sender. After a pause one code is tried with it (half-open): if that goes
//! well the circuit is closed again, otherwise the next pause is twice as long.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::sender_name::SenderName;
use crate::domain::time::Timestamp;

/// How all senders do. One that is not named does well.
#[derive(Debug, Default)]
pub struct SenderHealth(Mutex<HashMap<SenderName, Circuit>>);

/// How one sender does.
#[derive(Debug, Default)]
struct Circuit {
    /// How often it failed in a row.
    failures: u32,
    /// How often its circuit was opened in a row.
    pauses: u32,
    /// From when on it may be tried again, once its circuit was opened.
    resume_at: Option<Timestamp>,
    /// Until when a try that is under way is waited for.
    probe_until: Option<Timestamp>,
}

/// Whether a code may be given to a sender now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Go,
    /// The sender is left alone until then.
    LeftAlone(Timestamp),
}

impl SenderHealth {
    /// After so many failures in a row a circuit opens. One that fails now and then is no reason.
    pub const FAILURES_UNTIL_OPEN: u32 = 5;
    /// The first pause.
    pub const FIRST_PAUSE: Duration = Duration::from_secs(5);
    /// The longest pause: within the life of a code each sender is tried several times.
    pub const LONGEST_PAUSE: Duration = Duration::from_mins(1);
    /// How long a single try is waited for.
    pub const PROBE: Duration = Duration::from_secs(30);

    /// Whether `sender` is to be given something new at `now`. This asks for nothing: [`SenderHealth::begin`] does.
    #[must_use]
    pub fn is_available(&self, sender: SenderName, now: Timestamp) -> bool {
        self.circuits()
            .get(&sender)
            .is_none_or(|circuit| circuit.left_alone_until(now).is_none())
    }

    /// Asks to give a code to `sender` at `now`. Of those who ask while the circuit is half-open one may.
    pub fn begin(&self, sender: SenderName, now: Timestamp) -> Admission {
        let mut circuits = self.circuits();
        let Some(circuit) = circuits.get_mut(&sender) else {
            return Admission::Go;
        };
        if let Some(until) = circuit.left_alone_until(now) {
            return Admission::LeftAlone(until);
        }
        if circuit.resume_at.is_some() {
            circuit.probe_until = Some(now + Self::PROBE);
        }
        Admission::Go
    }

    /// The sender took a code, or refused one for a reason of that code: it works. Whether that closed its circuit.
    pub fn answered(&self, sender: SenderName) -> bool {
        let circuit = self.circuits().remove(&sender);
        circuit.is_some_and(|circuit| circuit.resume_at.is_some())
    }

    /// The sender failed. Whether that opened its circuit, which was closed before.
    pub fn failed(&self, sender: SenderName, now: Timestamp) -> bool {
        let mut circuits = self.circuits();
        let circuit = circuits.entry(sender).or_default();
        circuit.failures = circuit.failures.saturating_add(1);
        if circuit.failures < Self::FAILURES_UNTIL_OPEN {
            return false;
        }
        let first = circuit.resume_at.is_none();
        // Those that were under way together and fail together are one reason for one pause.
        if circuit.resume_at.is_none_or(|at| at <= now) {
            let longer = Self::FIRST_PAUSE * (1 << circuit.pauses.min(10));
            circuit.resume_at = Some(now + longer.min(Self::LONGEST_PAUSE));
            circuit.pauses = circuit.pauses.saturating_add(1);
        }
        circuit.probe_until = None;
        first
    }

    /// The senders that are left alone at `now`.
    #[must_use]
    pub fn left_alone(&self, now: Timestamp) -> Vec<SenderName> {
        let circuits = self.circuits();
        let open = circuits
            .iter()
            .filter(|(_, circuit)| circuit.left_alone_until(now).is_some());
        open.map(|(sender, _)| *sender).collect()
    }

    fn circuits(&self) -> MutexGuard<'_, HashMap<SenderName, Circuit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Circuit {
    fn left_alone_until(&self, now: Timestamp) -> Option<Timestamp> {
        let resume_at = self.resume_at?;
        let probe = self.probe_until.filter(|until| *until > now);
        // Who waits for a try looks again soon: it rarely takes as long as it may.
        let looks_again = probe.map(|until| until.min(now + SOON));
        looks_again.or(Some(resume_at).filter(|at| *at > now))
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

    fn fail(health: &SenderHealth, times: u32, at: Timestamp) -> u32 {
        let opened = |_| u32::from(health.failed(sender("a"), at));
        (0..times).map(opened).sum()
    }

    #[test]
    fn a_circuit_opens_behind_several_failures_in_a_row_only() {
        let health = SenderHealth::default();
        for _ in 0..10 {
            assert_eq!(fail(&health, 4, now()), 0);
            assert!(health.is_available(sender("a"), now()));
            assert!(!health.answered(sender("a")));
        }
        assert_eq!(fail(&health, 40, now()), 1);
        assert!(!health.is_available(sender("a"), now()));
        assert!(health.is_available(sender("b"), now()));
        assert_eq!(health.left_alone(now()), [sender("a")]);
        let until = now() + SenderHealth::FIRST_PAUSE;
        assert_eq!(health.begin(sender("a"), now()), Admission::LeftAlone(until));
    }

    #[test]
    fn behind_the_pause_one_code_is_tried_and_what_becomes_of_it_decides() {
        let health = SenderHealth::default();
        fail(&health, 5, now());
        let mut at = now();
        for pause in [5, 10, 20, 40, 60, 60] {
            let before = at + Duration::from_secs(pause - 1);
            assert!(matches!(
                health.begin(sender("a"), before),
                Admission::LeftAlone(_)
            ));
            at = at + Duration::from_secs(pause);
            assert_eq!(health.begin(sender("a"), at), Admission::Go);
            let soon = at + Duration::from_secs(1);
            assert_eq!(health.begin(sender("a"), at), Admission::LeftAlone(soon));
            assert!(!health.is_available(sender("a"), at));
            assert_eq!(fail(&health, 1, at), 0, "it is said once");
        }
        at = at + Duration::from_mins(1);
        assert_eq!(health.begin(sender("a"), at), Admission::Go);
        assert!(health.answered(sender("a")));
        assert_eq!(health.begin(sender("a"), at), Admission::Go);
        assert_eq!(health.begin(sender("a"), at), Admission::Go);
    }

    #[test]
    fn a_try_that_never_ends_is_not_waited_for_for_ever() {
        let health = SenderHealth::default();
        fail(&health, 5, now());
        let at = now() + SenderHealth::FIRST_PAUSE;
        assert_eq!(health.begin(sender("a"), at), Admission::Go);
        assert!(!health.is_available(sender("a"), at + SenderHealth::PROBE.mul_f64(0.9)));
        assert_eq!(health.begin(sender("a"), at + SenderHealth::PROBE), Admission::Go);
    }
}
