//! Goes on with the plans of verifications when their next steps are due.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::advance::{commit, take_step};
use super::{FoundVerification, Scope, VerificationName, find};
use crate::app::App;
use crate::domain::sid::{AccountSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{SendingOutcome, Verification};
use crate::flows::code::Outgoing;
use crate::flows::reading::{NotRead, Reading};
use crate::flows::timers::{self, Timer, Untaken};
use crate::flows::{Error, Fault, account, retry_on_conflict};
use crate::store::keys::{self, Key, KeyParts};
use crate::store::records::{self, VerificationTimer};
use crate::store::{Batch, Entry, Order, Scan};

/// What one process needs to know to keep all plans going.
#[derive(Debug, Default)]
pub struct PlanKeeper {
    /// When the plans were last looked at; `None` before the first time.
    looked: Option<Timestamp>,
}

impl PlanKeeper {
    /// Takes all steps that are due. Returns when the next one is, if there is one.
    ///
    /// If the clock was set back since the last time, or perhaps before the first one, plans that count from a moment that is
    /// still to come begin to wait anew, so that nobody waits for the length of that jump.
    ///
    /// # Errors
    /// The last [`Fault`]; a step that cannot be taken keeps no other one waiting.
    pub async fn go_on(&mut self, app: &App) -> Result<Option<Timestamp>, Fault> {
        let now = app.clock.now();
        let was_set_back = self.looked.is_none_or(|looked| looked.was_set_back(now));
        let set = if was_set_back {
            wait_anew(app).await
        } else {
            Ok(())
        };
        if set.is_ok() {
            self.looked = Some(now);
        }
        let next = advance_due(app).await?;
        set.map(|()| next)
    }
}

/// How many plans are set at a time.
const AT_ONCE: usize = 64;

/// How many timers are read at a time.
const CHUNK: usize = 1000;

/// Takes all steps that are due. Returns when the next one is, if there is one.
///
/// # Errors
/// As [`PlanKeeper::go_on`].
pub async fn advance_due(app: &App) -> Result<Option<Timestamp>, Fault> {
    let prefix = keys::verification_timers();
    timers::take_due(app, &prefix, read_timer, |(due, sid)| async move {
        let key = keys::verification_timer(due, sid);
        retry_on_conflict(app, || take_due(app, &key, due)).await
    })
    .await
}

fn read_timer(key: &[u8], entry: &Entry) -> Option<Timer<(Timestamp, VerificationSid)>> {
    let Some(KeyParts::VerificationTimer(due, sid)) = KeyParts::parse(key) else {
        return None;
    };
    let timer: Result<VerificationTimer, _> = records::decode(&entry.value);
    Some(Timer {
        due,
        // Whoever takes one that cannot be read says so.
        account: timer.map_or(AccountSid::from_bytes([0; 16]), |timer| timer.account),
        key: (due, sid),
    })
}

/// Takes one step. A full outbox takes no more of its account's messages: the step stays due, and is taken once when there is
/// room, unless the verification is over by then.
async fn take_due(app: &App, key: &Key<VerificationTimer>, due: Timestamp) -> Result<(), Untaken<Fault>> {
    let mut reading = Reading::new(app);
    let Some(timer) = reading.get(key).await? else {
        return Ok(());
    };
    let taken = Batch::new().delete(key.bytes().to_vec());
    let scope = scope_of(&timer);
    let now = app.clock.now();
    let found = match find(
        &mut reading,
        scope,
        &VerificationName::Sid(timer.verification),
        now,
    )
    .await
    {
        Ok(found) => found,
        // It was deleted with its service, or is over for long.
        Err(NotRead::Absent) => return Ok(reading.commit(taken).await?),
        Err(NotRead::Failed(fault)) => return Err(fault.into()),
    };
    let before = &found.verification;
    if before.next_step_at != Some(due) {
        return Ok(reading.commit(taken).await?);
    }
    if !before.is_pending(now) {
        return Ok(reading.commit(lay_aside(taken, &timer, before)?).await?);
    }
    let mut verification = before.clone();
    let outgoing = take_step_if_active(app, &mut reading, &mut verification, &found, now).await?;
    let (batch, permit) = if let Some(Outgoing { batch, permit }) = outgoing {
        (batch, Some(permit))
    } else {
        pass_step(&mut verification, now);
        (Batch::new(), None)
    };
    commit(reading, &found, &verification, now, batch).await?;
    if let Some(permit) = permit {
        permit.commit(verification.sid);
    }
    Ok(())
}

/// Sends what the next step says; `None` if that is refused, or the account is suspended: nothing leaves in its name, and
/// nothing is counted for it.
async fn take_step_if_active<'a>(
    app: &'a App,
    reading: &mut Reading<'_>,
    verification: &mut Verification,
    found: &FoundVerification,
    now: Timestamp,
) -> Result<Option<Outgoing<'a>>, Untaken<Fault>> {
    let sid = verification.sid;
    if !account::is_active(reading, verification.account).await? {
        tracing::info!(
            verification.sid = %sid,
            "a step of the plan of verification {sid} was passed over: its account is suspended"
        );
        return Ok(None);
    }
    match take_step(app, reading, verification, found, now).await {
        Ok(outgoing) => Ok(Some(outgoing)),
        Err(Error::Refused(refusal)) => {
            tracing::warn!(
                verification.sid = %sid,
                "a step of the plan of verification {sid} was passed over: {refusal}"
            );
            Ok(None)
        }
        Err(Error::Failed(Fault::OutboxFull)) => Err(Untaken::OfAccount(Fault::OutboxFull)),
        Err(Error::Failed(fault)) => Err(fault.into()),
    }
}

