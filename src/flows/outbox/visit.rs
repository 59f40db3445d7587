//! A visit of a lane: what is due is delivered, as many rows at a time as the receiver may get, until nothing is due, the
//! receiver fails, or others want their turn.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::dead_letters::give_up_old;
use super::lane_reader::LaneReader;
use super::parcel::{Parcel, Settled, Unpack, settle};
use super::queue::Track;
use super::rows::lease;
use super::worker::Limits;
use crate::app::App;
use crate::delivery::DeliveryOutcome;
use crate::delivery::http::asked_by;
use crate::domain::circuit::{Breaker, FailureScope, TryTarget};
use crate::domain::events::OutboxRow;
use crate::domain::outbox::{LONGEST_WISH, Lane, Reason, Receiver, Thread, backoff};
use crate::domain::shares::Shares;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::store::records::Stored;

/// What all visits share.
#[derive(Clone, Debug)]
pub(super) struct WorkerContext {
    pub(super) app: Arc<App>,
    pub(super) unpack: Arc<dyn Unpack>,
    pub(super) limits: Limits,
    /// What allows a visit more than the one delivery that it may always have under way.
    pub(super) extras: Extras,
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
    pub(super) error: Option<Fault>,
}

impl WorkerContext {
    /// Visits `lane`, whose receiver does as `health` says.
    pub(super) async fn visit(self, lane: Lane, track: Track, health: Health) -> Visited {
        let mut visit = Visit {
            reader: LaneReader::over(lane, self.limits.window, health.breaker.failing()),
            began: self.app.clock.now(),
            under_way: JoinSet::new(),
            threads: HashMap::new(),
            context: self,
            lane,
            track,
            health,
            crowded: false,
        };
        let result = visit.run().await;
        let now = visit.context.app.clock.now();
        let (next_at, error) = match result {
            Ok(()) => (visit.reader.next_at(now), None),
            Err(error) => (Some(now + AFTER_A_FAULT), Some(error)),
        };
        let crowded = visit.crowded.then_some(now + IN_A_CROWD);
        let paused = visit.health.paused_until(now).max(crowded);
        Visited {
            // A receiver that is left alone may have nothing that waits for anything else.
            next_at: next_at.map(|at| paused.map_or(at, |paused| paused.max(at))),
            health: visit.health,
            error,
        }
    }
}

struct Visit {
    context: WorkerContext,
    lane: Lane,
    track: Track,
    health: Health,
    /// Whether the receiver had no place left when it was last asked for.
    crowded: bool,
    reader: LaneReader,
    began: Timestamp,
    under_way: JoinSet<Result<Carried, Fault>>,
    threads: HashMap<Id, UnderWay>,
}

/// A delivery that is under way.
struct UnderWay {
    thread: Thread,
    target: TryTarget,
    began: Instant,
    _room: Room,
}

impl Visit {
    async fn run(&mut self) -> Result<(), Fault> {
        if let Some(why) = self.health.failing() {
            give_up_old(&self.context.app, self.lane, why).await?;
        }
        // What goes wrong with one row ends no other delivery that is under way: it would be made twice.
        let mut failed = None;
        loop {
            while failed.is_none()
                && let Ok(room) = self.room()
            {
                let row = match self.reader.next(&self.context.app).await {
                    Ok(Some(row)) => row,
                    Ok(None) => break,
                    Err(fault) => {
                        failed = Some(fault);
                        break;
                    }
                };
                let thread = row.record.message.thread();
                let target = row.record.message.target();
                let carrying = carry(self.context.clone(), row);
                let task = self.under_way.spawn(carrying);
                let under_way = UnderWay {
                    thread,
                    target,
                    began: Instant::now(),
                    _room: room,
                };
                self.threads.insert(task.id(), under_way);
            }
            match self.under_way.join_next_with_id().await {
                Some(done) => failed = failed.or(self.take_in(done).err()),
                None => return failed.map_or(Ok(()), Err),
            }
        }
    }

    /// Whether one more delivery may begin, and what allows it.
    fn room(&mut self) -> Result<Room, NoRoom> {
        let (now, limits) = (self.context.app.clock.now(), &self.context.limits);
        let over = *self.context.stopping.borrow()
            || now.since(self.began) >= limits.turn
            || self.health.paused_until(now).is_some();
        let width = match self.health.failing() {
            Some(_) => 1,
            None => self.lane.receiver.width(),
        };
        let extra = match self.under_way.len() {
            some if over || some >= width => return Err(NoRoom),
            0 => None,
            _ => Some(
                self.context
                    .extras
                    .take(self.track, self.lane.account)
                    .ok_or(NoRoom)?,
            ),
        };
        let at_receiver = self.context.extras.take_at(self.lane);
        self.crowded = at_receiver.is_err();
        Ok(Room {
            _extra: extra,
            _at_receiver: at_receiver?,
        })
    }

