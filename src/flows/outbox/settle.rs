//! Takes in what came of a delivery.

use std::time::Duration;

use super::dead_letters::give_up;
use super::parcel::Parcel;
use super::rows::put_row;
use crate::app::App;
use crate::delivery::Outcome;
use crate::domain::events::OutboxRow;
use crate::domain::outbox::Reason;
use crate::domain::time::Timestamp;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys, records};

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The receiver has it; it is gone.
    Delivered,
    /// It was tried in vain for too long, and became a dead letter.
    GivenUp(Reason),
    /// Its receiver did not take it, and another one has it now, or will have it after a pause.
    Handed,
    /// It is of no use any more; it is gone.
    Obsolete,
    /// Its receiver will never take it, and says so; it became a dead letter.
    Refused,
    /// Somebody else has it now, or dropped it.
    TakenAway,
    /// It failed, and its next try would come too late; it is gone.
    TooLate(Reason),
    /// It stays.
    Waits {
        /// When it is due again.
        until: Timestamp,
        /// What went wrong.
        why: Reason,
        /// How long the receiver wants to be left alone.
        asked: Option<Duration>,
    },
}

/// Settles a row as its parcel wants, and counts it.
pub(super) async fn settle(
    app: &App,
    parcel: &dyn Parcel,
    leased: &OutboxRow,
    outcome: &Outcome,
) -> Result<Settled, Error> {
    let settled = parcel.settle(app, leased, outcome).await?;
    let tally = &app.memory.deliveries;
    match settled {
        Settled::Delivered => tally.delivered(),
        Settled::GivenUp(_) | Settled::Refused => {
            tally.failed();
            tally.given_up(1);
        }
        Settled::Obsolete => tally.obsolete(),
        Settled::TakenAway => {}
        Settled::Handed | Settled::TooLate(_) | Settled::Waits { .. } => tally.failed(),
    }
    Ok(settled)
}

/// The row as it is now, and a batch that requires it to be so; `None` if the lease is not ours any more.
pub(crate) async fn still_leased(app: &App, leased: &OutboxRow) -> Result<Option<(OutboxRow, Batch)>, Error> {
    let key = keys::outbox_row(leased.message.lane(), leased.sid);
    let found = records::read(app.store.as_ref(), &key).await?;
    let ours = found.filter(|found| found.record.lease == leased.lease);
    Ok(ours.map(|found| {
        let batch = Batch::new().assert_read(&key, &found);
        (found.record, batch)
    }))
}

/// Settles a row of which nothing else has to be known: it is gone, or waits for its next try, or is given up.
pub(super) async fn settle_by_outcome(
    app: &App,
    leased: &OutboxRow,
    outcome: &Outcome,
) -> Result<Settled, Error> {
    retry_on_conflict(|| attempt(app, leased, outcome)).await
}

async fn attempt(app: &App, leased: &OutboxRow, outcome: &Outcome) -> Result<Settled, Error> {
    let Some((mut row, batch)) = still_leased(app, leased).await? else {
        return Ok(Settled::TakenAway);
    };
    let key = keys::outbox_row(leased.message.lane(), leased.sid);
    let now = app.clock.now();
    let (batch, settled) = match outcome {
        Outcome::Delivered => (batch.delete(key.into_bytes()), Settled::Delivered),
        Outcome::Obsolete => (batch.delete(key.into_bytes()), Settled::Obsolete),
        Outcome::Refused { why } => {
            let why = Reason::new(why);
            row.fail(why.clone(), None, now, app.entropy.as_ref());
            (give_up(app, batch, row, &why)?, Settled::Refused)
        }
        Outcome::Retry { why, after } => {
            let why = Reason::new(why);
            row.fail(why.clone(), *after, now, app.entropy.as_ref());
            if row.message.expires_at().is_some_and(|end| end <= row.next_at) {
                // It will be of no use by then.
                (batch.delete(key.into_bytes()), Settled::TooLate(why))
            } else if row.is_older_than(app.policy.outbox_retention, now) {
                (give_up(app, batch, row, &why)?, Settled::GivenUp(why))
            } else {
                let settled = Settled::Waits {
                    until: row.next_at,
                    why,
                    asked: *after,
                };
                (put_row(batch, &row)?, settled)
            }
        }
    };
    app.store.commit(batch).await?;
    Ok(settled)
}
