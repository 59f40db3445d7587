//! The outbox: what is to be sent to others, written in the batch of the state change that it tells of and sent after it.

mod announce;
mod deliver_push;
mod deliver_webhook;

pub(crate) use self::announce::{announce, notify_device};
pub use self::deliver_push::deliver_push;
pub use self::deliver_webhook::deliver_webhook;
