//! The ways a verification ends, and how long it can be seen after that.

use super::availability::seconds;
use super::{End, Ending, Refusal, SessionLife, Verification, VerificationStatus};
use crate::domain::time::Timestamp;

impl Verification {
    /// Ends it because its owner does not want it any more.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] unless it is pending or in the way of others, [`Refusal::NotCancellableYet`],
    /// [`Refusal::NoStepLeft`] if it can only be canceled while steps of its plan are left.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if self.unblock(now) {
            return Ok(());
        }
        self.require_pending(now)?;
        let from = self.date_created + seconds(self.policy.min_cancel_age);
        // One that was created far in the future was so by a clock that was set back since.
        if now < from && !self.date_created.was_set_back(now) {
            return Err(Refusal::NotCancellableYet {
                retry_after: from.since(now),
            });
        }
        if self.policy.cancel_needs_step && self.next_step().is_none() {
            return Err(Refusal::NoStepLeft);
        }
        self.close(Ending::Canceled, now);
        Ok(())
    }

    /// Ends it because the operator says so, whatever its rules say of when it may be canceled.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] unless it is pending or in the way of others.
    pub fn withdraw(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if !self.unblock(now) {
            self.require_pending(now)?;
            self.close(Ending::Canceled, now);
        }
        Ok(())
    }

    /// Takes it out of the way if its wrong codes are used up and nothing else may begin for its destination: it was canceled
    /// after all. Whether it was in the way.
    pub fn unblock(&mut self, now: Timestamp) -> bool {
        let blocks = self.blocks(now);
        if blocks {
            self.end = Some(End {
                how: Ending::Canceled,
                at: now,
            });
            self.date_updated = now;
        }
        blocks
    }

    /// Ends it because its owner says that the code was right, or because the network said whose the number is.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] unless it is pending.
    pub fn approve(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.require_pending(now)?;
        self.close(Ending::Approved, now);
        Ok(())
    }

    /// Ends it because another one takes its place.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] unless it is pending.
    pub fn replace(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.require_pending(now)?;
        self.close(Ending::Replaced, now);
        Ok(())
    }

    /// Until when it can be fetched; `None` while it never ends.
    #[must_use]
    pub fn kept_until(&self) -> Option<Timestamp> {
        let retention = seconds(self.policy.retention);
        match self.end {
            // One that is in the way of others stays until it is not.
            Some(end) if end.how == Ending::MaxAttemptsReached && self.ends_by_itself() => {
                Some(self.expires_at.max(end.at + retention))
            }
            Some(end) => Some(end.at + retention),
            None => self.ends_by_itself().then(|| self.expires_at + retention),
        }
    }

    /// Whether it can be fetched at `now`.
    #[must_use]
    pub fn is_kept(&self, now: Timestamp) -> bool {
        self.kept_until().is_none_or(|until| now < until)
    }

    /// Writes the end down, once: but for [`unblock`](Self::unblock), an end never gives way to another.
    pub(super) fn close(&mut self, how: Ending, now: Timestamp) {
        if self.end.is_none() {
            self.end = Some(End { how, at: now });
            self.next_step_at = None;
            self.date_updated = now;
        }
    }

    fn ends_by_itself(&self) -> bool {
        self.policy.session_life != SessionLife::Endless
    }

    fn require_pending(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.status(now) {
            VerificationStatus::Pending => Ok(()),
            VerificationStatus::Approved
            | VerificationStatus::Canceled
            | VerificationStatus::Expired
            | VerificationStatus::MaxAttemptsReached => Err(Refusal::NotFound),
        }
    }
}
