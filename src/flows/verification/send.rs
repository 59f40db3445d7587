//! Everything that a sending asks and writes, in this order; each may refuse, and nothing is changed then.

use crate::app::App;
use crate::domain::channel::Channel;
use crate::domain::phone::PhoneNumber;
use crate::domain::refusal::Refusal;
use crate::domain::time::Timestamp;
use crate::domain::verification::{NewCode, Try, Verification};
use crate::flows::Error;
use crate::flows::code_delivery::enqueue::enqueue;
use crate::flows::code_delivery::route::route;
use crate::store::Batch;

/// Sends the code of `verification` over `channel`: chooses the sender, notes the sending in the verification, which the
/// caller writes, and adds the attempt and its outbox row to `batch`.
///
/// # Errors
/// [`Refusal::NoSenderFor`], [`Error::Corrupt`], [`Error::Unavailable`].
pub(super) async fn send(
    app: &App,
    verification: &mut Verification,
    (channel, new_code): (Channel, Option<NewCode>),
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, Error> {
    let facts = verification.destination.phone().map(PhoneNumber::facts);
    let country = facts.and_then(|facts| facts.country);
    let sender = route(app, verification.service, channel, country, &[], now)
        .await?
        .ok_or(Refusal::NoSenderFor { channel })?;
    verification.record_send(channel, new_code, now);
    let position = u8::try_from(verification.sends.len().saturating_sub(1)).unwrap_or(u8::MAX);
    let (batch, attempt) = enqueue(app, verification, position, &sender, country, now, batch)?;
    verification.note_try(Try {
        attempt,
        sender: sender.name,
        at: now,
    });
    Ok(batch)
}
