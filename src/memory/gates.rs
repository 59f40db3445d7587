//! Lets one request at a time do what concerns a key, so that a thousand do not all come in each other's way.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

/// Locks that stand for many more keys, each key always for the same one.
#[derive(Debug)]
pub struct Gates(Vec<Mutex<()>>);

impl Gates {
    /// Waits until nobody else is inside for any of `keys`. All of the gates are entered in one order, so nobody waits for
    /// somebody who waits for him; whoever is inside must not enter again.
    pub async fn enter<'a, K: Hash + 'a>(
        &self,
        keys: impl Iterator<Item = &'a K>,
    ) -> Vec<MutexGuard<'_, ()>> {
        let places: BTreeSet<usize> = keys.map(|key| self.place(key)).collect();
        let mut entered = Vec::with_capacity(places.len());
        for place in places {
            if let Some(gate) = self.0.get(place) {
                entered.push(gate.lock().await);
            }
        }
        entered
    }

    fn place(&self, key: &impl Hash) -> usize {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let count = u64::try_from(self.0.len()).unwrap_or(u64::MAX).max(1);
        usize::try_from(hasher.finish() % count).unwrap_or_default()
    }
}

impl Default for Gates {
    fn default() -> Self {
        Self(std::iter::repeat_with(Mutex::default).take(256).collect())
    }
}
