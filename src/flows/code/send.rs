//! Sending a code: which one it is, and everything that is asked and written, in this order; each may refuse, and nothing is
//! changed then.

use super::records::{SendingAt, new_attempt, put_new_attempt};
use super::route::{Way, keys_to_route, route_preferring};
use crate::app::App;
use crate::crypto::plain_code::PlainCode;
use crate::delivery::codes::ConfiguredSender;
use crate::domain::attempt::Attempt;
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::destination::Destination;
use crate::domain::events::{OutboxMessage, QueuedCode};
use crate::domain::phone::PhoneNumber;
use crate::domain::sealing::SealedField;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, AttemptSid, EventSid, ServiceSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{IssuedCode, NewCode, Refusal, Try, Verification};
use crate::flows::fraud::{Admittance, SendPermit, admit, keys_to_admit};
use crate::flows::outbox::put_new_row;
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault};
use crate::store::Batch;
use crate::store::keys::{self, Key};

/// What is to be sent, and how.
pub(crate) struct SendOrder<'a> {
    pub(crate) channel: Channel,
    /// The code from now on, if it is another one.
    pub(crate) new_code: Option<NewCode>,
    /// Whether it is looked at for fraud.
    pub(crate) risk_check: bool,
    pub(crate) service: &'a Service,
    /// The sender that the caller would like, by its name.
    pub(crate) preferred: Option<&'a str>,
}

/// What is written once a sending is allowed.
pub(crate) struct Outgoing<'a> {
    /// The batch with the attempt, the outbox row, and what is taken of budgets.
    pub(crate) batch: Batch,
    /// What is committed once the batch is in the store.
    pub(crate) permit: SendPermit<'a>,
}

/// The keys of what [`send`] reads of a destination, whatever the channel: for whoever reads more in the same round trip.
pub(crate) fn keys_to_send(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    destination: &Destination,
) -> Vec<Vec<u8>> {
    let number = destination.phone();
    let routes = number.map(|number| keys_to_route(service, number.facts().country));
    let routes = routes.into_iter().flatten().map(Key::into_bytes);
    routes.chain(keys_to_admit(app, account, destination)).collect()
}

/// Sends the code of `verification`: chooses the sender, asks the guards against toll fraud, notes the sending in the
/// verification, which the caller writes, and adds what goes with it to `batch`, which the caller commits as `reading` has
/// it.
///
/// # Errors
/// [`Refusal::NoSender`], [`Refusal::Blocked`], [`Refusal::LandlineSms`], [`Error::Failed`].
pub(crate) async fn send<'a>(
    app: &'a App,
    reading: &mut Reading<'_>,
    verification: &mut Verification,
    order: SendOrder<'_>,
    now: Timestamp,
    batch: Batch,
) -> Result<Outgoing<'a>, Error<Refusal>> {
    let channel = order.channel;
    let facts = verification.destination.phone().map(PhoneNumber::facts);
    let country = facts.and_then(|facts| facts.country);
    let way = Way {
        account: verification.account,
        service: verification.service,
        channel,
        country,
    };
    let sender = route_preferring(app, reading, way, order.preferred, now)
        .await?
        .ok_or(Refusal::NoSender { channel })?;
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
    let permit = admit(app, reading, &asked).await?;
    verification.record_send(channel, order.new_code, now);
    let of = SendingAt::last(verification);
    let (batch, attempt) = enqueue(app, of, &sender, country, now, batch)?;
    verification.note_try(Try {
        attempt,
        sender: sender.name,
        at: now,
    });
    let batch = permit.put(batch)?;
    Ok(Outgoing { batch, permit })
}

/// Adds to `batch` the attempt and the outbox row by which `sender` gets the code of the sending `of`, which stands in its
/// verification already. Whoever commits the batch adds the attempt to the sending's tries.
///
/// In silent authentication there is nothing to send: only the attempt is written, and waits for the device to call.
///
/// # Errors
/// [`Fault::Corrupt`] if there is no such sending.
pub(crate) fn enqueue(
    app: &App,
    of: SendingAt<'_>,
    sender: &ConfiguredSender,
    country: Option<Country>,
    now: Timestamp,
    batch: Batch,
) -> Result<(Batch, AttemptSid), Fault> {
    let attempt = new_attempt(app, of, sender, country, now)?;
    let batch = put_new_attempt(batch, &attempt)?;
    if attempt.channel == Channel::Sna {
        return Ok((batch, attempt.sid));
    }
    let message = OutboxMessage::Code(queued(&attempt, of.position));
    let batch = put_new_row(batch, row_sid(attempt.sid), message, now)?;
    Ok((batch, attempt.sid))
}

/// The identifier of the row that carries an attempt: the attempts of a verification are in order, and so are its rows.
pub(super) fn row_sid(attempt: AttemptSid) -> EventSid {
    EventSid::from_bytes(*attempt.as_bytes())
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

/// A new code, if the next sending over `channel` needs one: the policy wants one, the one before is over or void, or the
/// caller chose another.
pub(crate) fn next_code(
    app: &App,
    verification: &Verification,
    channel: Channel,
    custom: Option<&PlainCode>,
    now: Timestamp,
) -> Result<Option<NewCode>, Fault> {
    if channel == Channel::Sna {
        return Ok(None);
    }
    let mut needed = verification.needs_code(channel, now);
    if let (false, Some(custom), Some(last)) = (needed, custom, verification.codes.last()) {
        needed = !open_code(app, verification, last)?.matches(custom);
    }
    if !needed {
        return Ok(None);
    }
    let code = custom.cloned().unwrap_or_else(|| {
        let policy = &verification.policy;
        PlainCode::draw(policy.alphabet, policy.code_length.get(), app.entropy.as_ref())
    });
    let key = keys::verification(verification.service, verification.sid);
    Ok(Some(NewCode {
        sealed: app.vault.seal(
            app.entropy.as_ref(),
            key.bytes(),
            SealedField::Code,
            code.reveal().as_bytes(),
        ),
        length: code.length(),
    }))
}

/// Opens one of the verification's codes.
pub(crate) fn open_code(
    app: &App,
    verification: &Verification,
    code: &IssuedCode,
) -> Result<PlainCode, Fault> {
    let what = format!("verification {}", verification.sid);
    let key = keys::verification(verification.service, verification.sid);
    let opened = app
        .vault
        .open(key.bytes(), SealedField::Code, &code.sealed)
        .map_err(|error| Fault::unopened(&what, error))?;
    PlainCode::from_opened(&opened).ok_or_else(|| Fault::Corrupt(format!("{what}: its code is none")))
}
