//! The records that a code leaves behind: its verification, with the timer of its plan, and an attempt for each try.

use crate::app::App;
use crate::delivery::codes::ConfiguredSender;
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::country::Country;
use crate::domain::sid::AttemptSid;
use crate::domain::time::Timestamp;
use crate::domain::verification::{Sending, Verification};
use crate::flows::Fault;
use crate::store::records::VerificationTimer;
use crate::store::{Batch, StoreError, keys};

/// One of the sendings of a verification.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendingAt<'a> {
    pub(crate) verification: &'a Verification,
    /// Where it stands among all of them.
    pub(crate) position: u8,
}

impl<'a> SendingAt<'a> {
    /// The one that was noted last.
    pub(super) fn last(verification: &'a Verification) -> Self {
        let position = u8::try_from(verification.sends.len().saturating_sub(1));
        Self {
            verification,
            position: position.unwrap_or(u8::MAX),
        }
    }

    fn sending(self) -> Result<&'a Sending, Fault> {
        let Self {
            verification,
            position,
        } = self;
        let missing = || {
            Fault::Corrupt(format!(
                "verification {} has no sending {position}",
                verification.sid
            ))
        };
        verification.sends.get(usize::from(position)).ok_or_else(missing)
    }
}

/// A try of a sending, which waits.
pub(crate) fn new_attempt(
    app: &App,
    of: SendingAt<'_>,
    sender: &ConfiguredSender,
    country: Option<Country>,
    now: Timestamp,
) -> Result<Attempt, Fault> {
    let (verification, sending) = (of.verification, of.sending()?);
    let code = verification.code_of(sending);
    Ok(Attempt {
        sid: AttemptSid::generate_after(verification.last_attempt(), now, app.sids.as_ref()),
        account: verification.account,
        service: verification.service,
        verification: verification.sid,
        channel: sending.channel,
        destination: verification.destination.clone(),
        country,
        locale: None,
        code_length: code.map_or(0, |code| code.length),
        sender: sender.name,
        status: AttemptStatus::Queued,
        converted_at: None,
        expires_at: code.map_or(verification.expires_at, |code| {
            code.expires_at.min(verification.expires_at)
        }),
        price: sender.price,
        reference: None,
        date_created: now,
        date_updated: now,
    })
}

/// Writes a new attempt into `batch`.
pub(crate) fn put_new_attempt(batch: Batch, attempt: &Attempt) -> Result<Batch, StoreError> {
    let key = keys::attempt(attempt.account, attempt.sid);
    batch.put_new_record_until(key, attempt, attempt.date_created + Attempt::RETENTION)
}

/// Writes an attempt that was read before into `batch`, changed at `now`.
pub(crate) fn put_attempt(batch: Batch, mut attempt: Attempt, now: Timestamp) -> Result<Batch, StoreError> {
    attempt.date_updated = now;
    let key = keys::attempt(attempt.account, attempt.sid);
    batch.put_record_until(key, &attempt, attempt.date_created + Attempt::RETENTION)
}

/// Writes a verification into `batch`, and moves the timer of its plan; `before` is what it was, if it was.
pub(crate) fn put_verification(
    batch: Batch,
    before: Option<&Verification>,
    after: &Verification,
) -> Result<Batch, StoreError> {
    let key = keys::verification(after.service, after.sid);
    let mut batch = match (before, after.kept_until()) {
        (None, Some(until)) => batch.put_new_record_until(key, after, until)?,
        (None, None) => batch.put_new_record(key, after)?,
        (Some(_), Some(until)) => batch.put_record_until(key, after, until)?,
        (Some(_), None) => batch.put_record(key, after)?,
    };
    let due_before = before.and_then(|before| before.next_step_at);
    if due_before == after.next_step_at {
        return Ok(batch);
    }
    if let Some(due) = due_before {
        batch = batch.delete(keys::verification_timer(due, after.sid).into_bytes());
    }
    if let Some(due) = after.next_step_at {
        let timer = VerificationTimer {
            account: after.account,
            service: after.service,
            verification: after.sid,
            wait: after.step_wait().unwrap_or(0),
        };
        batch = batch.put_record(keys::verification_timer(due, after.sid), &timer)?;
    }
    Ok(batch)
}
