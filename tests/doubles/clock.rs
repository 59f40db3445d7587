//! A clock for tests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign::domain::time::{Clock, Timestamp};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now`.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.millis()))
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, duration: Duration) {
        self.set(self.now() + duration);
    }

    /// Sets the clock, backwards too.
    pub(crate) fn set(&self, now: Timestamp) {
        self.0.store(now.millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
