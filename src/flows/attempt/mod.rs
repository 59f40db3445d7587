//! Attempts: what became of each try to send a code.
//!
//! An account's attempts stand in the order of their creation, and nothing else orders them: a range of dates is a range of
//! keys, every other filter looks at each attempt of that range. What one request looks at is bounded.

pub mod fetch_attempt;
mod filter;
pub mod list_attempts;
mod of_verification;
mod range;
pub mod summarize_attempts;

pub use self::filter::AttemptFilter;
