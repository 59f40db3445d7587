//! The records of tries.

use crate::app::App;
use crate::delivery::codes::ConfiguredSender;
use crate::domain::attempt::{Attempt, AttemptStatus, Price};
use crate::domain::country::Country;
use crate::domain::sid::AttemptSid;
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::flows::Error;
use crate::store::{Batch, keys};

/// A try of one of the sendings of `verification`, which waits.
pub(crate) fn new_attempt(
    app: &App,
    (verification, send): (&Verification, u8),
    sender: &ConfiguredSender,
    country: Option<Country>,
    now: Timestamp,
) -> Result<Attempt, Error> {
    let missing = || Error::corrupt(format!("verification {} has no sending {send}", verification.sid));
    let sending = verification.sends.get(usize::from(send)).ok_or_else(missing)?;
    let code = verification.code_of(sending);
    Ok(Attempt {
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
        price: sender.price.map(price),
        reference: None,
        date_created: now,
        date_updated: now,
    })
}

/// Writes a new attempt into `batch`.
pub(crate) fn put_new_attempt(batch: Batch, attempt: &Attempt) -> Result<Batch, Error> {
    let key = keys::attempt(attempt.account, attempt.sid);
    Ok(batch.put_new_record_until(key, attempt, attempt.date_created + Attempt::RETENTION)?)
}

/// Writes an attempt that was read before into `batch`, changed at `now`.
pub(crate) fn put_attempt(batch: Batch, mut attempt: Attempt, now: Timestamp) -> Result<Batch, Error> {
    attempt.date_updated = now;
    let key = keys::attempt(attempt.account, attempt.sid);
    Ok(batch.put_record_until(key, &attempt, attempt.date_created + Attempt::RETENTION)?)
}

/// The operator's price, as it is kept.
pub(crate) fn price(price: crate::delivery::codes::Price) -> Price {
    let mut currency = [0; 3];
    currency.copy_from_slice(&price.currency.as_str().as_bytes()[..3]);
    Price {
        micros: price.micros,
        currency,
    }
}
