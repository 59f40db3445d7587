//! How a receiver does, as far as this process has seen.

use crate::app::App;
use crate::domain::outbox::{Lane, Reason, pause};
use crate::domain::time::Timestamp;

/// How a receiver does. One that fails several times in a row is left alone but for single tries, so that a dead one costs
/// next to nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    failures: u32,
    pauses: u32,
    resume_at: Option<Timestamp>,
    why: Option<Reason>,
}

impl Health {
    /// Why the receiver is to be left alone but for single tries, if it is.
    pub(super) fn failing(&self) -> Option<&Reason> {
        self.why
            .as_ref()
            .filter(|_| self.failures >= FAILURES_UNTIL_FAILING)
    }

    /// Until when the receiver is to be left alone altogether, if that is after `now`.
    pub(super) fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.resume_at.filter(|at| *at > now)
    }

    /// The receiver took something.
    pub(super) fn delivered(&mut self, lane: Lane) {
        if self.failing().is_some() {
            tracing::info!(outbox.lane = %lane, "deliveries to {lane} succeed again");
        }
        *self = Self::default();
    }

    /// The receiver answered, if not as it should.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// The receiver wants to be left alone until then.
    pub(super) fn rest(&mut self, until: Timestamp) {
        self.resume_at = self.resume_at.max(Some(until));
    }

    /// The receiver failed.
    pub(super) fn failed(&mut self, app: &App, lane: Lane, why: &Reason) {
        self.failures = self.failures.saturating_add(1);
        self.why = Some(why.clone());
        if self.failures < FAILURES_UNTIL_FAILING {
            return;
        }
        if self.failures == FAILURES_UNTIL_FAILING {
            tracing::warn!(
                outbox.lane = %lane,
                "deliveries to {lane} fail: {why}; they are tried again with growing pauses"
            );
        }
        let now = app.clock.now();
        // Those that were under way together and fail together are one reason for one pause.
        if self.paused_until(now).is_none() {
            self.resume_at = Some(now + pause(self.pauses, lane.longest_pause(), app.entropy.as_ref()));
            self.pauses = self.pauses.saturating_add(1);
        }
    }
}

/// A receiver that fails now and then is not worth a pause nor a line in the log.
const FAILURES_UNTIL_FAILING: u32 = 5;
