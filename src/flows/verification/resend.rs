//! Sends the code of a verification that its caller names.

use super::{FoundVerification, Scope, VerificationName, find_to};
use crate::app::App;
use crate::domain::channel::Channel;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{Content, Refusal, SendingOutcome, Verification};
use crate::flows::code::{Outgoing, SendOrder, keys_to_send, next_code, put_verification, send};
use crate::flows::outbox::require_room;
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, Fault, retry_on_conflict};
use crate::store::Batch;

/// A sending that is asked for.
#[derive(Clone, Debug)]
pub struct Resend {
    /// Over which channel.
    pub channel: Channel,
    /// What the message says besides the code, from now on.
    pub content: Content,
    /// Whether it is looked at for fraud.
    pub risk_check: bool,
    /// The sender that the caller would like, by its name. Where none of this name can take it, another one does.
    pub sender: Option<String>,
}

/// Sends the code of a verification, a new one if its rules want that. That a number takes no text messages is noted, so that
/// it may be called at once.
///
/// # Errors
/// [`Refusal::NotFound`] unless it waits, [`Refusal::Approved`], [`Refusal::Unwritable`], [`Refusal::DestinationUnfit`],
/// [`Refusal::TooManySends`], [`Refusal::TooSoon`], [`Refusal::NoSender`], [`Refusal::Blocked`],
/// [`Refusal::LandlineSms`], [`Error::Failed`].
pub async fn resend(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    service: ServiceSid,
    verification: VerificationSid,
    wanted: &Resend,
) -> Result<Verification, Error<Refusal>> {
    let Admitted {
        who: account,
        mut prior,
    } = account.into();
    let scope = Scope { account, service };
    let which = VerificationName::Sid(verification);
    retry_on_conflict(app, || attempt(app, prior.reading(app), scope, &which, wanted)).await
}

async fn attempt(
    app: &App,
    mut reading: Reading<'_>,
    scope: Scope,
    which: &VerificationName,
    wanted: &Resend,
) -> Result<Verification, Error<Refusal>> {
    let now = app.clock.now();
    let FoundVerification {
        service,
        verification: before,
        ..
    } = find_to(&mut reading, scope, which, now, |found| {
        keys_to_send(app, scope.account, scope.service, &found.destination)
    })
    .await?;
    let mut verification = before.clone();
    verification.require_sendable(wanted.channel, now)?;
    let (to_send, batch) = (&mut verification, Batch::new());
    let sent = send_within(app, &mut reading, &service, to_send, wanted, batch).await;
    let Outgoing { batch, permit } = match sent {
        Ok(outgoing) => outgoing,
        Err(Error::Refused(refusal)) => {
            note_refused(reading, before, wanted.channel, &refusal, now).await?;
            return Err(refusal.into());
        }
        Err(failed) => return Err(failed),
    };
    let batch = put_verification(batch, Some(&before), &verification)?;
    reading.commit(batch).await?;
    permit.commit(verification.sid);
    Ok(verification)
}

/// Adds to `batch` what sends the code of `verification`, a new one if its rules want that, and notes the sending in the
/// verification. Whoever commits the batch writes that, too, and commits the permit then. What [`keys_to_send`] names is read one
/// by one unless it was read before.
///
/// # Errors
/// As [`resend`], but for what only depends on the verification.
pub(crate) async fn send_within<'a>(
    app: &'a App,
    reading: &mut Reading<'_>,
    service: &Service,
    verification: &mut Verification,
    wanted: &Resend,
    batch: Batch,
) -> Result<Outgoing<'a>, Error<Refusal>> {
    let now = app.clock.now();
    require_room(app, service.account).await?;
    if !verification.destination.fits(wanted.channel) {
        return Err(Refusal::DestinationUnfit.into());
    }
    let templates = &app.policy.templates;
    let content = service
        .settings
        .complete(wanted.content.clone(), wanted.channel, templates);
    let length = verification.policy.code_length.get();
    content
        .require_writable(wanted.channel, &"0".repeat(length.into()), templates)
        .map_err(|why| Refusal::Unwritable { why })?;
    verification.content = content;
    let new_code = next_code(app, verification, wanted.channel, None, now)?;
    let order = SendOrder {
        channel: wanted.channel,
        new_code,
        risk_check: wanted.risk_check,
        service,
        preferred: wanted.sender.as_deref(),
    };
    send(app, reading, verification, order, now, batch).await
}

/// Notes a sending that was refused, if another channel need not wait for it then: the number does not take what is sent over
/// `channel`, which is not asked for again, or nobody can send it.
async fn note_refused(
    reading: Reading<'_>,
    before: Verification,
    channel: Channel,
    refusal: &Refusal,
    now: Timestamp,
) -> Result<(), Fault> {
    let Some(after) = after_refused(&before, channel, refusal, now) else {
        return Ok(());
    };
    let batch = put_verification(Batch::new(), Some(&before), &after)?;
    reading.commit(batch).await
}

/// The verification with a sending noted that was refused; `None` if no other channel need not wait for it then.
pub(super) fn after_refused(
    before: &Verification,
    channel: Channel,
    refusal: &Refusal,
    now: Timestamp,
) -> Option<Verification> {
    let outcome = match refusal {
        Refusal::LandlineSms => SendingOutcome::ChannelRefused,
        // Once is enough: it may be asked for as often as anybody likes.
        Refusal::NoSender { .. } if before.sends.iter().all(|send| send.channel != channel) => {
            SendingOutcome::Unavailable
        }
        _ => return None,
    };
    let mut after = before.clone();
    let position = u8::try_from(after.sends.len()).unwrap_or(u8::MAX);
    after.record_send(channel, None, now);
    after.note_outcome(position, outcome, now);
    Some(after)
}
