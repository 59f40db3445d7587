//! Randomness as an argument: flows are handed an [`Entropy`], so that tests can seed it.
//!
//! Invariant: [`SystemEntropy`] is the only place of the library that asks the system for random bytes.

use std::fmt;

/// A source of random bytes.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// When the system has no random bytes to give: nothing that needs a secret may go on then.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that may ask the system for random bytes"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system gives random bytes");
    }
}
