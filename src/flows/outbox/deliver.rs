//! Delivering a row, whatever it is.

use std::fmt;

use async_trait::async_trait;

use super::{deliver_push, deliver_webhook};
use crate::app::App;
use crate::delivery::Outcome;
use crate::domain::events::{OutboxMessage, OutboxRow};

/// Delivers rows. It tries once and says what came of it; it changes nothing of the row.
#[async_trait]
pub trait Deliver: fmt::Debug + Send + Sync {
    /// Tries to deliver `row`.
    async fn deliver(&self, app: &App, row: &OutboxRow) -> Outcome;
}

/// Delivers to webhooks and devices.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToReceivers;

#[async_trait]
impl Deliver for ToReceivers {
    async fn deliver(&self, app: &App, row: &OutboxRow) -> Outcome {
        match row.message {
            OutboxMessage::Push { .. } => deliver_push(app, row).await,
            OutboxMessage::Blocked { .. } | OutboxMessage::Webhook { .. } => deliver_webhook(app, row).await,
        }
    }
}
