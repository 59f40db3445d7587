//! Goes on with a verification's plan: when its caller says so, or when the next step is due.

use super::{FoundVerification, Scope, VerificationName, find, put_destination};
use crate::app::App;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{Refusal, SendingOutcome, Verification};
use crate::flows::code::{Outgoing, SendOrder, next_code, put_verification, send};
use crate::flows::reading::{NotRead, Reading};
use crate::flows::{Error, Fault, retry_on_conflict};
use crate::store::keys::{self, Key};
use crate::store::records::VerificationTimer;
use crate::store::{self, Batch, Scan};

/// Takes the next step of its plan now.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Approved`], [`Refusal::NoStepLeft`], [`Refusal::NoSender`], [`Refusal::Blocked`],
/// [`Refusal::LandlineSms`], [`Error::Failed`].
pub async fn advance(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: VerificationSid,
) -> Result<Verification, Error<Refusal>> {
    let scope = Scope { account, service };
    retry_on_conflict(|| async {
        let now = app.clock.now();
        let mut reading = Reading::new(app);
        let found = find(&mut reading, scope, &VerificationName::Sid(sid), now).await?;
        let mut verification = found.verification.clone();
        let outgoing = take_step(app, &mut reading, &mut verification, &found, now).await?;
        commit(reading, &found, &verification, now, outgoing.batch).await?;
        outgoing.permit.commit(sid);
        Ok(verification)
    })
    .await
}

/// Takes all steps that are due. Returns when the next one is, if there is one.
///
/// # Errors
/// The last [`Fault`]; a step that cannot be taken keeps no other one waiting.
pub async fn advance_due(app: &App) -> Result<Option<Timestamp>, Fault> {
    let (mut after, mut failed, mut taken) = (None, None, false);
    loop {
        let scan = Scan {
            prefix: keys::verification_timers(),
            after: after.take(),
            order: store::Order::Ascending,
            limit: CHUNK,
        };
        let timers = Reading::new(app).scan(scan).await?;
        for (key, _) in &timers {
            let Some(keys::KeyParts::VerificationTimer(due, sid)) = keys::KeyParts::parse(key) else {
                continue;
            };
            if due > app.clock.now() {
                return failed.map_or(Ok(Some(due)), Err);
            }
            let key = keys::verification_timer(due, sid);
            match retry_on_conflict(|| take_due(app, &key, due)).await {
                Ok(()) => taken = true,
                Err(error) => failed = Some(error),
            }
        }
        match timers.last() {
            Some((key, _)) if timers.len() == CHUNK => after = Some(key.clone()),
            // A step that was taken has set the timer of the next one: from the beginning.
            _ if std::mem::take(&mut taken) => {}
            _ => return failed.map_or(Ok(None), Err),
        }
    }
}

async fn take_due(app: &App, key: &Key<VerificationTimer>, due: Timestamp) -> Result<(), Fault> {
    let mut reading = Reading::new(app);
    let Some(timer) = reading.get(key).await? else {
        return Ok(());
    };
    let taken = Batch::new().delete(key.bytes().to_vec());
    let scope = Scope {
        account: timer.account,
        service: timer.service,
    };
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
        Err(NotRead::Absent) => return reading.commit(taken).await,
        Err(NotRead::Failed(fault)) => return Err(fault),
    };
    let before = &found.verification;
    if before.next_step_at != Some(due) || !before.is_pending(now) {
        return reading.commit(taken).await;
    }
    let mut verification = before.clone();
    let (batch, permit) = match take_step(app, &mut reading, &mut verification, &found, now).await {
        Ok(Outgoing { batch, permit }) => (batch, Some(permit)),
        Err(Error::Refused(refusal)) => {
            tracing::warn!(
                verification.sid = %before.sid,
                "a step of the plan of verification {} was passed over: {refusal}",
                before.sid
            );
            pass_step(&mut verification, now);
            (Batch::new(), None)
        }
        Err(Error::Failed(fault)) => return Err(fault),
    };
    commit(reading, &found, &verification, now, batch).await?;
    if let Some(permit) = permit {
        permit.commit(verification.sid);
    }
    Ok(())
}

/// Sends what the next step of the plan says.
async fn take_step<'a>(
    app: &'a App,
    reading: &mut Reading<'_>,
    verification: &mut Verification,
    found: &FoundVerification,
    now: Timestamp,
) -> Result<Outgoing<'a>, Error<Refusal>> {
    let step = verification.require_step(now)?;
    let order = SendOrder {
        preferred: None,
        channel: step.channel,
        new_code: next_code(app, verification, step.channel, None, now)?,
        risk_check: true,
        service: &found.service,
    };
    send(app, reading, verification, order, now, Batch::new()).await
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

async fn commit(
    reading: Reading<'_>,
    found: &FoundVerification,
    verification: &Verification,
    now: Timestamp,
    batch: Batch,
) -> Result<(), Fault> {
    let before = found.destination.as_ref();
    let mut record = before.cloned().unwrap_or_default();
    if record.last.is_none_or(|last| last == verification.sid) {
        record.name_last(verification.sid, verification.kept_until());
    }
    let batch = put_destination(batch, verification, before, &record, now)?;
    let batch = put_verification(batch, Some(&found.verification), verification)?;
    reading.commit(batch).await
}

const CHUNK: usize = 100;
