//! The audit log. Each commit tells of itself (see [`reading`](super::reading)); here is what follows.
//!
//! - `acts`: what operators do that changes no record.
//! - `integrity`: what was read that no server of this store wrote.
//! - `strangers`: who was not let in.
//! - `left_out`: what was only counted.
//! - [`seal`]: the chain behind the entries.
//! - [`verify`]: whether it holds.
//! - [`list`]: the entries, for whoever looks for some.

mod acts;
mod integrity;
mod left_out;
pub mod list;
pub mod seal;
mod strangers;
pub mod verify;

#[cfg(test)]
mod tests;

pub use self::acts::{record_act, record_conversion, tell_accounts};
pub(crate) use self::strangers::note_stranger;
pub use super::reading::{AuditScope, NOBODY, carried, note_author, note_dialect, within};
pub(crate) use super::reading::{decide, note_decided_challenge, note_entity, note_factor, note_subject};
