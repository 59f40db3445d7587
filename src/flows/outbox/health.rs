//! How a receiver does, as far as this process has seen.

use crate::app::App;
use crate::domain::outbox::{Lane, Reason, pause};
use crate::domain::time::Timestamp;
use crate::memory::breaker::Breaker;

/// How a receiver does. One that fails several times in a row is left alone but for single tries.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    breaker: Breaker,
    why: Option<Reason>,
}

impl Health {
    /// Why the receiver is to be left alone but for single tries, if it is.
    pub(super) fn failing(&self) -> Option<&Reason> {
        self.why.as_ref().filter(|_| self.breaker.is_open())
    }

    /// Until when the receiver is to be left alone altogether, if that is after `now`.
    pub(super) fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.breaker.paused_until(now)
    }

    /// The receiver took something.
    pub(super) fn delivered(&mut self, lane: Lane) {
        if self.breaker.succeeded() {
            tracing::info!(outbox.lane = %lane, "deliveries to {lane} succeed again");
        }
        self.why = None;
    }

    /// The receiver answered, if not as it should.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// The receiver wants to be left alone until then.
    pub(super) fn rest(&mut self, until: Timestamp) {
        self.breaker.rest(until);
    }

    /// The receiver failed.
    pub(super) fn failed(&mut self, app: &App, lane: Lane, why: &Reason) {
        let longest = lane.longest_pause();
        let pause = |pauses| pause(pauses, longest, app.entropy.as_ref());
        if self.breaker.failed(app.clock.now(), pause) {
            tracing::warn!(
                outbox.lane = %lane,
                "deliveries to {lane} fail: {why}; they are tried again with growing pauses"
            );
        }
        self.why = Some(why.clone());
    }
}