    fn take_in(&mut self, done: Result<(Id, Result<Carried, Fault>), JoinError>) -> Result<(), Fault> {
        let (id, settled) = match done {
            Ok(done) => done,
            // Nothing is known of the row, so its thread waits for the next pass.
            Err(lost) => (lost.id(), Ok(Carried::taken_away())),
        };
        let app = Arc::clone(&self.context.app);
        let Some(UnderWay {
            thread,
            target,
            began,
            ..
        }) = self.threads.remove(&id)
        else {
            return Ok(());
        };
        self.health.took(self.lane, began.elapsed());
        let Carried { settled, about } = settled?;
        let failed = FailedDelivery {
            target,
            // What is about one recipient is about the receiver if it has only that one.
            about: about
                .filter(|_| self.lane.receiver.serves_many())
                .unwrap_or(FailureScope::Sender),
        };
        match settled {
            Settled::Delivered => {
                self.health.delivered(self.lane);
                self.reader.gone(&app, thread);
            }
            Settled::Waits { until, .. } if !self.lane.receiver.pauses() => self.reader.stays(thread, until),
            Settled::GivenUp(_) | Settled::TooLate(_) if !self.lane.receiver.pauses() => {
                self.reader.gone(&app, thread);
            }
            Settled::GivenUp(why) | Settled::TooLate(why) => {
                self.health.failed(&app, self.lane, &failed, None, &why);
                self.reader.failed(target.recipient);
                self.reader.gone(&app, thread);
            }
            // A refusal is about one row: it says nothing against the receiver, and there was an answer.
            Settled::Refused => {
                self.health.answered();
                self.reader.gone(&app, thread);
            }
            Settled::Handed | Settled::Obsolete => self.reader.gone(&app, thread),
            Settled::LeftToOthers(until) => self.reader.stays(thread, until),
            Settled::TakenAway => self.reader.stays(thread, app.clock.now()),
            Settled::Waits { until, why, asked } => {
                self.health.failed(&app, self.lane, &failed, asked, &why);
                self.reader.failed(target.recipient);
                if let Some(asked) = asked.filter(|_| self.lane.receiver.asks_for_all()) {
                    self.health.rest(app.clock.now() + asked.min(LONGEST_WISH));
                }
                self.reader.stays(thread, until);
            }
        }
        Ok(())
    }
}

/// How a receiver does. One that fails several times in a row is left alone but for single tries.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    breaker: Breaker,
    why: Option<Reason>,
    /// Which of the last deliveries took long: a bit for each, the last one's is the lowest.
    slow: u8,
}

/// What failed.
struct FailedDelivery {
    target: TryTarget,
    about: FailureScope,
}

impl Health {
    /// Why the receiver is to be left alone but for single tries, if it is.
    pub(super) fn failing(&self) -> Option<&Reason> {
        self.why.as_ref().filter(|_| self.breaker.is_open())
    }

    /// Where the lane waits for its next visit.
    pub(super) fn track(&self, lane: Lane) -> Track {
        Track {
            pool: lane.receiver.pool(),
            slow: self.is_slow(lane) || self.failing().is_some(),
        }
    }

    /// A delivery took so long.
    fn took(&mut self, lane: Lane, time: Duration) {
        // One recipient for whom it takes long makes nobody slow who serves many.
        let before = if lane.receiver.serves_many() {
            self.slow << 1
        } else {
            0
        };
        self.slow = before | u8::from(time >= SLOW);
    }

    fn is_slow(&self, lane: Lane) -> bool {
        let slow = self.slow.count_ones();
        slow >= if lane.receiver.serves_many() { 4 } else { 1 }
    }

    /// Until when the receiver is to be left alone altogether, if that is after `now`.
    pub(super) fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        // Where only recipients were refused, each of them waits on its own.
        self.breaker
            .paused_until(now)
            .filter(|_| !self.breaker.is_reached())
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
        self.breaker = Breaker::default();
        self.why = None;
    }

    /// The receiver wants to be left alone until then.
    pub(super) fn rest(&mut self, until: Timestamp) {
        self.breaker.rest(until);
    }

    /// The receiver failed, and asked to be left alone for a while.
    fn failed(
        &mut self,
        app: &App,
        lane: Lane,
        failed: &FailedDelivery,
        asked: Option<Duration>,
        why: &Reason,
    ) {
        let longest = lane.receiver.longest_backoff();
        let backoff = |pauses| backoff(pauses, longest, app.entropy.as_ref());
        let (asked, now) = (asked.map(|asked| asked.min(LONGEST_WISH)), app.clock.now());
        let FailedDelivery { target, about } = failed;
        if self.breaker.failed(target, *about, asked, now, backoff) {
            tracing::warn!(
                outbox.lane = %lane,
                "deliveries to {lane} fail: {why}; they are tried again with growing pauses"
            );
        }
        self.why = Some(why.clone());
    }
}

/// No further delivery may begin now.
struct NoRoom;

/// What allows a visit more than the one delivery that it may always have under way: places for each track, of which no
/// account has so many that nothing is left for others.
#[derive(Clone, Debug)]
pub(super) struct Extras {
    tracks: Arc<BTreeMap<Track, Arc<ExtraPlaces>>>,
    /// Those of receivers that accounts share.
    receivers: Arc<Mutex<HashMap<Receiver, Arc<ExtraPlaces>>>>,
}

