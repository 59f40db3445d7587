//! A code's life: which code a message carries and what is asked and written before it may leave (`send`), by which sender
//! that is (`route`), the message (`compose`), the try (`deliver`), what follows from it (`settle`), and what
//! is learnt from it and from approvals ([`learn_from_stored`]).

mod compose;
mod deliver;
mod learn;
mod records;
mod route;
mod send;
mod settle;

#[cfg(test)]
mod tests;

pub use self::deliver::CodeParcel;
pub use self::learn::learn_from_stored;
pub(crate) use self::learn::{key_to_convert, learn, note_conversion, tell_conversion};
pub(crate) use self::records::{SendingAt, new_attempt, put_attempt, put_new_attempt, put_verification};
pub(crate) use self::route::{Way, route};
pub(crate) use self::send::{Outgoing, SendOrder, keys_to_send, next_code, open_code, send};