/// Sets the timer of a verification whose time is over to when nobody can fetch it any more: if it was a clock that had gone
/// too far, and is set back, [`PlanKeeper`] finds the timer by that and goes on.
fn lay_aside(batch: Batch, timer: &VerificationTimer, verification: &Verification) -> Result<Batch, Fault> {
    let Some(until) = verification.kept_until() else {
        return Ok(batch);
    };
    Ok(batch.put_record(keys::verification_timer(until, timer.verification), timer)?)
}

fn scope_of(timer: &VerificationTimer) -> Scope {
    Scope {
        account: timer.account,
        service: timer.service,
    }
}

/// Goes on without sending: what is refused now must not be tried for ever.
fn pass_step(verification: &mut Verification, now: Timestamp) {
    let Ok(step) = verification.require_step(now) else {
        return;
    };
    let position = u8::try_from(verification.sends.len()).unwrap_or(u8::MAX);
    verification.record_send(step.channel, None, now);
    verification.note_outcome(position, SendingOutcome::Unavailable, now);
}

/// Has all plans that count from a moment still to come begin to wait now.
///
/// # Errors
/// The last [`Fault`]; a plan that cannot be set keeps no other one waiting.
async fn wait_anew(app: &App) -> Result<(), Fault> {
    let (mut after, mut failed) = (None, None);
    loop {
        let scan = Scan {
            prefix: keys::verification_timers(),
            after: after.take(),
            order: Order::Ascending,
            limit: CHUNK,
        };
        let timers = Reading::new(app).scan_past(scan).await?;
        let now = app.clock.now();
        let ahead: Vec<_> = timers
            .iter()
            .filter_map(|(key, entry)| waits_from_later(key, entry, now))
            .collect();
        let set = ahead.into_iter().map(|(due, timer)| async move {
            retry_on_conflict(app, || wait_anew_once(app, due, &timer)).await
        });
        let mut set = stream::iter(set).buffer_unordered(AT_ONCE);
        while let Some(outcome) = set.next().await {
            failed = outcome.err().or(failed);
        }
        match timers.last() {
            Some((key, _)) if timers.len() == CHUNK => after = Some(key.clone()),
            _ => return failed.map_or(Ok(()), Err),
        }
    }
}

/// The timer, and when it is due, if its wait begins so much later than `now` that the clock was set back.
fn waits_from_later(key: &[u8], entry: &Entry, now: Timestamp) -> Option<(Timestamp, VerificationTimer)> {
    let Some(KeyParts::VerificationTimer(due, _)) = KeyParts::parse(key) else {
        return None;
    };
    let timer: VerificationTimer = records::decode(&entry.value).ok()?;
    let ends = now + Duration::from_secs(timer.wait.into());
    due.was_set_back(ends).then_some((due, timer))
}

async fn wait_anew_once(app: &App, due: Timestamp, timer: &VerificationTimer) -> Result<(), Fault> {
    let mut reading = Reading::new(app);
    let now = app.clock.now();
    let which = VerificationName::Sid(timer.verification);
    let found = match find(&mut reading, scope_of(timer), &which, now).await {
        Ok(found) => found,
        Err(NotRead::Absent) => return Ok(()),
        Err(NotRead::Failed(fault)) => return Err(fault),
    };
    let mut verification = found.verification.clone();
    let waits_anew = verification.wait_anew(now);
    let step = verification.next_step_at.filter(|_| verification.is_pending(now));
    let mut batch = Batch::new();
    if let Some(step) = step
        && found.verification.next_step_at != Some(due)
    {
        // It was laid aside.
        batch = batch.delete(keys::verification_timer(due, timer.verification).into_bytes());
        if !waits_anew {
            batch = batch.put_record(keys::verification_timer(step, timer.verification), timer)?;
        }
    } else if !waits_anew {
        return Ok(());
    }
    commit(reading, &found, &verification, now, batch).await
}
