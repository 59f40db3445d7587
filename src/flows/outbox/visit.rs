//! A visit of a lane: what is due is delivered, as many rows at a time as the receiver may get, until nothing is due, the
//! receiver fails, or others want their turn.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::deliver::{Deliver, Tried};
use super::give_up::give_up_old;
use super::health::Health;
use super::lease::lease;
use super::pass::Pass;
use super::settle_delivery::{Settled, settle_delivery};
use super::worker::Limits;
use crate::app::App;
use crate::delivery::Outcome;
use crate::domain::events::OutboxRow;
use crate::domain::outbox::{LONGEST_WISH, Lane, Thread};
use crate::domain::time::Timestamp;
use crate::flows::Error;
use crate::store::records::Stored;

/// What all visits share.
#[derive(Clone, Debug)]
pub(super) struct Crew {
    pub(super) app: Arc<App>,
    pub(super) deliver: Arc<dyn Deliver>,
    pub(super) limits: Limits,
    /// What allows a visit more than the one delivery that it may always have under way.
    pub(super) extras: Arc<Semaphore>,
    /// True once nothing new is to be begun.
    pub(super) stopping: watch::Receiver<bool>,
}

/// What a visit left behind.
#[derive(Debug)]
pub(super) struct Visited {
    pub(super) health: Health,
    /// When there is something to do again; `None` if nothing is left.
    pub(super) next_at: Option<Timestamp>,
    /// What the store failed of.
    pub(super) error: Option<Error>,
}

impl Crew {
    /// Visits `lane`, whose receiver does as `health` says.
    pub(super) async fn visit(self, lane: Lane, health: Health) -> Visited {
        let mut visit = Visit {
            pass: Pass::over(lane, self.limits.window),
            began: self.app.clock.now(),
            under_way: JoinSet::new(),
            threads: HashMap::new(),
            crew: self,
            lane,
            health,
        };
        let result = visit.run().await;
        let now = visit.crew.app.clock.now();
        let (next_at, error) = match result {
            Ok(()) => (visit.pass.next_at(now), None),
            Err(error) => (Some(now + AFTER_A_FAULT), Some(error)),
        };
        let paused = visit.health.paused_until(now);
        Visited {
            // A receiver that is left alone may have nothing that waits for anything else.
            next_at: next_at.map(|at| paused.map_or(at, |paused| paused.max(at))),
            health: visit.health,
            error,
        }
    }
}

struct Visit {
    crew: Crew,
    lane: Lane,
    health: Health,
    pass: Pass,
    began: Timestamp,
    under_way: JoinSet<Result<Settled, Error>>,
    threads: HashMap<Id, (Thread, Option<OwnedSemaphorePermit>)>,
}

impl Visit {
    async fn run(&mut self) -> Result<(), Error> {
        if let Some(why) = self.health.failing() {
            give_up_old(&self.crew.app, self.lane, why).await?;
        }
        loop {
            while let Ok(permit) = self.room() {
                let Some(row) = self.pass.next(&self.crew.app).await? else {
                    break;
                };
                let thread = row.record.message.thread();
                let carrying = carry(self.crew.clone(), row);
                let task = self.under_way.spawn(carrying);
                self.threads.insert(task.id(), (thread, permit));
            }
            match self.under_way.join_next_with_id().await {
                Some(done) => self.take_in(done)?,
                None => return Ok(()),
            }
        }
    }

    /// Whether one more delivery may begin, and what allows it if it is not the only one.
    fn room(&self) -> Result<Option<OwnedSemaphorePermit>, NoRoom> {
        let (now, limits) = (self.crew.app.clock.now(), &self.crew.limits);
        let over = *self.crew.stopping.borrow()
            || now.since(self.began) >= limits.turn
            || self.health.paused_until(now).is_some();
        let width = match self.health.failing() {
            Some(_) => 1,
            None => self.lane.width(),
        };
        match self.under_way.len() {
            _ if over => Err(NoRoom),
            0 => Ok(None),
            some if some < width => {
                let permit = Arc::clone(&self.crew.extras).try_acquire_owned();
                permit.map(Some).map_err(|_| NoRoom)
            }
            _ => Err(NoRoom),
        }
    }

    fn take_in(&mut self, done: Result<(Id, Result<Settled, Error>), JoinError>) -> Result<(), Error> {
        let (id, settled) = match done {
            Ok(done) => done,
            // Nothing is known of the row, so its thread waits for the next pass.
            Err(lost) => (lost.id(), Ok(Settled::TakenAway)),
        };
        let app = Arc::clone(&self.crew.app);
        let Some((thread, _)) = self.threads.remove(&id) else {
            return Ok(());
        };
        match settled? {
            Settled::Delivered => {
                self.health.delivered(self.lane);
                self.pass.gone(&app, thread);
            }
            // How a sender of codes does is known from each try, and its codes do not wait for one another: those that
            // another sender takes leave at once.
            Settled::Waits { until, .. } if self.is_senders() => self.pass.stays(thread, until),
            Settled::GivenUp(_) | Settled::TooLate(_) if self.is_senders() => self.pass.gone(&app, thread),
            Settled::GivenUp(why) | Settled::TooLate(why) => {
                self.health.failed(&app, self.lane, &why);
                self.pass.gone(&app, thread);
            }
            // A refusal is about one row: it says nothing against the receiver, and there was an answer.
            Settled::Refused => {
                self.health.answered();
                self.pass.gone(&app, thread);
            }
            Settled::Handed | Settled::Obsolete => self.pass.gone(&app, thread),
            Settled::TakenAway => self.pass.stays(thread, app.clock.now()),
            Settled::Waits { until, why, asked } => {
                self.health.failed(&app, self.lane, &why);
                // A push provider asks it for one device; a webhook is one server.
                if let (Some(asked), Lane::Webhook(_)) = (asked, self.lane) {
                    self.health.rest(app.clock.now() + asked.min(LONGEST_WISH));
                }
                self.pass.stays(thread, until);
            }
        }
        Ok(())
    }

    fn is_senders(&self) -> bool {
        matches!(self.lane, Lane::Sender(_))
    }
}

/// No further delivery may begin now.
struct NoRoom;

/// Leases a row, delivers it, settles it.
async fn carry(crew: Crew, row: Stored<OutboxRow>) -> Result<Settled, Error> {
    let (app, now) = (&crew.app, crew.app.clock.now());
    if row.record.message.expires_at().is_some_and(|end| end <= now) {
        return settle_delivery(app, &row.record, &Outcome::Obsolete.into()).await;
    }
    let Some(leased) = lease(app, &row, now + crew.limits.lease).await? else {
        return Ok(Settled::TakenAway);
    };
    let tried = attempt(&crew, leased.clone()).await;
    settle_delivery(app, &leased, &tried).await
}

/// Delivers within the time limit. A panic of one delivery is a failure of that delivery.
async fn attempt(crew: &Crew, row: OutboxRow) -> Tried {
    let (app, deliver) = (Arc::clone(&crew.app), Arc::clone(&crew.deliver));
    let retry = |why: String| Outcome::Retry { why, after: None }.into();
    let mut task = JoinSet::new();
    task.spawn(async move { deliver.deliver(&app, &row).await });
    match tokio::time::timeout(crew.limits.delivery, task.join_next()).await {
        Ok(Some(Ok(tried))) => tried,
        Ok(Some(Err(_)) | None) => retry("a fault of this server, whose log says more".to_owned()),
        Err(_) => retry(format!("no answer within {:?}", crew.limits.delivery)),
    }
}

/// How long a lane rests when the store failed.
const AFTER_A_FAULT: Duration = Duration::from_secs(1);
