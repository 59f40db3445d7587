//! What a sender proves itself with.

use std::fmt;

use zeroize::Zeroizing;

/// A password or an API key. It cannot be printed.
#[derive(Clone)]
pub struct SenderSecret(Zeroizing<String>);

impl SenderSecret {
    /// `text` is wiped when this is dropped.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SenderSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
