//! Sending a code: everything that is asked and written, in this order; each may refuse, and nothing is changed then.

use super::records::{SendingAt, new_attempt, put_new_attempt};
use super::route::route;
use crate::app::App;
use crate::delivery::codes::ConfiguredSender;
use crate::domain::attempt::Attempt;
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::events::{OutboxMessage, QueuedCode};
use crate::domain::phone::PhoneNumber;
use crate::domain::refusal::Refusal;
use crate::domain::service::Service;
use crate::domain::sid::AttemptSid;
use crate::domain::time::Timestamp;
use crate::domain::verification::{NewCode, Try, Verification};
use crate::flows::Error;
use crate::flows::fraud::{Admittance, SendPermit, admit};
use crate::flows::outbox::put_new_row;
use crate::store::Batch;

/// What is to be sent, and how.
pub(crate) struct SendOrder<'a> {
    /// Over which channel.
    pub(crate) channel: Channel,
    /// The code from now on, if it is another one.
    pub(crate) new_code: Option<NewCode>,
    /// Whether it is looked at for fraud.
    pub(crate) risk_check: bool,
    /// The service.
    pub(crate) service: &'a Service,
}

/// Sends the code of `verification`: chooses the sender, asks the guards against toll fraud, notes the sending in the
/// verification, which the caller writes, and adds the attempt and its outbox row to `batch`. Once that is in the store,
/// the caller commits the admission.
///
/// # Errors
/// [`Refusal::NoSenderFor`], [`Refusal::Blocked`], [`Refusal::LandlineSms`], [`Error::Failed`].
pub(crate) async fn send(
    app: &App,
    verification: &mut Verification,
    order: SendOrder<'_>,
    now: Timestamp,
    batch: Batch,
) -> Result<(Batch, SendPermit), Error> {
    let channel = order.channel;
    let facts = verification.destination.phone().map(PhoneNumber::facts);
    let country = facts.and_then(|facts| facts.country);
    let sender = route(app, verification.service, channel, country, &[], now)
        .await?
        .ok_or(Refusal::NoSenderFor { channel })?;
    let asked = Admittance {
        account: verification.account,
        service: order.service,
        destination: &verification.destination,
        facts,
        channel,
        device_ip: verification.content.device_ip,
        risk_check: order.risk_check,
        price: sender.price,
        now,
    };
    let admission = admit(app, &asked).await?;
    verification.record_send(channel, order.new_code, now);
    let of = SendingAt::last(verification);
    let (batch, attempt) = enqueue(app, of, &sender, country, now, batch)?;
    verification.note_try(Try {
        attempt,
        sender: sender.name,
        at: now,
    });
    Ok((batch, admission))
}

/// Adds to `batch` the attempt and the outbox row by which `sender` gets the code of the sending `of`, which stands in its
/// verification already. Whoever commits the batch adds the attempt to the sending's tries, and rings
/// (`outbox::commit_and_ring`).
///
/// In silent authentication there is nothing to send: only the attempt is written, and waits for the device to call.
///
/// # Errors
/// [`Error::Failed`] if there is no such sending.
pub(crate) fn enqueue(
    app: &App,
    of: SendingAt<'_>,
    sender: &ConfiguredSender,
    country: Option<Country>,
    now: Timestamp,
    batch: Batch,
) -> Result<(Batch, AttemptSid), Error> {
    let attempt = new_attempt(app, of, sender, country, now)?;
    let batch = put_new_attempt(batch, &attempt)?;
    if attempt.channel == Channel::Sna {
        return Ok((batch, attempt.sid));
    }
    let message = OutboxMessage::Code(queued(&attempt, of.position));
    Ok((put_new_row(app, batch, message, now)?, attempt.sid))
}

/// What the row of an attempt carries.
fn queued(attempt: &Attempt, send: u8) -> QueuedCode {
    QueuedCode {
        account: attempt.account,
        service: attempt.service,
        verification: attempt.verification,
        send,
        attempt: attempt.sid,
        sender: attempt.sender,
        expires_at: attempt.expires_at,
        refused: Vec::new(),
    }
}
