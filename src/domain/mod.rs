//! What accounts, services, entities, factors and challenges are, and how they are decided.
//!
//! Invariant: pure. Nothing here knows HTTP, the store's engines, tasks or JSON; time and randomness are arguments.

pub mod entropy;
pub mod sid;
pub mod time;
pub mod totp_algorithm;
