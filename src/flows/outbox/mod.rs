//! The outbox: what is to be sent to others, written in the batch of the state change that it tells of and sent after it.
//!
//! Rows lie in lanes, one for each receiver. The [`Worker`](worker::Worker) has each lane visited (`visit`) when something
//! is due there: it reads on from the oldest row (`pass`), leases what it sends (`lease`), sends it ([`deliver`]), and
//! settles it by what came of it (`settle_delivery`): the row is gone, or waits for its next try, or is given up (`give_up`)
//! and can be looked at and put back ([`dead_letters`]).
//!
//! Invariant: a row leaves its lane only when its receiver has it, when there is nothing to deliver any more, or together
//! with the commit that writes its dead letter, or that writes the row by which another receiver gets the same (codes, of
//! which several senders may be capable: `settle_code`). So every event arrives at least once or is a dead letter.

pub mod dead_letters;
pub mod deliver;
mod give_up;
mod health;
mod lanes;
mod lease;
pub mod list_waiting;
mod pass;
pub mod prepare;
mod rows;
mod settle_code;
mod settle_delivery;
mod visit;
pub mod worker;

pub(crate) use self::rows::{commit_and_ring, put_new_row, put_row};
