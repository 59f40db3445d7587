//! Codes on their way: which sender gets one ([`route`]), the row and the attempt that carry it there ([`enqueue`]), the
//! message ([`deliver_code`]), what is learnt from it ([`learning`]); and silent authentication, where the device comes to
//! this server instead ([`confirm_silent`]).
//!
//! What becomes of a code that a sender did not take is settled with its outbox row (`outbox::settle_code`).

pub(crate) mod attempts;
mod compose;
pub mod confirm_silent;
pub mod deliver_code;
pub mod enqueue;
pub mod learning;
pub mod route;
pub mod silent_token;

#[cfg(test)]
mod tests;
