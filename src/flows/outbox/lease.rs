//! Leasing a row: whoever delivers it says so in the store first.
//!
//! A lease ends by itself, after a crash for instance, and then the row is delivered again. Whoever has the store to
//! itself ([`is_exclusive`](crate::store::Store::is_exclusive)) need not wait for that: all deliveries that are under way
//! are its own, and it knows them, so a lease in the store that is none of these is that of a process that is gone.

use super::put_row;
use crate::app::App;
use crate::domain::events::OutboxRow;
use crate::domain::time::Timestamp;
use crate::flows::Error;
use crate::store::records::Stored;
use crate::store::{Batch, CommitError, keys};

/// Leases a row until `until`; `None` if it is not as it was read any more.
pub(super) async fn lease(
    app: &App,
    found: &Stored<OutboxRow>,
    until: Timestamp,
) -> Result<Option<OutboxRow>, Error> {
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
