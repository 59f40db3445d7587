//! How often something was how much, for the operators' metrics.

/// What values are told apart by.
pub trait Scale {
    /// The greatest values that are counted at each place, rising; at most 15. What is greater than all of them is counted
    /// behind them.
    const BOUNDS: &'static [u64];
    /// How many of what is counted make one of what is shown: a million where microseconds are counted and seconds shown.
    const UNIT: u32;

    /// At which place a value is counted.
    #[must_use]
    fn place(value: u64) -> usize {
        Self::BOUNDS.partition_point(|bound| *bound < value)
    }
}

/// How long a change takes to become durable: from a fast disk to a database that hangs.
#[derive(Debug)]
pub struct CommitTimes;

impl Scale for CommitTimes {
    const BOUNDS: &'static [u64] = &[
        250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    ];
    const UNIT: u32 = 1_000_000;
}

/// How many changes become durable together.
#[derive(Debug)]
pub struct GroupSizes;

impl Scale for GroupSizes {
    const BOUNDS: &'static [u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
    const UNIT: u32 = 1;
}

/// How long providers and people take: from an answer at once to a code that is nearly over.
#[derive(Debug)]
pub struct DeliveryTimes;

impl Scale for DeliveryTimes {
    const BOUNDS: &'static [u64] = &[
        50_000,
        100_000,
        250_000,
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        30_000_000,
        60_000_000,
        120_000_000,
        300_000_000,
        600_000_000,
    ];
    const UNIT: u32 = 1_000_000;
}

/// The most places: one for each bound, and one behind them.
pub const PLACES: usize = 16;

/// What was counted up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramCounts {
    bounds: &'static [u64],
    unit: u32,
    counts: [u64; PLACES],
    sum: u64,
}

impl HistogramCounts {
    /// So many values at each place of `S`, and all of them together.
    #[must_use]
    pub fn new<S: Scale>(counts: [u64; PLACES], sum: u64) -> Self {
        const { assert!(S::BOUNDS.len() < PLACES) }
        Self {
            bounds: S::BOUNDS,
            unit: S::UNIT,
            counts,
            sum,
        }
    }

    /// Nothing was counted yet, of what is told apart by `S`.
    #[must_use]
    pub fn of<S: Scale>() -> Self {
        Self::new::<S>([0; PLACES], 0)
    }

    /// Counts a time, in microseconds.
    pub fn count_time(&mut self, time: std::time::Duration) {
        let value = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// How many values were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each bound as it is shown, and how many values lie between it and the one before; the last bound is infinite.
    pub fn shown(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().map(|bound| self.in_units(*bound));
        bounds.chain([f64::INFINITY]).zip(self.counts)
    }

    /// All values together, as they are shown.
    #[must_use]
    pub fn shown_sum(&self) -> f64 {
        self.in_units(self.sum)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "bounds are small, and a sum need not be exact beyond 2^53 microseconds, 285 years"
    )]
    fn in_units(&self, value: u64) -> f64 {
        value as f64 / f64::from(self.unit.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_below_the_first_bound_that_is_not_smaller() {
        struct Tens;
        impl Scale for Tens {
            const BOUNDS: &'static [u64] = &[10, 20];
            const UNIT: u32 = 10;
        }
        let mut counts = [0; PLACES];
        for value in [0, 10, 11, 20, 21, 1000] {
            counts[Tens::place(value)] += 1;
        }
        let counts = HistogramCounts::new::<Tens>(counts, 1062);
        let shown: Vec<_> = counts.shown().collect();
        assert_eq!(shown, [(1.0, 2), (2.0, 2), (f64::INFINITY, 2)]);
        assert_eq!(counts.total(), 6);
        assert!((counts.shown_sum() - 106.2).abs() < 1e-9);
    }

    #[test]
    fn every_scale_rises() {
        for bounds in [CommitTimes::BOUNDS, GroupSizes::BOUNDS, DeliveryTimes::BOUNDS] {
            assert!(bounds.is_sorted_by(|one, next| one < next), "{bounds:?}");
        }
    }
}
