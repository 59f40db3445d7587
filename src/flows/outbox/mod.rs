//! The outbox: what is to be sent to others, written in the batch of the state change that it tells of and sent after it.
//!
//! Rows lie in lanes, one for each receiver. The [`Worker`](worker::Worker) has each lane visited (`visit`) when something
//! is due there: it reads on from the oldest row (`lane_reader`), leases what it sends (`rows`), has it delivered and
//! settled by whoever knows what is in it ([`Parcel`]): the row is gone, or waits for its next try, or is given up and can
//! be looked at and put back ([`dead_letters`]).
//!
//! Invariant: a row leaves its lane only when its receiver has it, when there is nothing to deliver any more, or together
//! with the commit that writes its dead letter, or that writes the row by which another receiver gets the same. So every
//! event arrives at least once or is a dead letter.
//!
//! Invariant: this folder knows rows and parcels, not what is in them, and imports no other flow.

pub mod dead_letters;
mod lane_reader;
mod lanes;
mod letter_lines;
mod parcel;
mod queue;
mod rows;
mod visit;
pub mod worker;

pub(crate) use self::dead_letters::give_up;
pub(crate) use self::lanes::require_room;
pub use self::lanes::{After, count_waiting, list_waiting};
pub(crate) use self::parcel::still_leased;
pub use self::parcel::{Parcel, Settled, Unpack};
pub(crate) use self::rows::{put_new_row, put_row};
