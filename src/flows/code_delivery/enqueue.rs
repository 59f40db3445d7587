//! Queues a code for its sender.

use super::attempts::{new_attempt, put_new_attempt};
use crate::app::App;
use crate::delivery::codes::ConfiguredSender;
use crate::domain::attempt::Attempt;
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::events::{OutboxMessage, OutboxRow, QueuedCode};
use crate::domain::sid::AttemptSid;
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::flows::Error;
use crate::store::{Batch, keys};

/// Adds to `batch` the attempt and the outbox row by which `sender` gets the code of the sending at `send`, which stands in
/// `verification` already. Whoever commits the batch adds the attempt to the sending's tries, and rings
/// (`outbox::commit_and_ring`).
///
/// In silent authentication there is nothing to send: only the attempt is written, and waits for the device to call.
///
/// # Errors
/// [`Error::Failed`] if there is no such sending.
pub(crate) fn enqueue(
    app: &App,
    verification: &Verification,
    send: u8,
    sender: &ConfiguredSender,
    country: Option<Country>,
    now: Timestamp,
    batch: Batch,
) -> Result<(Batch, AttemptSid), Error> {
    let attempt = new_attempt(app, (verification, send), sender, country, now)?;
    let batch = put_new_attempt(batch, &attempt)?;
    if attempt.channel == Channel::Sna {
        return Ok((batch, attempt.sid));
    }
    let message = OutboxMessage::Code(queued(&attempt, send));
    let row = OutboxRow::new(
        app.memory.event_order.next(now, app.entropy.as_ref()),
        now,
        message,
    );
    let key = keys::outbox_row(row.message.lane(), row.sid);
    Ok((batch.put_new_record(key, &row)?, attempt.sid))
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
