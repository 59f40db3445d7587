//! Counts how often something was how much, without a lock.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::histogram::{HistogramCounts, PLACES, Scale};

/// Counts values by the bounds of `S` between which they lie. Whoever counts neither waits nor allocates.
#[derive(Debug)]
pub(crate) struct AtomicHistogram<S> {
    counts: [AtomicU64; PLACES],
    sum: AtomicU64,
    scale: PhantomData<S>,
}

impl<S> Default for AtomicHistogram<S> {
    fn default() -> Self {
        Self {
            counts: Default::default(),
            sum: AtomicU64::new(0),
            scale: PhantomData,
        }
    }
}

impl<S: Scale> AtomicHistogram<S> {
    /// Counts a value.
    pub(crate) fn count(&self, value: u64) {
        self.counts[S::place(value)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a time, in microseconds.
    pub(crate) fn count_time(&self, time: Duration) {
        self.count(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> HistogramCounts {
        let counts = std::array::from_fn(|place| self.counts[place].load(Ordering::Relaxed));
        HistogramCounts::new::<S>(counts, self.sum.load(Ordering::Relaxed))
    }
}
