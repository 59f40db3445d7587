//! The worker: knows which lanes have something, and has each visited when something is due there.
//!
//! A lane is visited by one task at a time. A bounded number of visits run at once, each for a bounded time if others wait;
//! each has at least one delivery under way, and as many as its receiver may get as long as there are permits for more. So a
//! slow or dead receiver takes a place for a while, but never keeps another one from getting something.
//!
//! Codes, pushes and webhooks have pools of their own, and in each what is slow or fails has places of its own (`queue`).
//! Within a pool no account takes so much that there is nothing left for another one.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use super::lanes::lanes;
use super::letter_lines::{self, tell_of_the_rest};
use super::parcel::Unpack;
use super::queue::{Queues, Track};
use super::visit::{Extras, Health, Visited, WorkerContext};
use crate::app::App;
use crate::domain::outbox::Lane;
use crate::domain::time::Timestamp;
use crate::flows::Fault;

/// How much of everything the worker may take. What is counted is counted for each pool.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long one delivery may take. Shorter than a lease.
    pub delivery: Duration,
    /// For how long a row is leased, if clocks agree.
    pub lease: Duration,
    /// How many deliveries may be under way beside one for each visit.
    pub extras: usize,
    /// After which time a visit begins nothing more, so that others get their turn.
    pub turn: Duration,
    /// How many lanes are visited at the same time.
    pub visits: usize,
    /// How many lanes whose receiver was slow or failed the last time are visited at the same time, beside those. Each has
    /// as many deliveries beside its first one.
    pub slow_visits: usize,
    /// How many rows of a lane are read at once.
    pub window: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            delivery: Duration::from_secs(20),
            lease: Duration::from_secs(30),
            extras: 256,
            turn: Duration::from_secs(10),
            visits: 256,
            slow_visits: 64,
            window: 256,
        }
    }
}

/// The worker. There is one in a process.
#[derive(Debug)]
pub struct Worker {
    context: WorkerContext,
    stop: watch::Sender<bool>,
    lanes: HashMap<Lane, Known>,
    /// The lanes that rest, by when they are due.
    resting: BTreeSet<(Timestamp, Lane)>,
    /// The lanes that are due and wait for a place.
    queues: Queues,
    visits: JoinSet<Visited>,
    visited: HashMap<Id, (Lane, Track)>,
    /// The look through the store, while one is under way.
    looks: JoinSet<Result<Vec<Lane>, Fault>>,
    faulty: bool,
}

/// What is known of a lane that has something.
#[derive(Debug)]
struct Known {
    health: Health,
    state: LaneState,
}

#[derive(Clone, Copy, Debug)]
enum LaneState {
    /// Nothing is due until then.
    Resting(Timestamp),
    /// Something is due, and it waits for a place.
    Queued,
    /// It is being visited, and there may be something new since.
    Visited { woken: bool },
}

impl Worker {
    /// A worker that has done nothing yet, and delivers what `unpack` says is in the rows.
    #[must_use]
    pub fn new(app: Arc<App>, unpack: Arc<dyn Unpack>, limits: Limits) -> Self {
        let (stop, stopping) = watch::channel(false);
        let extras = Extras::new(&limits);
        Self {
            context: WorkerContext {
                app,
                unpack,
                limits,
                extras,
                stopping,
            },
            stop,
            lanes: HashMap::new(),
            resting: BTreeSet::new(),
            queues: Queues::new(&limits),
            visits: JoinSet::new(),
            visited: HashMap::new(),
            looks: JoinSet::new(),
            faulty: false,
        }
    }

    /// Delivers until `stop` is over; then begins nothing more, and waits for what is under way, at the most for `drain`.
    /// What is cut off then is delivered again after the next start.
    pub async fn run(mut self, stop: impl Future<Output = ()>, drain: Duration) {
        let mut stop = std::pin::pin!(stop);
        let mut looking = tokio::time::interval(LOOK_PERIOD);
        let mut telling = tokio::time::interval(letter_lines::WINDOW);
        let app = Arc::clone(&self.context.app);
        loop {
            self.begin_due();
            let rest = self.rest();
            tokio::select! {
                () = &mut stop => break,
                Some(done) = self.visits.join_next_with_id() => self.take_in(done),
                woken = app.memory.wakeups.wait() => woken.into_iter().for_each(|lane| self.note(lane)),
                _ = looking.tick() => self.begin_look(),
                _ = telling.tick() => tell_of_the_rest(&app),
                Some(found) = self.looks.join_next() => if let Ok(found) = found {
                    self.found(found);
                },
                () = tokio::time::sleep(rest) => {}
            }
        }
        self.stop.send_replace(true);
        let rest = async { while self.visits.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, rest).await.is_err() {
            tracing::warn!(
                "deliveries were still under way after {drain:?}; they are tried again at the next start"
            );
        }
        tell_of_the_rest(&app);
    }

    /// Delivers whatever is due now, and returns when nothing is any more: for whoever moves the clock himself.
    pub async fn run_due(&mut self) {
        let found = lanes(&self.context.app).await;
        self.found(found);
        loop {
            let woken = self.context.app.memory.wakeups.take();
            for lane in woken {
                self.note(lane);
            }
            self.begin_due();
            let Some(done) = self.visits.join_next_with_id().await else {
                return;
            };
            self.take_in(done);
        }
    }

