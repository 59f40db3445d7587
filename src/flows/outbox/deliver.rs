//! Delivering a row, whatever it is.

use std::fmt;

use async_trait::async_trait;

use crate::app::App;
use crate::delivery::Outcome;
use crate::domain::events::{OutboxMessage, OutboxRow};
use crate::domain::time::Timestamp;
use crate::flows::code_delivery::deliver_code::deliver_code;
use crate::flows::event::deliver_webhook;
use crate::flows::push::deliver_push;

/// Delivers rows. It tries once and says what came of it; it changes nothing of the row.
#[async_trait]
pub trait Deliver: fmt::Debug + Send + Sync {
    /// Tries to deliver `row`.
    async fn deliver(&self, app: &App, row: &OutboxRow) -> Tried;
}

/// What came of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// What came of it.
    pub outcome: Outcome,
    /// What there is to say of a code besides.
    pub code: CodeNote,
}

/// What there is to say of a code that was tried to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeNote {
    /// What the provider calls the message.
    pub reference: Option<String>,
    /// In which language the message was written.
    pub locale: Option<String>,
    /// Why nothing was tried, if nothing was.
    pub untried: Option<Untried>,
}

/// Why nothing was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untried {
    /// This server itself failed; it looks again then.
    Fault(Timestamp),
    /// The sender is left alone until then.
    LeftAlone(Timestamp),
}

impl From<Outcome> for Tried {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            code: CodeNote::default(),
        }
    }
}

/// Delivers to webhooks, devices and senders of codes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToReceivers;

#[async_trait]
impl Deliver for ToReceivers {
    async fn deliver(&self, app: &App, row: &OutboxRow) -> Tried {
        match &row.message {
            OutboxMessage::Code(code) => deliver_code(app, code).await,
            OutboxMessage::Push { .. } => deliver_push(app, row).await.into(),
            OutboxMessage::Blocked { .. } | OutboxMessage::Webhook { .. } => {
                deliver_webhook(app, row).await.into()
            }
        }
    }
}