/// What allows a delivery.
struct Room {
    /// If it is not the only one of its visit.
    _extra: Option<Extra>,
    /// If accounts share the receiver.
    _at_receiver: Option<Extra>,
}

#[derive(Debug)]
struct ExtraPlaces(Mutex<Shares<AccountSid>>);

/// A place for a delivery, until dropped.
struct Extra {
    places: Arc<ExtraPlaces>,
    account: AccountSid,
}

impl Extras {
    pub(super) fn new(limits: &Limits) -> Self {
        let places = |track: Track| {
            let most = if track.slow {
                limits.slow_visits
            } else {
                limits.extras
            };
            (track, Arc::new(ExtraPlaces(Mutex::new(Shares::halves(most)))))
        };
        Self {
            tracks: Arc::new(Track::all().map(places).collect()),
            receivers: Arc::default(),
        }
    }

    fn take(&self, track: Track, account: AccountSid) -> Option<Extra> {
        ExtraPlaces::take(self.tracks.get(&track)?, account)
    }

    /// A place at the lane's receiver, if it has a number of them.
    fn take_at(&self, lane: Lane) -> Result<Option<Extra>, NoRoom> {
        let Some(width) = lane.receiver.width_for_all() else {
            return Ok(None);
        };
        let mut receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        let places = receivers
            .entry(lane.receiver)
            .or_insert_with(|| Arc::new(ExtraPlaces(Mutex::new(Shares::halves(width)))));
        ExtraPlaces::take(places, lane.account).map(Some).ok_or(NoRoom)
    }
}

impl ExtraPlaces {
    fn take(places: &Arc<Self>, account: AccountSid) -> Option<Extra> {
        places.lock().take(account).then(|| Extra {
            places: Arc::clone(places),
            account,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Shares<AccountSid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Extra {
    fn drop(&mut self) {
        self.places.lock().give_back(self.account);
    }
}

/// Leases a row, delivers it, settles it.
async fn carry(context: WorkerContext, row: Stored<OutboxRow>) -> Result<Carried, Fault> {
    let (app, now) = (&context.app, context.app.clock.now());
    if row.record.message.expires_at().is_some_and(|end| end <= now) {
        let parcel = context.unpack.unpack(&row.record);
        let settled = settle(app, parcel.as_ref(), &row.record, &DeliveryOutcome::Obsolete).await?;
        return Ok(Carried { settled, about: None });
    }
    if app.shares_store()
        && let Some(until) = context
            .unpack
            .unpack(&row.record)
            .left_to_others(app, &row.record)
    {
        let settled = Settled::LeftToOthers(until);
        return Ok(Carried { settled, about: None });
    }
    let Some(leased) = lease(app, &row, context.limits.lease).await? else {
        return Ok(Carried::taken_away());
    };
    let Tried { parcel, outcome } = deliver(&context, leased.clone()).await;
    Ok(Carried {
        settled: settle(app, parcel.as_ref(), &leased, &outcome).await?,
        about: outcome.scope(),
    })
}

/// What came of a row.
struct Carried {
    settled: Settled,
    /// Whom its failure is about.
    about: Option<FailureScope>,
}

impl Carried {
    fn taken_away() -> Self {
        Self {
            settled: Settled::TakenAway,
            about: None,
        }
    }
}

/// A parcel that was tried to be delivered.
struct Tried {
    parcel: Box<dyn Parcel>,
    outcome: DeliveryOutcome,
}

/// Delivers within the time limit. A panic of one delivery is a failure of that delivery.
async fn deliver(context: &WorkerContext, row: OutboxRow) -> Tried {
    let app = Arc::clone(&context.app);
    let mut parcel = context.unpack.unpack(&row);
    // What is in the row, should the try take the parcel with it.
    let spare = context.unpack.unpack(&row);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let account = row.message.account();
        let outcome = asked_by(account, parcel.deliver(&app, &row)).await;
        Tried { parcel, outcome }
    });
    let why = match tokio::time::timeout(context.limits.delivery, task.join_next()).await {
        Ok(Some(Ok(tried))) => return tried,
        Ok(Some(Err(_)) | None) => "a fault of this server, whose log says more".to_owned(),
        Err(_) => format!("no answer within {:?}", context.limits.delivery),
    };
    Tried {
        parcel: spare,
        outcome: DeliveryOutcome::Retry {
            why,
            after: None,
            about: FailureScope::Recipient { status: 0 },
        },
    }
}

/// A receiver that takes so long for a delivery waits among its like for the next one.
const SLOW: Duration = Duration::from_secs(1);

/// How long a lane rests when its receiver has no place left for its account.
const IN_A_CROWD: Duration = Duration::from_millis(100);

/// How long a lane rests when the store failed.
const AFTER_A_FAULT: Duration = Duration::from_secs(1);
