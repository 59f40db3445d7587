//! What tests put in the place of the world: time that stands still, chance that repeats itself.
//!
//! The library's own tests and those of `tests/it` share these files.

mod clock;
mod entropy;
mod parts;
pub(crate) mod watch;

pub(crate) use self::clock::ManualClock;
pub(crate) use self::entropy::SeededEntropy;
pub(crate) use self::parts::{TestParts, policy};
