//! Checking a code: whether one is evaluated now, and what its verdict changes.
//!
//! Comparing codes is the caller's part, who can open them. Whoever asks for a verdict commits what follows from it, with the
//! version of the record that it rests on asserted; until then it means nothing.

use super::availability::Possible;
use super::{Check, Ending, Exhaustion, IssuedCode, Refusal, Verification, VerificationStatus};
use crate::domain::opaque::Sealed;
use crate::domain::time::Timestamp;

/// What is kept of a code that was given.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// What was given, sealed for the verification's key; kept if the policy says so.
    pub sealed: Option<Sealed>,
    /// From which address.
    pub ip: Option<String>,
}

impl Verification {
    /// The code that is compared with what is given now.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it is over, [`Refusal::TooManyChecks`], [`Refusal::TooSoon`], [`Refusal::NoCodeSent`],
    /// [`Refusal::CodeExpired`].
    pub fn require_checkable(&self, now: Timestamp) -> Result<&IssuedCode, Refusal> {
        self.require_open(now)?;
        let code = self.codes.last().ok_or(Refusal::NoCodeSent)?;
        // The limit comes first: whoever is past it learns nothing of the code, not even that it is over.
        match self.check_wait(code, now) {
            Possible::Never => Err(self.too_many_checks(now)),
            Possible::At(moment) if moment > now => Err(Refusal::TooSoon {
                retry_after: moment.since(now),
            }),
            Possible::At(_) if now >= code.expires_at => Err(Refusal::CodeExpired),
            Possible::At(_) => Ok(code),
        }
    }

    /// Whether anything that is given is looked at, a code or nothing.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it is over, [`Refusal::TooManyChecks`] while its wrong codes are used up.
    pub fn require_open(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.status(now) {
            VerificationStatus::Pending => Ok(()),
            VerificationStatus::MaxAttemptsReached if now < self.expires_at => Err(self.too_many_checks(now)),
            VerificationStatus::Approved
            | VerificationStatus::Canceled
            | VerificationStatus::Expired
            | VerificationStatus::MaxAttemptsReached => Err(Refusal::NotFound),
        }
    }

    /// Takes in the verdict on a code that [`Verification::require_checkable`] let through.
    pub fn settle_check(&mut self, right: bool, submission: Submission, now: Timestamp) {
        self.checks.push(Check {
            at: now,
            right,
            submitted: submission.sealed.filter(|_| self.policy.keeps_submitted),
            ip: submission.ip,
        });
        if self.checks.len() > Self::MOST_CHECKS {
            self.checks.remove(0);
        }
        self.date_updated = now;
        if right {
            self.close(Ending::Approved, now);
            return;
        }
        if let Some(code) = self.codes.last_mut() {
            code.failures = code.failures.saturating_add(1);
        }
        let used_up = self.checks_used() >= self.policy.max_checks;
        if used_up && self.policy.exhaustion != Exhaustion::AwaitsCode {
            // Its time stays what it is: that is how long it is in the way.
            self.close(Ending::MaxAttemptsReached, now);
        } else {
            self.settle_times(now);
        }
    }

    /// Whether it was approved and goes on saying so to every further check: its rules ask for that, and nothing is looked at.
    #[must_use]
    pub fn stays_approved(&self) -> bool {
        !self.policy.single_use && self.end.is_some_and(|end| end.how == Ending::Approved)
    }

    /// Whether nothing else may begin for its destination, until its time is over.
    #[must_use]
    pub fn blocks(&self, now: Timestamp) -> bool {
        self.status(now) == VerificationStatus::MaxAttemptsReached
            && self.policy.exhaustion == Exhaustion::Blocks
            && now < self.expires_at
            && !self.is_from_later(now)
    }

    pub(super) fn too_many_checks(&self, now: Timestamp) -> Refusal {
        Refusal::TooManyChecks {
            retry_after: self.expires_at.since(now),
        }
    }
}
