//! What one connection has at work: how many requests, and about how much memory they hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::dialect::{RequestStage, Stage};
use crate::server::ClientLimits;
use crate::server::requests::RequestPlace;

/// The requests of one connection that are not over. One whose client reset its stream is over only when nobody works at
/// it any more, so that no client has more at work than it may by giving up what it asked for.
#[derive(Debug)]
pub(super) struct InFlight {
    began: Instant,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    /// When the last one was over, in milliseconds since the connection began.
    idle_since: AtomicU64,
    /// Where others see whether there is one.
    occupied: Arc<RequestStage>,
    /// The last answer said that nobody known had asked.
    of_stranger: AtomicBool,
    stranger_asked: Notify,
}

/// One request in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    among: Arc<InFlight>,
    bytes: AtomicUsize,
    _place: RequestPlace,
}

impl InFlight {
    pub(super) fn new(occupied: Arc<RequestStage>) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            occupied,
            of_stranger: AtomicBool::new(false),
            stranger_asked: Notify::new(),
        })
    }

    /// One more that holds so many bytes; `None` if there are `most` already, or they hold more than they may together.
    pub(super) fn begin(
        self: &Arc<Self>,
        bytes: usize,
        most: usize,
        place: RequestPlace,
    ) -> Option<Arc<Counted>> {
        // Only the connection's own task begins requests, so that none comes in between.
        if self.requests.load(Ordering::Acquire) >= most || self.bytes.load(Ordering::Acquire) > MOST_BYTES {
            return None;
        }
        self.requests.fetch_add(1, Ordering::AcqRel);
        self.occupied.reach(Stage::Answering);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        Some(Arc::new(Counted {
            among: Arc::clone(self),
            bytes: AtomicUsize::new(bytes),
            _place: place,
        }))
    }

    /// Waits until somebody who is not known was answered.
    pub(super) async fn stranger_asked(&self) {
        self.stranger_asked.notified().await;
    }

    /// How long there may be none.
    pub(super) fn patience(&self, limits: &ClientLimits) -> Duration {
        if self.of_stranger.load(Ordering::Acquire) {
            limits.stranger
        } else {
            limits.idle
        }
    }

    /// Since when there is none.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.requests.load(Ordering::Acquire) == 0;
        idle.then(|| self.began + Duration::from_millis(self.idle_since.load(Ordering::Acquire)))
    }
}

impl Counted {
    /// So many bytes of the request's body were read.
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.among.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// The request is answered; `stranger` if nobody known had asked.
    pub(super) fn answered_a_stranger(&self, stranger: bool) {
        self.among.of_stranger.store(stranger, Ordering::Release);
        if stranger {
            self.among.stranger_asked.notify_one();
        }
    }

    /// The request holds so many bytes now: its head and body are gone, its answer is there.
    pub(super) fn weigh(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::AcqRel);
        self.among.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.among.bytes.fetch_sub(before, Ordering::AcqRel);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let now = u64::try_from(self.among.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Before it is seen that there is none.
        self.among.idle_since.store(now, Ordering::Release);
        self.among
            .bytes
            .fetch_sub(*self.bytes.get_mut(), Ordering::AcqRel);
        if self.among.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.among.occupied.reach(Stage::Idle);
            // One that began in between is not to be overlooked.
            if self.among.requests.load(Ordering::Acquire) > 0 {
                self.among.occupied.reach(Stage::Answering);
            }
        }
    }
}

/// Heads and bodies that are being answered, and answers that are not read yet. Beyond it nothing new is begun.
const MOST_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::requests::RequestsAtWork;
    use crate::web::client_address::TrustedProxies;

    fn place() -> RequestPlace {
        let all = RequestsAtWork::new(1, TrustedProxies::default());
        let peer = std::net::IpAddr::from([192, 0, 2, 1]);
        let never = crate::dialect::Drain::new(tokio::sync::watch::channel(false).1);
        all.begin(peer, &axum::http::HeaderMap::new(), &never).unwrap()
    }

    #[test]
    fn requests_count_until_they_are_over() {
        let requests = InFlight::new(Arc::default());
        assert!(requests.idle_since().is_some());
        let one = requests.begin(100, 2, place()).unwrap();
        let other = requests.begin(100, 2, place()).unwrap();
        assert!(requests.begin(100, 2, place()).is_none() && requests.idle_since().is_none());
        drop(one);
        let third = requests.begin(100, 2, place()).unwrap();
        drop((other, third));
        assert!(requests.idle_since().is_some());
        assert_eq!(requests.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn nothing_is_begun_while_answers_that_nobody_reads_fill_the_memory() {
        let requests = InFlight::new(Arc::default());
        let one = requests.begin(100, 9, place()).unwrap();
        one.weigh(MOST_BYTES + 1);
        assert!(requests.begin(100, 9, place()).is_none());
        one.weigh(10);
        one.add(MOST_BYTES);
        assert!(requests.begin(100, 9, place()).is_none());
        one.weigh(10);
        assert!(requests.begin(100, 9, place()).is_some());
        drop(one);
        assert_eq!(requests.bytes.load(Ordering::Relaxed), 0);
    }
}