    /// Looks in the store for lanes that nobody was woken for: those of an earlier process, and those whose wake-up was
    /// missed. Beside everything else: with many lanes it takes its time.
    fn begin_look(&mut self) {
        if self.looks.is_empty() {
            let app = Arc::clone(&self.context.app);
            self.looks.spawn(async move { lanes(&app).await });
        }
    }

    fn found(&mut self, found: Result<Vec<Lane>, Fault>) {
        match found {
            Ok(found) => {
                self.faulty = false;
                for lane in found {
                    if !self.lanes.contains_key(&lane) {
                        self.note(lane);
                    }
                }
            }
            Err(error) => self.complain(&error),
        }
    }

    /// There may be something new in `lane`.
    fn note(&mut self, lane: Lane) {
        let now = self.context.app.clock.now();
        let known = self.lanes.entry(lane).or_insert_with(|| {
            self.resting.insert((now, lane));
            Known {
                health: Health::default(),
                state: LaneState::Resting(now),
            }
        });
        match &mut known.state {
            LaneState::Visited { woken } => *woken = true,
            LaneState::Queued => {}
            LaneState::Resting(until) => {
                let sooner = known.health.paused_until(now).unwrap_or(now);
                if sooner < *until {
                    self.resting.remove(&(*until, lane));
                    self.resting.insert((sooner, lane));
                    *until = sooner;
                }
            }
        }
        self.context.app.memory.deliveries.waiting_lanes(self.lanes.len());
    }

    /// Begins to visit lanes where something is due, as far as there are places.
    fn begin_due(&mut self) {
        let now = self.context.app.clock.now();
        while let Some(&(due, lane)) = self.resting.first()
            && due <= now
        {
            self.resting.remove(&(due, lane));
            if let Some(known) = self.lanes.get_mut(&lane) {
                known.state = LaneState::Queued;
                self.queues.push(lane, known.health.track(lane));
            }
        }
        while let Some((lane, track)) = self.queues.next() {
            let Some(known) = self.lanes.get_mut(&lane) else {
                self.queues.done(lane, track);
                continue;
            };
            known.state = LaneState::Visited { woken: false };
            let visit = self.context.clone().visit(lane, track, known.health.clone());
            let task = self.visits.spawn(visit);
            self.visited.insert(task.id(), (lane, track));
        }
    }

    fn take_in(&mut self, done: Result<(Id, Visited), tokio::task::JoinError>) {
        let now = self.context.app.clock.now();
        let id = done
            .as_ref()
            .map_or_else(tokio::task::JoinError::id, |(id, _)| *id);
        let Some((lane, track)) = self.visited.remove(&id) else {
            return;
        };
        self.queues.done(lane, track);
        let Some(known) = self.lanes.get_mut(&lane) else {
            return;
        };
        let woken = matches!(known.state, LaneState::Visited { woken: true });
        let next_at = match done {
            Ok((_, visited)) => {
                known.health = visited.health;
                if let Some(error) = &visited.error {
                    let next_at = visited.next_at;
                    self.rest_until(lane, next_at);
                    return self.complain(error);
                }
                self.faulty = false;
                visited.next_at
            }
            // A fault of ours; the log has it. The lane is tried again after a while.
            Err(_) => Some(now + LOOK_PERIOD),
        };
        let Some(known) = self.lanes.get(&lane) else {
            return;
        };
        let at_once = known.health.paused_until(now).unwrap_or(now);
        let next_at = match next_at {
            _ if woken => Some(next_at.map_or(at_once, |at| at.min(at_once))),
            next_at => next_at,
        };
        self.rest_until(lane, next_at);
    }

    /// Lets a lane rest; forgets it if there is nothing left in it. What another node puts into it is not told here, and that
    /// node may be killed before it has delivered it, so a lane that may be visited does not rest for long where others share
    /// the store.
    fn rest_until(&mut self, lane: Lane, next_at: Option<Timestamp>) {
        let (now, shared) = (self.context.app.clock.now(), self.context.app.shares_store());
        match (next_at, self.lanes.get_mut(&lane)) {
            (Some(at), Some(known)) => {
                let longest = known.health.paused_until(now).max(Some(now + LONGEST_REST));
                let at = longest.filter(|_| shared).map_or(at, |longest| at.min(longest));
                known.state = LaneState::Resting(at);
                self.resting.insert((at, lane));
            }
            (None, _) | (_, None) => drop(self.lanes.remove(&lane)),
        }
        self.context.app.memory.deliveries.waiting_lanes(self.lanes.len());
    }

    /// How long nothing is due.
    fn rest(&self) -> Duration {
        let now = self.context.app.clock.now();
        let first = self.resting.first();
        first.map_or(LOOK_PERIOD, |(due, _)| due.since(now).min(LOOK_PERIOD))
    }

    /// A store that failed stays so: one line says it.
    fn complain(&mut self, error: &Fault) {
        if !self.faulty {
            tracing::error!("nothing is delivered: {error}");
        }
        self.faulty = true;
    }
}

/// For how long a lane rests at the most of which other nodes know more.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// How often the store is looked through for lanes that nobody was woken for.
const LOOK_PERIOD: Duration = Duration::from_secs(5);
