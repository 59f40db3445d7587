//! Everything that a sending asks and writes, in this order; each may refuse, and nothing is changed then.

use std::sync::Arc;

use crate::app::App;
use crate::delivery::codes::ConfiguredSender;
use crate::domain::attempt::{Attempt, AttemptStatus, Price};
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::phone::PhoneNumber;
use crate::domain::refusal::Refusal;
use crate::domain::sid::AttemptSid;
use crate::domain::time::Timestamp;
use crate::domain::verification::{NewCode, Try, Verification};
use crate::flows::Error;
use crate::store::{Batch, keys};

/// Sends the code of `verification` over `channel`: chooses the sender, notes the sending in the verification, which the
/// caller writes, and adds the attempt to `batch`.
///
/// # Errors
/// [`Refusal::NoSenderFor`].
pub(super) fn send(
    app: &App,
    verification: &mut Verification,
    (channel, new_code): (Channel, Option<NewCode>),
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, Error> {
    let facts = verification.destination.phone().map(PhoneNumber::facts);
    let country = facts.and_then(|facts| facts.country);
    let sender = route(app, channel, country).ok_or(Refusal::NoSenderFor { channel })?;
    verification.record_send(channel, new_code, now);
    let (batch, attempt) = write_attempt(app, verification, &sender, country, now, batch)?;
    verification.note_try(Try {
        attempt,
        sender: sender.name,
        at: now,
    });
    Ok(batch)
}

/// The first sender that serves the channel and the country.
fn route(app: &App, channel: Channel, country: Option<Country>) -> Option<Arc<ConfiguredSender>> {
    let mut candidates = app.senders.codes.candidates(channel, country, None);
    candidates.next().map(Arc::clone)
}

/// Adds the attempt of the last sending.
fn write_attempt(
    app: &App,
    verification: &Verification,
    sender: &ConfiguredSender,
    country: Option<Country>,
    now: Timestamp,
    batch: Batch,
) -> Result<(Batch, AttemptSid), Error> {
    let missing = || Error::Corrupt(format!("verification {} was not sent", verification.sid));
    let sending = verification.sends.last().ok_or_else(missing)?;
    let code = verification.code_of(sending);
    let attempt = Attempt {
        sid: AttemptSid::generate(now, app.entropy.as_ref()),
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
        price: sender.price.map(|price| Price {
            micros: price.micros,
            currency: <[u8; 3]>::try_from(price.currency.as_str().as_bytes()).unwrap_or(*b"usd"),
        }),
        reference: None,
        date_created: now,
        date_updated: now,
    };
    let key = keys::attempt(attempt.account, attempt.sid);
    let until = attempt.date_created + Attempt::RETENTION;
    Ok((batch.put_new_record_until(key, &attempt, until)?, attempt.sid))
}
