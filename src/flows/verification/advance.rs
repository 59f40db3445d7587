//! Goes on with a verification's plan when its caller says so.

use std::sync::OnceLock;

use super::{FoundVerification, Scope, VerificationName, find, put_destination};
use crate::app::App;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{Refusal, Verification};
use crate::flows::code::{Outgoing, SendOrder, next_code, put_verification, send};
use crate::flows::outbox::require_room;
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault, retry_on_conflict};
use crate::store::Batch;

/// Takes the next step of its plan now. If somebody else does that at the same moment, it is taken once.
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
    let taken_before = OnceLock::new();
    retry_on_conflict(app, || async {
        let now = app.clock.now();
        let mut reading = Reading::new(app);
        let found = find(&mut reading, scope, &VerificationName::Sid(sid), now).await?;
        // Whoever took the step that this caller saw, it was taken; the one behind it is nobody's wish.
        if found.verification.sends.len() > *taken_before.get_or_init(|| found.verification.sends.len()) {
            return Ok(found.verification);
        }
        let mut verification = found.verification.clone();
        let outgoing = take_step(app, &mut reading, &mut verification, &found, now).await?;
        commit(reading, &found, &verification, now, outgoing.batch).await?;
        outgoing.permit.commit(sid);
        Ok(verification)
    })
    .await
}

/// Sends what the next step of the plan says.
///
/// # Errors
/// As [`advance`], [`Fault::OutboxFull`] while the account's messages wait for their senders.
pub(super) async fn take_step<'a>(
    app: &'a App,
    reading: &mut Reading<'_>,
    verification: &mut Verification,
    found: &FoundVerification,
    now: Timestamp,
) -> Result<Outgoing<'a>, Error<Refusal>> {
    let step = verification.require_step(now)?;
    require_room(app, verification.account).await?;
    let order = SendOrder {
        preferred: None,
        channel: step.channel,
        new_code: next_code(app, verification, step.channel, None, now)?,
        risk_check: true,
        service: &found.service,
    };
    send(app, reading, verification, order, now, Batch::new()).await
}

pub(super) async fn commit(
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
