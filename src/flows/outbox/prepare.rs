//! What has to be done with the outbox before a server writes and sends.

use crate::app::App;
use crate::domain::events::OutboxRow;
use crate::flows::outbox::lanes::{lanes, last_row_of};
use crate::flows::outbox::rows::put_row;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, Order, Scan, keys, records};

/// Moves the rows that a program without lanes left to their lanes, and makes sure that new rows come behind all that are
/// there, whatever became of the clock since.
///
/// # Errors
/// [`Error::Failed`].
pub async fn prepare(app: &App) -> Result<(), Error> {
    while retry_on_conflict(|| move_some(app)).await? {}
    for lane in lanes(app).await? {
        if let Some(last) = last_row_of(app, lane).await? {
            app.memory.event_order.begin_after(last);
        }
    }
    Ok(())
}

/// Moves a chunk; whether there may be more.
async fn move_some(app: &App) -> Result<bool, Error> {
    const CHUNK: usize = 100;
    let scan = Scan {
        prefix: keys::outbox_without_lanes().bytes().to_vec(),
        after: None,
        order: Order::Ascending,
        limit: CHUNK,
    };
    let rows = app.store.scan(scan).await?;
    if rows.is_empty() {
        return Ok(false);
    }
    let mut batch = Batch::new();
    for (key, entry) in &rows {
        let row: OutboxRow = records::decode(&entry.value)?;
        batch = batch.assert_at(key.clone(), entry.version).delete(key.clone());
        batch = put_row(batch, &row)?;
    }
    app.store.commit(batch).await?;
    Ok(rows.len() == CHUNK)
}
