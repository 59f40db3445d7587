//! What is in the rows of the outbox, and to whose flows it belongs.

use crate::domain::events::{OutboxMessage, OutboxRow};
use crate::flows::code::CodeParcel;
use crate::flows::event::EventParcel;
use crate::flows::outbox::{Parcel, Unpack};
use crate::flows::push::PushParcel;

/// Delivers to webhooks, devices and senders of codes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deliveries;

impl Unpack for Deliveries {
    fn unpack(&self, row: &OutboxRow) -> Box<dyn Parcel> {
        match &row.message {
            OutboxMessage::Blocked { .. } | OutboxMessage::Notice { .. } | OutboxMessage::Webhook { .. } => {
                Box::new(EventParcel)
            }
            OutboxMessage::Code(code) => Box::new(CodeParcel::new(code.clone())),
            OutboxMessage::Push { .. } => Box::new(PushParcel::default()),
        }
    }
}
