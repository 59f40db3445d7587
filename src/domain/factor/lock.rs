//! What closes a factor for a while, so that whoever owns it can be told when it begins and when it is lifted.

use serde::{Deserialize, Serialize};

use super::{Factor, FactorKind, FactorStatus};
use crate::domain::limits::Failures;
use crate::domain::push_guard::{PauseReason, PushLimits};
use crate::domain::time::Timestamp;

/// Why a factor is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockReason {
    /// As many challenges of codes were created as may be in a while.
    Challenges,
    /// All codes that may be tried to prove the enrolment were wrong.
    Enrolment,
    /// Its holder was asked as often as may be without an approval.
    Pushes,
    /// Its holder says that somebody else asked.
    Report,
    /// Wrong codes in a row: each further one is followed by a delay.
    WrongCodes,
    /// Wrong numbers in a row.
    WrongNumbers,
}

impl LockReason {
    /// The name in events, such as `wrong_codes`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Challenges => "challenges",
            Self::Enrolment => "enrolment",
            Self::Pushes => "pushes",
            Self::Report => "report",
            Self::WrongCodes => "wrong_codes",
            Self::WrongNumbers => "wrong_numbers",
        }
    }
}

/// That a factor is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorLock {
    /// Why.
    pub reason: LockReason,
    /// When it is open again by itself; `None` if no waiting helps.
    pub until: Option<Timestamp>,
}

impl Factor {
    /// All that closes it at `now`. Wrong codes in a row do until the row ends, also between two delays.
    #[must_use]
    pub fn locks(&self, limits: &PushLimits, now: Timestamp) -> Vec<FactorLock> {
        let mut locks = Vec::new();
        let mut add = |reason, until| locks.push(FactorLock { reason, until });
        if self.failures.count() >= Failures::DELAYED_FROM {
            let delay = self.failures.delay(now).unwrap_or_default();
            add(LockReason::WrongCodes, Some(now + delay));
        }
        match &self.kind {
            FactorKind::Push(push) => {
                if let Some((until, why)) = push.guard.pause_at(now) {
                    let reason = match why {
                        PauseReason::Report => LockReason::Report,
                        PauseReason::WrongNumbers => LockReason::WrongNumbers,
                    };
                    add(reason, Some(until));
                }
                if let Some(until) = push.guard.spent_until(limits, now) {
                    add(LockReason::Pushes, Some(until));
                }
            }
            FactorKind::Totp(_) => {
                let wait = self.wait_for_challenge(now);
                if !wait.is_zero() {
                    add(LockReason::Challenges, Some(now + wait));
                }
                if let FactorStatus::Unverified { attempts } = self.status
                    && attempts >= Self::MAX_VERIFICATION_ATTEMPTS
                {
                    add(LockReason::Enrolment, None);
                }
            }
        }
        locks
    }

    /// Lifts all that wrong codes and challenges of codes closed: the account knows who its user is. What ended the factor
    /// for good stays, and so does which time steps were used.
    ///
    /// # Errors
    /// [`Refusal::Disabled`](super::Refusal::Disabled).
    pub fn forgive_codes(&mut self) -> Result<(), super::Refusal> {
        if self.status == FactorStatus::Disabled || self.failures.exhausted() {
            return Err(super::Refusal::Disabled);
        }
        self.failures.clear();
        self.challenge_creations = super::SlidingLog::default();
        if let FactorStatus::Unverified { attempts } = &mut self.status {
            *attempts = 0;
        }
        Ok(())
    }
}
