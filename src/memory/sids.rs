//! The last identifier that this process made, so that the next is greater.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::entropy::Entropy;
use crate::domain::sid::{DrawnSid, SidSource, following};
use crate::domain::time::Timestamp;

/// Identifiers that rise, of whatever kind they are.
///
/// All that ask share one lock, held for a comparison and an addition: what is random is drawn before.
#[derive(Debug)]
pub struct RisingSids {
    entropy: Arc<dyn Entropy>,
    last: Mutex<[u8; 16]>,
}

impl RisingSids {
    /// A source that has given none yet.
    #[must_use]
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            entropy,
            last: Mutex::new([0; 16]),
        }
    }
}

impl SidSource for RisingSids {
    fn next(&self, now: Timestamp, behind: [u8; 16]) -> [u8; 16] {
        let drawn = DrawnSid::of(self.entropy.as_ref());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = following((*last).max(behind), now, &drawn);
        *last
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::sid::{ChallengeSid, EventSid, FactorSid};
    use crate::doubles::SeededEntropy;

    fn source(seed: u64) -> RisingSids {
        RisingSids::new(Arc::new(SeededEntropy::new(seed)))
    }

    #[test]
    fn order_is_creation_order_within_a_millisecond_and_with_a_clock_that_goes_back() {
        let (source, start) = (source(3), Timestamp::from_seconds(1_800_000_000));
        let mut moments = vec![start; 10_000];
        moments.extend([start.before(Duration::from_hours(1)); 100]);
        moments.push(start + Duration::from_secs(1));
        let sids: Vec<_> = moments
            .into_iter()
            .map(|moment| ChallengeSid::generate(moment, &source))
            .collect();
        assert!(sids.is_sorted_by(|earlier, later| earlier < later));
        let told = sids.last().unwrap().created_at();
        assert_eq!(
            told,
            start + Duration::from_secs(1),
            "they tell the time again once it is later"
        );
    }

    #[test]
    fn many_threads_get_rising_identifiers_that_differ() {
        let (source, now) = (source(4), Timestamp::from_seconds(1_800_000_000));
        let mut all: Vec<FactorSid> = std::thread::scope(|scope| {
            let take = || {
                (0..1000)
                    .map(|_| FactorSid::generate(now, &source))
                    .collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads
                .into_iter()
                .flat_map(|thread| {
                    let own = thread.join().unwrap();
                    assert!(own.is_sorted_by(|earlier, later| earlier < later));
                    own
                })
                .collect()
        });
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8000);
    }

    #[test]
    fn what_follows_is_greater_than_what_another_process_made() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let ahead = EventSid::generate(now + Duration::from_hours(1), &source(5));
        let here = source(6);
        let next = EventSid::generate_after(Some(ahead), now, &here);
        assert!(next > ahead);
        assert!(
            EventSid::generate(now, &here) > next,
            "nor does it fall back afterwards"
        );
        assert_eq!(EventSid::generate_after(None, now, &source(7)).created_at(), now);
    }

    #[test]
    fn a_neighbour_is_not_guessed() {
        let (source, now) = (source(8), Timestamp::from_seconds(1_800_000_000));
        let mut last = FactorSid::generate(now, &source);
        for _ in 0..1000 {
            let next = FactorSid::generate(now, &source);
            let way = u128::from_be_bytes(*next.as_bytes()) - u128::from_be_bytes(*last.as_bytes());
            assert!(way > 1 << 40, "{way}: not one in ten million is so near");
            last = next;
        }
    }
}
