//! How a verification begins.

use std::time::Duration;

use super::{CodePolicy, Content, Refusal, Verification};
use crate::domain::destination::Destination;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;

/// What a verification begins with.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Draft {
    pub sid: VerificationSid,
    /// The account that wants it.
    pub account: AccountSid,
    /// The service that it belongs to.
    pub service: ServiceSid,
    /// Where its codes go.
    pub destination: Destination,
    /// The rules it is played by.
    pub policy: CodePolicy,
    /// What its messages say besides the code.
    pub content: Content,
}

impl Verification {
    /// A new one. Nothing was sent yet.
    #[must_use]
    pub fn begin(draft: Draft, now: Timestamp) -> Self {
        let mut verification = Self {
            sid: draft.sid,
            account: draft.account,
            service: draft.service,
            destination: draft.destination,
            policy: draft.policy,
            content: draft.content,
            end: None,
            codes: Vec::new(),
            sends: Vec::new(),
            checks: Vec::new(),
            silent: None,
            date_created: now,
            date_updated: now,
            expires_at: now,
            next_step_at: None,
        };
        verification.settle_times(now);
        verification
    }

    /// Whether it was begun by a clock that was set back since: nothing waits for it to be over.
    #[must_use]
    pub fn is_from_later(&self, now: Timestamp) -> bool {
        self.date_created > now + LARGEST_CORRECTION
    }

    /// What it says to whoever wants to begin another one for its destination, whatever that one's rules are.
    ///
    /// # Errors
    /// [`Refusal::TooManyChecks`] if its wrong codes are used up, its time is not over, and its rules say that nothing
    /// else begins meanwhile.
    pub fn require_unblocked(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.blocks(now) {
            return Err(self.too_many_checks(now));
        }
        Ok(())
    }
}

/// What the keeping of time itself may set a clock back by.
const LARGEST_CORRECTION: Duration = Duration::from_mins(1);
