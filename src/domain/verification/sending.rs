//! Sending a verification's code: whether that may be done, which code it is, and what it changes.

use super::availability::{Possible, seconds};
use super::{
    CodeReuse, IssuedCode, PlanStep, Refusal, Sending, SendingOutcome, SessionLife, Try, Verification,
    VerificationStatus,
};
use crate::domain::channel::Channel;
use crate::domain::opaque::Sealed;
use crate::domain::sid::AttemptSid;
use crate::domain::time::Timestamp;

/// A code that was just made.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// The code, sealed for the verification's key.
    pub sealed: Sealed,
    /// How many characters it has.
    pub length: u8,
}

impl Verification {
    /// Whether the caller may have it sent over `channel` now.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it is over, [`Refusal::Approved`], [`Refusal::TooManySends`],
    /// [`Refusal::TooSoon`].
    pub fn require_sendable(&self, channel: Channel, now: Timestamp) -> Result<(), Refusal> {
        self.require_going_on(now)?;
        match self.next_send(channel, now) {
            Possible::Never => Err(Refusal::TooManySends {
                retry_after: self.expires_at.since(now),
            }),
            Possible::At(moment) if moment > now => Err(Refusal::TooSoon {
                retry_after: moment.since(now),
            }),
            Possible::At(_) => Ok(()),
        }
    }

    /// The next step of its plan, for whoever wants it now.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it is over, [`Refusal::Approved`], [`Refusal::NoStepLeft`].
    pub fn require_step(&self, now: Timestamp) -> Result<PlanStep, Refusal> {
        self.require_going_on(now)?;
        self.next_step().ok_or(Refusal::NoStepLeft)
    }

    /// Whether the next sending needs a new code: there is none that counts, or each sending has its own.
    #[must_use]
    pub fn needs_code(&self, channel: Channel, now: Timestamp) -> bool {
        let valid = self.codes.last().is_some_and(|code| now < code.expires_at);
        channel != Channel::Sna && (!valid || self.policy.reuse == CodeReuse::NewEachSend)
    }

    /// Makes what was proved so far, or could be with the codes that were sent, good for nothing: it was about something
    /// else than what is asked from `now` on.
    pub fn void_proofs(&mut self, now: Timestamp) {
        for code in &mut self.codes {
            code.expires_at = code.expires_at.min(now);
        }
        self.silent = None;
    }

    /// Notes that it is sent over `channel` now, with `new` as its code from now on or else with the one it has. Who sends it
    /// is noted by [`Verification::note_try`].
    pub fn record_send(&mut self, channel: Channel, new: Option<NewCode>, now: Timestamp) {
        if let Some(new) = new {
            self.push_code(new, now);
        }
        self.sends.push(Sending {
            channel,
            at: now,
            code: u8::try_from(self.codes.len().saturating_sub(1)).unwrap_or(u8::MAX),
            tries: Vec::new(),
            outcome: SendingOutcome::Counts,
        });
        self.date_updated = now;
        self.settle_times(now);
    }

    /// Notes that `new` is its code from now on, which goes to whoever wants the verification instead of its destination.
    pub fn record_issue(&mut self, new: NewCode, now: Timestamp) {
        self.push_code(new, now);
        self.date_updated = now;
        self.settle_times(now);
    }

    fn push_code(&mut self, new: NewCode, now: Timestamp) {
        let end = match self.policy.session_life {
            // What it is good for ends with the verification, whose end is known.
            SessionLife::Fixed(life) => self.date_created + seconds(life),
            _ => Timestamp::MAX,
        };
        self.codes.push(IssuedCode {
            sealed: new.sealed,
            length: new.length,
            issued_at: now,
            expires_at: end.min(now + seconds(self.policy.code_life)),
            failures: 0,
        });
    }

    /// The attempt that was made last, of whichever sending: each one's identifier is greater than all before it.
    #[must_use]
    pub fn last_attempt(&self) -> Option<AttemptSid> {
        let tries = self.sends.iter().flat_map(|send| &send.tries);
        tries.map(|tried| tried.attempt).max()
    }

    /// Notes with whom the last sending is tried.
    pub fn note_try(&mut self, attempt: Try) {
        if let Some(last) = self.sends.last_mut() {
            last.tries.push(attempt);
        }
    }

    /// Notes what became of a sending, as far as that changes what may be done next.
    pub fn note_outcome(&mut self, sending: u8, outcome: SendingOutcome, now: Timestamp) {
        if let Some(send) = self.sends.get_mut(usize::from(sending)) {
            send.outcome = outcome;
            self.date_updated = now;
            self.settle_times(now);
        }
    }

    /// Has its plan wait for its next step as if it began to wait now, if it counts from a moment that is far to come: the
    /// clock was set back since. Whether it does.
    pub fn wait_anew(&mut self, now: Timestamp) -> bool {
        let ends = self.step_wait().map(|wait| now + seconds(wait));
        let anew = self.is_pending(now)
            && ends
                .zip(self.next_step_at)
                .is_some_and(|(end, next)| next.was_set_back(end));
        if anew {
            self.date_updated = now;
            self.settle_times(now);
        }
        anew
    }

    /// How long its plan waits for its next step from the last one, in seconds.
    #[must_use]
    pub fn step_wait(&self) -> Option<u32> {
        let last = self.sends.len().checked_sub(1)?;
        self.policy.plan.get(last).map(|step| step.wait)
    }

    /// The step of its plan that comes next.
    pub(super) fn next_step(&self) -> Option<PlanStep> {
        self.policy.plan.get(self.sends.len()).copied()
    }

    fn require_going_on(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.status(now) {
            VerificationStatus::Pending => Ok(()),
            VerificationStatus::Approved => Err(Refusal::Approved),
            VerificationStatus::Canceled
            | VerificationStatus::Expired
            | VerificationStatus::MaxAttemptsReached => Err(Refusal::NotFound),
        }
    }
}
