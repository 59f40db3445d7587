//! What the outbox knows of that which is in its rows: how it is delivered, and how what came of that is settled.
//!
//! To send something of another kind through the outbox, give it a variant of
//! [`OutboxMessage`](crate::domain::events::OutboxMessage), implement [`Parcel`] with the flows that it belongs to, and add
//! an arm to [`Deliveries`](crate::flows::deliveries::Deliveries).

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::dead_letters::give_up;
use super::letter_lines::tell_of_one;
use super::rows::put_row;
use crate::app::App;
use crate::delivery::DeliveryOutcome;
use crate::domain::events::OutboxRow;
use crate::domain::outbox::Reason;
use crate::domain::time::Timestamp;
use crate::flows::reading::Reading;
use crate::flows::{Fault, retry_on_conflict};
use crate::memory::delivery_routes::{DeliveryRoute, RouteEnd};
use crate::store::{Batch, keys};

/// What is in a row, made anew for each try.
#[async_trait]
pub trait Parcel: fmt::Debug + Send + Sync {
    /// Until when this process leaves the row to others that share the store: it cannot deliver it as it is set up, and they may
    /// be set up otherwise. `None` if it does not wait for them.
    fn left_to_others(&self, _app: &App, _row: &OutboxRow) -> Option<Timestamp> {
        None
    }

    /// Tries once to deliver what is in `row`, and says what came of it. It changes nothing of the row, and may remember
    /// what only [`Parcel::settle`] wants to know.
    async fn deliver(&mut self, app: &App, row: &OutboxRow) -> DeliveryOutcome;

    /// Which way it takes, for the operators' metrics; said of one that was tried.
    fn route(&self, _app: &App) -> DeliveryRoute {
        DeliveryRoute {
            what: "other",
            provider: "unknown",
            sender: None,
        }
    }

    /// When it was asked for, if that is not when its row was written.
    fn asked_at(&self) -> Option<Timestamp> {
        None
    }

    /// Takes in what came of it: the row that was leased (or that no lease was needed for) leaves its lane, or waits there.
    /// Also said to a parcel of which nothing was tried: that was too late, or whose try was cut off.
    ///
    /// # Errors
    /// [`Fault`]; the row is delivered again when its lease is over.
    async fn settle(
        &self,
        app: &App,
        leased: &OutboxRow,
        outcome: &DeliveryOutcome,
    ) -> Result<Settled, Fault> {
        settle_by_outcome(app, leased, outcome).await
    }
}

/// Tells what is in rows.
pub trait Unpack: fmt::Debug + Send + Sync {
    /// Makes no round trip: what the row does not hold is read by the parcel.
    fn unpack(&self, row: &OutboxRow) -> Box<dyn Parcel>;
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The receiver has it; it is gone.
    Delivered,
    /// Its tries failed for too long, and became a dead letter.
    GivenUp(Reason),
    /// Its receiver did not take it, and another one has it now, or will have it after a pause.
    Handed,
    /// Nothing was tried or changed: until then it is for other processes that share the store.
    LeftToOthers(Timestamp),
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
    outcome: &DeliveryOutcome,
) -> Result<Settled, Fault> {
    let settled = match parcel.settle(app, leased, outcome).await {
        // What it is about cannot be read, and will not be when the lease is over: the row must not come again for ever.
        Err(fault) if fault.is_of_a_record() => settle_without_records(app, leased, outcome, &fault).await?,
        settled => settled?,
    };
    let tally = &app.memory.deliveries;
    match settled {
        Settled::Delivered => tally.delivered(),
        Settled::GivenUp(_) | Settled::Refused => {
            let lane = leased.message.lane();
            tell_of_one(app, lane, leased.sid, &why(&settled, outcome));
            tally.failed();
            tally.given_up(1);
        }
        Settled::Obsolete => tally.obsolete(),
        Settled::LeftToOthers(_) | Settled::TakenAway => {}
        Settled::Handed | Settled::TooLate(_) | Settled::Waits { .. } => tally.failed(),
    }
    count_by_route(app, parcel, leased, &settled);
    Ok(settled)
}

