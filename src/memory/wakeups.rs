//! Tells the outbox's worker, in memory, that there is something new: nothing is lost if nobody listens, because the
//! worker also looks for itself from time to time.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::outbox::Lane;

/// Where those who have committed something to be sent say so.
#[derive(Debug, Default)]
pub struct Wakeups {
    woken: Mutex<BTreeSet<Lane>>,
    notify: Notify,
}

impl Wakeups {
    /// Says that these lanes have new rows, which are committed.
    pub fn wake(&self, lanes: impl IntoIterator<Item = Lane>) {
        let mut woken = self.lock();
        for lane in lanes {
            // Whoever stops listening costs no memory: lanes beyond this many are found by the worker's own look.
            if woken.len() < MOST_LANES {
                woken.insert(lane);
            }
        }
        drop(woken);
        self.notify.notify_one();
    }

    /// Waits until there is something new; the lanes that have it.
    pub async fn wait(&self) -> BTreeSet<Lane> {
        loop {
            self.notify.notified().await;
            let woken = self.take();
            if !woken.is_empty() {
                return woken;
            }
        }
    }

    /// The lanes that have something new, without waiting.
    pub fn take(&self) -> BTreeSet<Lane> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Lane>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MOST_LANES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outbox::Receiver;
    use crate::domain::sid::{AccountSid, WebhookSid};

    #[tokio::test]
    async fn a_wakeup_that_comes_before_anybody_waits_is_kept() {
        let wakeups = Wakeups::default();
        let lane = Lane {
            account: AccountSid::from_bytes([2; 16]),
            receiver: Receiver::Webhook(WebhookSid::from_bytes([1; 16])),
        };
        wakeups.wake([lane]);
        wakeups.wake([lane]);
        assert_eq!(wakeups.wait().await, BTreeSet::from([lane]));
        assert!(wakeups.take().is_empty());
    }
}
