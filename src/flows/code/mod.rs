//! A code's life: which code a message carries (`next_code`), by which sender it leaves (`route`), what is written and
//! asked before it may (`send`), the message (`compose`), the try (`deliver`), what follows from it (`settle`), and what
//! is learnt from it and from approvals ([`learn_from_stored`]).

mod compose;
mod deliver;
mod learn;
mod next_code;
mod records;
mod route;
mod send;
mod settle;

#[cfg(test)]
mod tests;

pub use self::deliver::CodeParcel;
pub use self::learn::learn_from_stored;
pub(crate) use self::learn::{learn, note_conversion, tell_conversion};
pub(crate) use self::next_code::{next_code, open_code};
pub(crate) use self::records::{SendingAt, new_attempt, put_attempt, put_new_attempt, put_verification};
pub(crate) use self::route::route;
pub(crate) use self::send::{SendOrder, send};
