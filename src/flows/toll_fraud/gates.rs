//! Lets one request at a time ask the store for a counter, so that a thousand do not all come in each other's way.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::MutexGuard;

use crate::app::Gates;
use crate::domain::toll_fraud::budget::Counter;

/// Waits until nobody else asks for any of `counters`. All of the gates are entered in one order, so nobody waits for
/// somebody who waits for him; whoever is inside must not enter again.
pub(super) async fn enter<'a>(
    gates: &'a Gates,
    counters: impl Iterator<Item = &Counter>,
) -> Vec<MutexGuard<'a, ()>> {
    let places: BTreeSet<usize> = counters.map(|counter| place(gates, counter)).collect();
    let mut entered = Vec::with_capacity(places.len());
    for place in places {
        if let Some(gate) = gates.at(place) {
            entered.push(gate.lock().await);
        }
    }
    entered
}

fn place(gates: &Gates, counter: &Counter) -> usize {
    let mut hasher = DefaultHasher::new();
    counter.hash(&mut hasher);
    let count = u64::try_from(gates.count()).unwrap_or(u64::MAX).max(1);
    usize::try_from(hasher.finish() % count).unwrap_or_default()
}
