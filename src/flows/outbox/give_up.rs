//! Giving up: a row that cannot be delivered, or was not for too long, becomes a dead letter.

use crate::app::App;
use crate::domain::events::OutboxRow;
use crate::domain::outbox::{DeadLetter, Lane, Reason};
use crate::flows::Error;
use crate::store::{Batch, CommitError, Order, Scan, keys, records};

/// Puts the dead letter of `row` in its place. It is kept for as long as the operator chose.
pub(super) fn give_up(app: &App, batch: Batch, mut row: OutboxRow, why: &Reason) -> Result<Batch, Error> {
    let now = app.clock.now();
    let from = keys::outbox_row(row.message.lane(), row.sid);
    row.lease = None;
    let letter = DeadLetter {
        row,
        why: why.clone(),
        date_given_up: now,
    };
    let key = keys::dead_letter(letter.row.sid);
    let until = now + app.policy.outbox_dead_retention;
    Ok(batch
        .delete(from.into_bytes())
        .put_record_until(key, &letter, until)?)
}

/// Gives up the rows of a failing receiver that are too old, tried or not: one that is dead for good must not collect rows
/// for ever because each of them waits for its turn. The oldest are in front, and a bounded number is looked at.
pub(super) async fn give_up_old(app: &App, lane: Lane, why: &Reason) -> Result<(), Error> {
    for _ in 0..MOST_CHUNKS {
        let scan = Scan {
            prefix: keys::outbox(lane).bytes().to_vec(),
            after: None,
            order: Order::Ascending,
            limit: CHUNK,
        };
        let (mut batch, mut count) = (Batch::new(), 0);
        for (key, entry) in app.store.scan(scan).await? {
            // What cannot be read stays: `countersign store check` names it.
            let Ok(row) = records::decode::<OutboxRow>(&entry.value) else {
                continue;
            };
            if row.is_older_than(app.policy.outbox_retention, app.clock.now()) {
                let why = row.last_error.clone().unwrap_or_else(|| why.clone());
                batch = give_up(app, batch.assert_at(key, entry.version), row, &why)?;
                count += 1;
            }
        }
        if count == 0 {
            return Ok(());
        }
        match app.store.commit(batch).await {
            Ok(()) => app.memory.deliveries.given_up(count),
            // Somebody changed one of them: the next visit sees to the rest.
            Err(CommitError::Conflict) => return Ok(()),
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

const CHUNK: usize = 64;
const MOST_CHUNKS: usize = 100;
