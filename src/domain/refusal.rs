//! Why a use case said no. Each area has its own refusals, and each dialect its own words for them.

use std::time::Duration;

/// What the refusals of every area have in common.
pub trait AreaRefusal: std::error::Error + Clone + Send + Sync + 'static {
    /// The thing does not exist, or not for whoever asks.
    const NOT_FOUND: Self;

    /// After which time the same may succeed; `None` if no waiting changes it.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}
