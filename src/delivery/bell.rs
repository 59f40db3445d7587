//! Tells the outbox's worker, in memory, that there is something new: nothing is lost if nobody listens, because the
//! worker also looks for itself from time to time.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::outbox::Lane;

/// Where those ring who have committed something to be sent.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<BTreeSet<Lane>>,
    notify: Notify,
}

impl Bell {
    /// Says that these lanes have new rows, which are committed.
    pub fn ring(&self, lanes: impl IntoIterator<Item = Lane>) {
        let mut rung = self.lock();
        for lane in lanes {
            // Whoever stops listening costs no memory: lanes beyond this many are found by the worker's own look.
            if rung.len() < MOST_LANES {
                rung.insert(lane);
            }
        }
        drop(rung);
        self.notify.notify_one();
    }

    /// Waits until there is something new; the lanes that have it.
    pub async fn heard(&self) -> BTreeSet<Lane> {
        loop {
            self.notify.notified().await;
            let rung = self.take();
            if !rung.is_empty() {
                return rung;
            }
        }
    }

    /// The lanes that have something new, without waiting.
    pub fn take(&self) -> BTreeSet<Lane> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Lane>> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MOST_LANES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sid::WebhookSid;

    #[tokio::test]
    async fn what_was_rung_before_anybody_listened_is_heard() {
        let (bell, lane) = (Bell::default(), Lane::Webhook(WebhookSid::from_bytes([1; 16])));
        bell.ring([lane]);
        bell.ring([lane]);
        assert_eq!(bell.heard().await, BTreeSet::from([lane]));
        assert!(bell.take().is_empty());
    }
}
