//! Wakes those who wait for a change of a challenge or a factor.

/// Everybody who waits, in this process.
#[derive(Debug, Default)]
pub struct Streams {}