fn count_by_route(app: &App, parcel: &dyn Parcel, leased: &OutboxRow, settled: &Settled) {
    let end = match settled {
        Settled::Delivered => {
            let asked_at = parcel.asked_at().unwrap_or(leased.date_created);
            let took = app.clock.now().since(asked_at);
            return app.memory.routes.delivered(parcel.route(app), took);
        }
        Settled::GivenUp(_) => RouteEnd::GivenUp,
        Settled::Handed => RouteEnd::HandedOn,
        Settled::Obsolete => RouteEnd::Obsolete,
        Settled::Refused => RouteEnd::Refused,
        Settled::TooLate(_) => RouteEnd::TooLate,
        Settled::Waits { .. } => RouteEnd::Retried,
        // Nothing was tried, or somebody else says what came of it.
        Settled::LeftToOthers(_) | Settled::TakenAway => return,
    };
    app.memory.routes.ended(parcel.route(app), end);
}

/// Why a row became a dead letter. It may quote the receiver, and is one line.
fn why(settled: &Settled, outcome: &DeliveryOutcome) -> Reason {
    match (settled, outcome) {
        (Settled::GivenUp(why), _) => why.clone(),
        (_, DeliveryOutcome::Refused { why }) => Reason::new(why),
        _ => Reason::new("it was refused"),
    }
}

/// The row as it is now; `None` if the lease is not ours any more.
pub(crate) async fn still_leased(
    reading: &mut Reading<'_>,
    leased: &OutboxRow,
) -> Result<Option<OutboxRow>, Fault> {
    let key = keys::outbox_row(leased.message.lane(), leased.sid);
    let found = reading.get(&key).await?;
    Ok(found.filter(|found| found.lease == leased.lease))
}

/// Settles a row that is about records which cannot be read: it is gone if its receiver has it or needs it no more, and is a
/// dead letter otherwise.
async fn settle_without_records(
    app: &App,
    leased: &OutboxRow,
    outcome: &DeliveryOutcome,
    fault: &Fault,
) -> Result<Settled, Fault> {
    tracing::error!("what a message in the outbox is about cannot be read: {fault}");
    let refused = DeliveryOutcome::Refused {
        why: fault.to_string(),
    };
    let outcome = match outcome {
        DeliveryOutcome::Delivered | DeliveryOutcome::Obsolete => outcome,
        DeliveryOutcome::Refused { .. } | DeliveryOutcome::Retry { .. } => &refused,
    };
    match settle_by_outcome(app, leased, outcome).await {
        // It is the row itself: nobody reads it any more.
        Err(fault) if fault.is_of_a_record() => Ok(Settled::TakenAway),
        settled => settled,
    }
}

/// Settles a row of which nothing else has to be known: it is gone, or waits for its next try, or is given up.
async fn settle_by_outcome(
    app: &App,
    leased: &OutboxRow,
    outcome: &DeliveryOutcome,
) -> Result<Settled, Fault> {
    retry_on_conflict(app, || attempt(app, leased, outcome)).await
}

async fn attempt(app: &App, leased: &OutboxRow, outcome: &DeliveryOutcome) -> Result<Settled, Fault> {
    let mut reading = Reading::new(app);
    let Some(mut row) = still_leased(&mut reading, leased).await? else {
        return Ok(Settled::TakenAway);
    };
    let batch = Batch::new();
    let key = keys::outbox_row(leased.message.lane(), leased.sid);
    let now = app.clock.now();
    let (batch, settled) = match outcome {
        DeliveryOutcome::Delivered => (batch.delete(key.into_bytes()), Settled::Delivered),
        DeliveryOutcome::Obsolete => (batch.delete(key.into_bytes()), Settled::Obsolete),
        DeliveryOutcome::Refused { why } => {
            let why = Reason::new(why);
            row.fail(why.clone(), None, now, app.entropy.as_ref());
            (give_up(app, batch, row, &why)?, Settled::Refused)
        }
        DeliveryOutcome::Retry { why, after, .. } => {
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
    reading.commit_without_waking(batch).await?;
    Ok(settled)
}
