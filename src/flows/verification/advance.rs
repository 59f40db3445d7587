//! Goes on with a verification's plan: when its caller says so, or when the next step is due.

use super::{Found, Which, find};
use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{SendingOutcome, Verification};
use crate::flows::code::{SendOrder, next_code, put_verification, send};
use crate::flows::fraud::SendPermit;
use crate::flows::outbox::commit_and_ring;
use crate::flows::{Error, retry_on_conflict};
use crate::store::keys::{self, Key};
use crate::store::records::{self, VerificationTimer};
use crate::store::{self, Batch, Scan};

/// Takes the next step of its plan now.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::VerificationApproved`], [`Refusal::NoStepLeft`], [`Refusal::NoSenderFor`],
/// [`Refusal::Blocked`], [`Refusal::LandlineSms`], [`Error::Failed`].
pub async fn advance(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: VerificationSid,
) -> Result<Verification, Error> {
    retry_on_conflict(|| async {
        let now = app.clock.now();
        let found = find(app, account, service, &Which::Sid(sid), now).await?;
        let mut verification = found.verification.record.clone();
        let (batch, admission) = take_step(app, &mut verification, &found, now).await?;
        commit(app, &found, &verification, now, batch).await?;
        admission.commit(sid);
        Ok(verification)
    })
    .await
}

/// Takes all steps that are due. Returns when the next one is, if there is one.
///
/// # Errors
/// The last [`Error::Failed`]; a step that cannot be taken keeps no other one
/// waiting.
pub async fn advance_due(app: &App) -> Result<Option<Timestamp>, Error> {
    let (mut after, mut failed, mut taken) = (None, None, false);
    loop {
        let scan = Scan {
            prefix: keys::verification_timers(),
            after: after.take(),
            order: store::Order::Ascending,
            limit: CHUNK,
        };
        let timers = app.store.scan(scan).await?;
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

async fn take_due(app: &App, key: &Key<VerificationTimer>, due: Timestamp) -> Result<(), Error> {
    let Some(timer) = records::read(app.store.as_ref(), key).await? else {
        return Ok(());
    };
    let drop_timer = Batch::new().assert_read(key, &timer).delete(key.bytes().to_vec());
    let VerificationTimer {
        account,
        service,
        verification,
    } = timer.record;
    let now = app.clock.now();
    let found = match find(app, account, service, &Which::Sid(verification), now).await {
        Ok(found) => found,
        // It was deleted with its service, or is over for long.
        Err(Error::Refused(_)) => return Ok(app.store.commit(drop_timer).await?),
        Err(error) => return Err(error),
    };
    let before = &found.verification.record;
    if before.next_step_at != Some(due) || !before.is_pending(now) {
        return Ok(app.store.commit(drop_timer).await?);
    }
    let mut verification = before.clone();
    let (batch, admission) = match take_step(app, &mut verification, &found, now).await {
        Ok((batch, admission)) => (batch, Some(admission)),
        Err(Error::Refused(refusal)) => {
            tracing::warn!(
                verification.sid = %before.sid,
                "a step of the plan of verification {} was passed over: {refusal}",
                before.sid
            );
            pass_step(&mut verification, now)?;
            (found.batch(), None)
        }
        Err(error) => return Err(error),
    };
    let batch = batch.assert_read(key, &timer);
    commit(app, &found, &verification, now, batch).await?;
    if let Some(admission) = admission {
        admission.commit(verification.sid);
    }
    Ok(())
}

/// Sends what the next step of the plan says.
async fn take_step(
    app: &App,
    verification: &mut Verification,
    found: &Found,
    now: Timestamp,
) -> Result<(Batch, SendPermit), Error> {
    let step = verification.require_step(now)?;
    let order = SendOrder {
        channel: step.channel,
        new_code: next_code(app, verification, step.channel, None, now)?,
        risk_check: true,
        service: &found.service.record,
    };
    send(app, verification, order, now, found.batch()).await
}

/// Goes on without sending: what is refused now must not be tried for ever.
fn pass_step(verification: &mut Verification, now: Timestamp) -> Result<(), Refusal> {
    let step = verification.require_step(now)?;
    let position = u8::try_from(verification.sends.len()).unwrap_or(u8::MAX);
    verification.record_send(step.channel, None, now);
    verification.note_outcome(position, SendingOutcome::Unavailable, now);
    Ok(())
}

async fn commit(
    app: &App,
    found: &Found,
    verification: &Verification,
    now: Timestamp,
    batch: Batch,
) -> Result<(), Error> {
    let mut record = found.destination.record();
    if record.last.is_none_or(|last| last == verification.sid) {
        record.name_last(verification.sid, verification.kept_until());
    }
    let batch = found.destination.put(batch, verification, &record, now)?;
    let batch = put_verification(batch, Some(&found.verification.record), verification)?;
    Ok(commit_and_ring(app, batch).await?)
}

const CHUNK: usize = 100;
