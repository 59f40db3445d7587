//! The pauses between two looks at the store of somebody who waits for a change.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::access::Admission;
use crate::app::App;
use crate::domain::challenge::Refusal;
use crate::domain::entity::EntityScope;
use crate::domain::time::Timestamp;
use crate::memory::waiters::{Interest, TooManyWait, Waiter};

/// How long nobody waits without a look at the store: a change may come from another process that shares the store, and
/// nobody in this one is woken by that. It also bounds what a fault of the waking could cost.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Somebody who waits. Made before the first look that counts, so that no change falls in between.
#[derive(Debug)]
pub(super) struct Waiting {
    waiter: Waiter,
    /// When the wait is over; never, if `None`.
    ends: Option<Instant>,
    /// When the credentials are over.
    until: Option<Timestamp>,
}

impl Waiting {
    /// Registers somebody who waits for `longest` at the most; until stopped, if `None`.
    pub(super) fn begin(
        app: &App,
        admission: &Admission,
        scope: &EntityScope,
        interest: Interest,
        longest: Option<Duration>,
    ) -> Result<Self, Refusal> {
        let registered = app
            .memory
            .waiters
            .register(scope, interest, app.policy.max_waiters);
        Ok(Self {
            waiter: registered.map_err(|TooManyWait| Refusal::TooManyWaiters)?,
            ends: longest.map(|longest| Instant::now() + longest),
            until: admission.until(),
        })
    }

    /// Whether the next look is the last one: the time or the credentials are over, somebody else has
    /// the place, or the server stops.
    pub(super) fn is_over(&self, app: &App) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
            || self.waiter.is_over()
            || self.until.is_some_and(|until| until <= app.clock.now())
            || app.memory.waiters.is_closing()
    }

    /// Pauses until there may be something to see: a change, the moment `next` (when a challenge expires, say), the end
    /// of the wait, or `longest` from now.
    pub(super) async fn pause(&self, app: &App, next: Option<Timestamp>, longest: Duration) {
        let now = app.clock.now();
        let moments = [next, self.until].into_iter().flatten();
        let pause = moments
            // Behind the moment and not on it: the two clocks do not tick together.
            .map(|moment| moment.since(now) + Duration::from_millis(1))
            .fold(longest.min(LONGEST_PAUSE), Duration::min);
        let alarm = Instant::now() + pause;
        let alarm = self.ends.map_or(alarm, |ends| ends.min(alarm));
        let _woken_or_not = timeout_at(alarm, self.waiter.woken()).await;
    }
}
