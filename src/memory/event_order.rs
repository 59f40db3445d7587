//! The order of the events of one process.

use std::sync::{Mutex, PoisonError};

use crate::domain::entropy::Entropy;
use crate::domain::sid::EventSid;
use crate::domain::time::Timestamp;

/// Gives out the identifiers of events, each greater than all before it: of two decisions on one record the later one is
/// made after the earlier one was committed, so the order of the keys is the order of the commits.
#[derive(Debug, Default)]
pub struct EventOrder(Mutex<u128>);

impl EventOrder {
    /// The next identifier. It tells `now`, unless an earlier one was later: a clock that is set back changes no order.
    pub fn next(&self, now: Timestamp, entropy: &dyn Entropy) -> EventSid {
        let fresh = u128::from_be_bytes(*EventSid::generate(now, entropy).as_bytes());
        let mut step = [0; 8];
        entropy.fill(&mut step);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The step is by chance so that nobody learns from an identifier how many there are. It leaves room for as many
        // more within a millisecond as the 80 bits behind the time can count.
        let behind = last.saturating_add(1 + u128::from(u64::from_le_bytes(step) >> 16));
        *last = fresh.max(behind);
        EventSid::from_bytes(last.to_be_bytes())
    }

    /// Makes all that follow greater than `sid`, which an earlier process gave out.
    pub fn begin_after(&self, sid: EventSid) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(u128::from_be_bytes(*sid.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doubles::SeededEntropy;

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    #[test]
    fn identifiers_of_one_millisecond_and_of_a_clock_set_back_are_in_order() {
        let (order, entropy) = (EventOrder::default(), SeededEntropy::new(1));
        let mut moments = vec![now(); 10_000];
        moments.extend([now().before(Duration::from_hours(1)); 100]);
        moments.push(now() + Duration::from_secs(1));
        let sids: Vec<_> = moments
            .iter()
            .map(|moment| order.next(*moment, &entropy))
            .collect();
        assert!(sids.is_sorted_by(|earlier, later| earlier < later));
        let last = sids.last().unwrap();
        assert_eq!(
            last.as_bytes()[..6],
            EventSid::generate(now() + Duration::from_secs(1), &entropy).as_bytes()[..6],
            "they tell the time again once it is later"
        );
    }

    #[test]
    fn identifiers_go_on_behind_those_of_an_earlier_process() {
        let (order, entropy) = (EventOrder::default(), SeededEntropy::new(1));
        let earlier = EventSid::generate(now() + Duration::from_hours(1), &entropy);
        order.begin_after(earlier);
        assert!(order.next(now(), &entropy) > earlier);
    }
}
