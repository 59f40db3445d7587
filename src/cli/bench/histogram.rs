//! Latencies in a fixed amount of memory.

use std::time::Duration;

/// Counts of microseconds. Up to 64 each has its own bucket; above, 64 buckets to every doubling keep the error under
/// 1.6 %.
#[derive(Clone)]
pub(super) struct Histogram {
    buckets: Box<[u64; BUCKETS]>,
    count: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            buckets: Box::new([0; BUCKETS]),
            count: 0,
        }
    }

    pub(super) fn record(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.buckets[bucket_of(micros)] += 1;
        self.count += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The latency in milliseconds that `per_mille` of the requests did not exceed; zero when there were none.
    pub(super) fn quantile_ms(&self, per_mille: u64) -> f64 {
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return f64::from(lower_bound(bucket)) / 1000.0;
            }
        }
        0.0
    }
}

fn bucket_of(micros: u32) -> usize {
    if micros < LINEAR {
        return micros as usize;
    }
    let shift = micros.ilog2() - LINEAR.ilog2();
    // The top seven bits: their leading one counts the bucket row once more, hence `shift` and not `shift + 1` rows.
    (shift * LINEAR + (micros >> shift)) as usize
}

fn lower_bound(bucket: usize) -> u32 {
    let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
    if bucket < 2 * LINEAR {
        return bucket;
    }
    let shift = bucket / LINEAR - 1;
    (bucket - shift * LINEAR) << shift
}

const LINEAR: u32 = 64;
const BUCKETS: usize = 64 * 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_falls_into_a_bucket_that_is_near_it() {
        for micros in (0..200_000).chain([1 << 25, u32::MAX - 1, u32::MAX]) {
            let low = lower_bound(bucket_of(micros));
            assert!(low <= micros, "{micros} is counted as {low}");
            assert!(
                u64::from(micros - low) * 64 <= u64::from(micros),
                "{micros} is counted as {low}"
            );
        }
    }

    #[test]
    fn quantiles_of_a_thousand_known_latencies() {
        let mut halves = [Histogram::new(), Histogram::new()];
        for millis in 1..=1000 {
            halves[millis % 2].record(Duration::from_millis(millis as u64));
        }
        let [mut all, other] = halves;
        all.merge(&other);
        assert_eq!(all.count(), 1000);
        for (per_mille, expected) in [(500, 500.0), (990, 990.0), (1000, 1000.0)] {
            let got = all.quantile_ms(per_mille);
            assert!((expected * 0.984..=expected).contains(&got), "{got}");
        }
        assert!(Histogram::new().quantile_ms(500).abs() < f64::EPSILON);
    }
}
