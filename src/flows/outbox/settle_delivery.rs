//! Takes in what came of a delivery.

use std::time::Duration;

use super::deliver::Tried;
use super::give_up::give_up;
use super::settle_code::{note, settle_code};
use super::{commit_and_ring, write_row};
use crate::app::App;
use crate::delivery::Outcome;
use crate::domain::events::{OutboxMessage, OutboxRow};
use crate::domain::outbox::Reason;
use crate::domain::time::Timestamp;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys, records};

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
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

/// Settles a row that was leased (or that no lease was needed for) by what came of its delivery.
pub(super) async fn settle_delivery(app: &App, leased: &OutboxRow, tried: &Tried) -> Result<Settled, Error> {
    if let OutboxMessage::Code(code) = &leased.message {
        note(app, code, tried).await?;
    }
    let settled = retry_on_conflict(|| attempt(app, leased, tried)).await?;
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

async fn attempt(app: &App, leased: &OutboxRow, tried: &Tried) -> Result<Settled, Error> {
    let key = keys::outbox_row(leased.message.lane(), leased.sid);
    let Some(found) = records::read(app.store.as_ref(), &key).await? else {
        return Ok(Settled::TakenAway);
    };
    if found.record.lease != leased.lease {
        return Ok(Settled::TakenAway);
    }
    let now = app.clock.now();
    let mut row: OutboxRow = found.record.clone();
    let batch = Batch::new().assert_read(&key, &found);
    if matches!(row.message, OutboxMessage::Code(_)) {
        let (batch, settled, charge) = settle_code(app, row, tried, batch).await?;
        if settled == Settled::Handed {
            commit_and_ring(app, batch).await?;
        } else {
            app.store.commit(batch).await?;
        }
        charge.keep();
        return Ok(settled);
    }
    let (batch, settled) = match &tried.outcome {
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
                // A push for a challenge that will be over by then.
                (batch.delete(key.into_bytes()), Settled::TooLate(why))
            } else if row.is_older_than(app.policy.outbox_retention, now) {
                (give_up(app, batch, row, &why)?, Settled::GivenUp(why))
            } else {
                let settled = Settled::Waits {
                    until: row.next_at,
                    why,
                    asked: *after,
                };
                (write_row(batch, &row)?, settled)
            }
        }
    };
    app.store.commit(batch).await?;
    Ok(settled)
}
