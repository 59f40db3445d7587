//! What the outbox knows of that which is in its rows: how it is delivered, and how what came of that is settled.
//!
//! To send something of another kind through the outbox, give it a variant of
//! [`OutboxMessage`](crate::domain::events::OutboxMessage), implement [`Parcel`] with the flows that it belongs to, and add
//! an arm to [`Deliveries`](crate::flows::deliveries::Deliveries).

use std::fmt;

use async_trait::async_trait;

use super::settle::{Settled, settle_by_outcome};
use crate::app::App;
use crate::delivery::Outcome;
use crate::domain::events::OutboxRow;
use crate::flows::Fault;

/// What is in a row, made anew for each try.
#[async_trait]
pub trait Parcel: fmt::Debug + Send + Sync {
    /// Tries once to deliver what is in `row`, and says what came of it. It changes nothing of the row, and may remember
    /// what only [`Parcel::settle`] wants to know.
    async fn deliver(&mut self, app: &App, row: &OutboxRow) -> Outcome;

    /// Takes in what came of it: the row that was leased (or that no lease was needed for) leaves its lane, or waits there.
    /// Also said to a parcel of which nothing was tried: that was too late, or whose try was cut off.
    ///
    /// # Errors
    /// [`Fault`]; the row is delivered again when its lease is over.
    async fn settle(&self, app: &App, leased: &OutboxRow, outcome: &Outcome) -> Result<Settled, Fault> {
        settle_by_outcome(app, leased, outcome).await
    }
}

/// Tells what is in rows.
pub trait Unpack: fmt::Debug + Send + Sync {
    /// What is in `row`.
    fn unpack(&self, row: &OutboxRow) -> Box<dyn Parcel>;
}
