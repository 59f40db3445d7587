//! What whoever helps users needs: where somebody is known, how things stand and why, and opening again what is closed.
//!
//! - [`find`]: where somebody is known by what they are called.
//! - [`guards`]: which guards against toll fraud hold up codes to them.
//! - [`report`]: how things stand with them, with the decisions of the audit log.
//! - [`unlock`]: lifts what closes their factors.
//! - [`reset`]: takes their factors away, so that they enrol anew.
//! - [`delete`]: takes away all that is theirs.
//!
//! Invariant: nothing here weakens the protection against replay. What time steps were used stays used, and what ended for good
//! stays ended.

pub mod delete;
pub mod find;
pub mod guards;
pub mod report;
pub mod reset;
pub mod unlock;

#[cfg(test)]
mod tests;
