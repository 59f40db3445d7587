//! What this process knows of the servers that share its store, itself among them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::node::{ClockOffset, ClockVerdict, Duty, NodeId};
use crate::domain::time::Timestamp;

/// What is known of the servers that share the store. Nothing where nobody shares it.
#[derive(Debug, Default)]
pub struct NodeMemory(Mutex<KnownNodes>);

#[derive(Debug, Default)]
struct KnownNodes {
    /// What this process is called in the register, while it stands there.
    ours: Option<NodeId>,
    /// How many servers run, this one included.
    live: usize,
    clock: Option<ClockOffset>,
    /// How often in a row the clock was found wrong.
    found_wrong: u32,
    /// How often in a row the others could not be told that this process runs.
    unheard: u32,
    /// Until when each duty is ours, by the database's clock.
    duties: BTreeMap<Duty, Timestamp>,
}

impl NodeMemory {
    /// Notes that this process stands in the register.
    pub fn joined(&self, node: NodeId) {
        self.lock().ours = Some(node);
    }

    /// Notes that it stands there no longer, so nobody waits for what it does.
    pub fn left(&self) {
        *self.lock() = KnownNodes::default();
    }

    /// How many servers run on the store, as far as this one knows; `None` if it does not stand in the register.
    pub fn live(&self) -> Option<usize> {
        let known = self.lock();
        known.ours.map(|_| known.live)
    }

    /// Notes how many servers run, this one included.
    pub fn set_live(&self, live: usize) {
        self.lock().live = live;
    }

    /// How far the database's clock is ahead of ours, when it was last told.
    pub fn clock(&self) -> Option<ClockOffset> {
        self.lock().clock
    }

    /// Notes how far the database's clock is ahead of ours.
    pub fn set_clock(&self, offset: ClockOffset) {
        self.lock().clock = Some(offset);
    }

    /// What the database's clock shows when ours shows `now`: the one time that all servers of a store have. Ours, as long as
    /// nothing is known of it.
    pub fn database_at(&self, now: Timestamp) -> Timestamp {
        self.clock().map_or(now, |offset| offset.database_at(now))
    }

    /// Notes what was found of the clock. What others say of theirs may be of before a jump of the database's, so only a second
    /// verdict in a row counts.
    pub fn judge_clock(&self, verdict: ClockVerdict) {
        let mut known = self.lock();
        known.found_wrong = match verdict {
            ClockVerdict::Wrong => known.found_wrong.saturating_add(1),
            ClockVerdict::Right | ClockVerdict::Noticeable | ClockVerdict::DatabaseIsWrong => 0,
        };
    }

    /// Whether the clock is too far from the others' for this process to take requests or duties.
    pub fn clock_is_wrong(&self) -> bool {
        self.lock().found_wrong > 1
    }

    /// Notes whether the others could be told that this process runs. That is a change of the store, so it says whether the store
    /// takes any.
    pub fn told_others(&self, told: bool) {
        let mut known = self.lock();
        known.unheard = if told { 0 } else { known.unheard.saturating_add(1) };
    }

    /// Whether the store has taken no change for so long that this is no fail-over. Whoever has the store alone finds out with
    /// each request instead.
    pub fn store_takes_no_change(&self) -> bool {
        self.lock().unheard > 1
    }

    /// Notes until when each duty is ours; others are not.
    pub fn set_duties(&self, duties: BTreeMap<Duty, Timestamp>) {
        self.lock().duties = duties;
    }

    /// Whether this process is to do what one of all has to, at `now` by its own clock. Whoever does not stand in the register
    /// does all by itself.
    pub fn has_duty(&self, duty: Duty, now: Timestamp) -> bool {
        let now = self.database_at(now);
        let known = self.lock();
        known.ours.is_none() || known.duties.get(&duty).is_some_and(|until| now < *until)
    }

    fn lock(&self) -> MutexGuard<'_, KnownNodes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
