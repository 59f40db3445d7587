//! Rows: how they are written, found as they were read, and committed.

use std::collections::BTreeSet;

use crate::app::App;
use crate::domain::events::{OutboxMessage, OutboxRow};
use crate::domain::time::Timestamp;
use crate::flows::Error;
use crate::store::{Batch, keys};

/// Commits `batch`; if that goes well, tells the worker which receivers there is something new for.
pub(crate) async fn commit_and_ring(app: &App, batch: Batch) -> Result<(), Error> {
    let lanes: BTreeSet<_> = batch.written_keys().filter_map(keys::lane_of).collect();
    app.store.commit(batch).await?;
    if !lanes.is_empty() {
        app.outbox.bell.ring(lanes);
    }
    Ok(())
}

/// Adds a row for `message` to `batch`, that of the state change that it follows from, behind all that its lane has.
pub(crate) fn put_new_row(
    app: &App,
    batch: Batch,
    message: OutboxMessage,
    now: Timestamp,
) -> Result<Batch, Error> {
    let sid = app.outbox.order.next(now, app.entropy.as_ref());
    let row = OutboxRow::new(sid, now, message);
    let key = keys::outbox_row(row.message.lane(), row.sid);
    // Most are the worker's to give up: what the store reclaimed would be missing from the dead letters.
    Ok(match row.message.reclaimed_at() {
        Some(until) => batch.put_new_record_until(key, &row, until)?,
        None => batch.put_new_record(key, &row)?,
    })
}

/// Writes a row into `batch`, at its place in its lane; a push ends by itself there, all else by the worker's hand.
pub(crate) fn put_row(batch: Batch, row: &OutboxRow) -> Result<Batch, Error> {
    let key = keys::outbox_row(row.message.lane(), row.sid);
    Ok(match row.message.reclaimed_at() {
        Some(until) => batch.put_record_until(key, row, until)?,
        None => batch.put_record(key, row)?,
    })
}
