//! Why a use case said no. Each area has its own refusals, and each dialect its own words for them.

use std::time::Duration;

/// Why something was refused, for whoever runs the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalReason {
    /// [`AreaRefusal::code`].
    pub code: &'static str,
    /// In words, which may name numbers and things.
    pub words: String,
}

/// What the refusals of every area have in common.
pub trait AreaRefusal: std::error::Error + Clone + Send + Sync + 'static {
    /// The thing does not exist, or not for whoever asks.
    const NOT_FOUND: Self;

    /// What it is counted as: a name of its own for each kind of refusal, so that there are no more than kinds.
    fn code(&self) -> &'static str;

    /// After which time the same may succeed; `None` if no waiting changes it.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}
