//! Rows: how they are written and leased.
//!
//! A lease ends by itself, after a crash for instance, and then the row is delivered again. Whoever has the store to
//! itself ([`is_exclusive`](crate::store::Store::is_exclusive)) need not wait for that: all deliveries that are under way
//! are its own, and it knows them, so a lease in the store that is none of these is that of a process that is gone.
//!
//! Where several share the store, each asks its own clock whether a lease is over. So a lease is longer by
//! [`CLOCKS_APART`] there: what is under way is not delivered a second time by a node whose clock is ahead.

use std::time::Duration;

use crate::app::App;
use crate::domain::events::{OutboxMessage, OutboxRow};
use crate::domain::sid::EventSid;
use crate::domain::time::{CLOCKS_APART, Timestamp};
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::records::Stored;
use crate::store::{Batch, StoreError, keys};

/// Adds a row for `message` to `batch`, that of the state change that it follows from. Whoever chooses `sid` sees to it that
/// it is behind all earlier ones of the message's thread.
pub(crate) fn put_new_row(
    batch: Batch,
    sid: EventSid,
    message: OutboxMessage,
    now: Timestamp,
) -> Result<Batch, StoreError> {
    let row = OutboxRow::new(sid, now, message);
    let key = keys::outbox_row(row.message.lane(), row.sid);
    // Most are the worker's to give up: what the store reclaimed would be missing from the dead letters.
    match row.message.reclaimed_at() {
        Some(until) => batch.put_new_record_until(key, &row, until),
        None => batch.put_new_record(key, &row),
    }
}

/// Writes a row into `batch`, at its place in its lane; a push ends by itself there, all else by the worker's hand.
pub(crate) fn put_row(batch: Batch, row: &OutboxRow) -> Result<Batch, StoreError> {
    let key = keys::outbox_row(row.message.lane(), row.sid);
    match row.message.reclaimed_at() {
        Some(until) => batch.put_record_until(key, row, until),
        None => batch.put_record(key, row),
    }
}

/// Leases a row for so long, by whichever node's clock; `None` if it is not as it was read any more.
pub(super) async fn lease(
    app: &App,
    found: &Stored<OutboxRow>,
    length: Duration,
) -> Result<Option<OutboxRow>, Fault> {
    let mut row = found.record.clone();
    let apart = if app.shares_store() {
        CLOCKS_APART
    } else {
        Duration::ZERO
    };
    row.lease = Some(app.clock.now() + length + apart);
    let key = keys::outbox_row(row.message.lane(), row.sid);
    let mut reading = Reading::new(app);
    reading.rest_on(key.into_bytes(), found.version);
    match reading.commit_without_waking(put_row(Batch::new(), &row)?).await {
        Ok(()) => Ok(Some(row)),
        Err(Fault::Conflict(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// From when on a row may be delivered.
pub(super) fn free_at(app: &App, row: &OutboxRow) -> Timestamp {
    match row.lease {
        Some(until) if app.shares_store() => row.next_at.max(until),
        Some(_) | None => row.next_at,
    }
}

/// When to look again at a row that is not to be delivered now. One that another node delivers is gone when that is done, which
/// is long before its lease is over, and what is behind it in its thread does not wait for that.
pub(super) fn look_at(app: &App, row: &OutboxRow) -> Timestamp {
    let free = free_at(app, row);
    if free > row.next_at {
        free.min(app.clock.now() + LOOK_AT_LEASED)
    } else {
        free
    }
}

/// How often a row is looked at that another node delivers.
const LOOK_AT_LEASED: Duration = Duration::from_secs(1);
