//! Rows: how they are written, committed and leased.
//!
//! A lease ends by itself, after a crash for instance, and then the row is delivered again. Whoever has the store to
//! itself ([`is_exclusive`](crate::store::Store::is_exclusive)) need not wait for that: all deliveries that are under way
//! are its own, and it knows them, so a lease in the store that is none of these is that of a process that is gone.

use std::collections::BTreeSet;

use crate::app::App;
use crate::domain::events::{OutboxMessage, OutboxRow};
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::store::records::Stored;
use crate::store::{Batch, CommitError, StoreError, keys};

/// Commits `batch`; if that goes well, tells the worker which receivers there is something new for.
pub(crate) async fn commit_and_ring(app: &App, batch: Batch) -> Result<(), Fault> {
    let lanes: BTreeSet<_> = batch.written_keys().filter_map(keys::lane_of).collect();
    app.store.commit(batch).await?;
    if !lanes.is_empty() {
        app.memory.wakeups.wake(lanes);
    }
    Ok(())
}

/// Adds a row for `message` to `batch`, that of the state change that it follows from, behind all that its lane has.
pub(crate) fn put_new_row(
    app: &App,
    batch: Batch,
    message: OutboxMessage,
    now: Timestamp,
) -> Result<Batch, StoreError> {
    let sid = app.memory.event_order.next(now, app.entropy.as_ref());
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

/// Leases a row until `until`; `None` if it is not as it was read any more.
pub(super) async fn lease(
    app: &App,
    found: &Stored<OutboxRow>,
    until: Timestamp,
) -> Result<Option<OutboxRow>, Fault> {
    let mut row = found.record.clone();
    row.lease = Some(until);
    let key = keys::outbox_row(row.message.lane(), row.sid);
    let batch = put_row(Batch::new().assert_read(&key, found), &row)?;
    match app.store.commit(batch).await {
        Ok(()) => Ok(Some(row)),
        Err(CommitError::Conflict) => Ok(None),
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

/// From when on a row may be delivered.
pub(super) fn free_at(app: &App, row: &OutboxRow) -> Timestamp {
    match row.lease {
        Some(until) if !app.store.is_exclusive() => row.next_at.max(until),
        Some(_) | None => row.next_at,
    }
}
