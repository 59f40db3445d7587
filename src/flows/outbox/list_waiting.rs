//! Lists what waits to be delivered.

use crate::app::App;
use crate::domain::events::OutboxRow;
use crate::domain::outbox::Lane;
use crate::domain::sid::EventSid;
use crate::flows::Error;
use crate::store::{Order, Scan, keys, records};

/// Where a page begins: behind this row, which need not exist any more.
pub type After = (Lane, EventSid);

/// At most `limit` rows, receiver by receiver, each receiver's oldest first; and where the next page begins, if there are
/// more.
///
/// # Errors
/// [`Error::Failed`].
pub async fn list_waiting(
    app: &App,
    after: Option<After>,
    limit: usize,
) -> Result<(Vec<OutboxRow>, Option<After>), Error> {
    let scan = Scan {
        prefix: keys::lanes(),
        after: after.map(|(lane, sid)| keys::outbox_row(lane, sid).into_bytes()),
        order: Order::Ascending,
        limit: limit + 1,
    };
    let entries = app.store.scan(scan).await?;
    let more = entries.len() > limit;
    let rows = entries
        .iter()
        .take(limit)
        .map(|(_, entry)| records::decode::<OutboxRow>(&entry.value));
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let next = rows
        .last()
        .filter(|_| more)
        .map(|row| (row.message.lane(), row.sid));
    Ok((rows, next))
}
