//! The measured phase: every connection sends its next request as soon as its last one is answered.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use super::api::advice;
use super::connection::{Connection, Response};
use super::histogram::Histogram;
use super::pool::ClientPool;
use super::target::Target;

/// Where the requests come from.
pub(super) trait Work: Send + Sync + 'static {
    /// What is set apart while its request is on the way.
    type Piece: Send;

    /// Takes a piece of work and puts its request in place of what `request` holds; `None` when there is none left.
    fn take(&self, request: &mut Vec<u8>) -> Option<Self::Piece>;

    /// Puts the request that follows a success in place of what `request` holds, and says what has to be answered; `None`
    /// when the piece is done. What a piece's requests take together is one measurement.
    fn follow(&self, _piece: &mut Self::Piece, _request: &mut Vec<u8>) -> Option<ExpectedAnswer> {
        None
    }

    /// Takes a piece back when its requests were answered.
    fn give_back(&self, piece: Self::Piece);
}

/// What counts as a success.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExpectedAnswer {
    pub(super) status: u16,
    pub(super) body_contains: &'static str,
}

/// When a load is over, unless the work runs out before.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadLimit {
    pub(super) duration: Duration,
    /// After so many pieces of work.
    pub(super) requests: Option<u64>,
}

impl LoadLimit {
    /// Half of it.
    pub(super) fn half(self) -> Self {
        Self {
            duration: self.duration / 2,
            requests: self.requests.map(|requests| requests.div_ceil(2)),
        }
    }
}

/// What was measured.
pub(super) struct LoadOutcome {
    /// The successes.
    pub(super) latencies: Histogram,
    pub(super) elapsed: Duration,
    /// All requests that were sent, those included that are not measured because the time was up before they were answered.
    pub(super) sent: u64,
    pub(super) errors: u64,
    /// One of the answers that were no success.
    pub(super) sample_error: Option<String>,
    /// The work ran out before the time was up.
    pub(super) ran_out: bool,
}

impl LoadOutcome {
    /// Successes per second.
    pub(super) fn per_second(&self) -> f64 {
        count(self.latencies.count()) / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

/// A count for arithmetic with rates.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

/// Loads `targets` until `limit`, or until the work runs out. They share the connections.
pub(super) fn run<W: Work>(
    pool: ClientPool,
    targets: &[Target],
    work: &Arc<W>,
    expected: ExpectedAnswer,
    limit: LoadLimit,
) -> Result<LoadOutcome, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let round = Arc::new(LoadRound {
        work: Arc::clone(work),
        addresses: targets.iter().map(|target| target.address).collect(),
        expected,
        limit,
        begun: AtomicU64::new(0),
        ready: Barrier::new(pool.connections),
        started: OnceLock::new(),
        stop: Arc::clone(&stop),
        has_success: AtomicBool::new(false),
        errors: AtomicU64::new(0),
    });
    let lanes = pool.work(&stop, |number| Arc::clone(&round).run_lane(number))?;
    let ran_out = stop.load(Ordering::Relaxed);
    let mut outcome = LoadOutcome {
        latencies: Histogram::new(),
        elapsed: if ran_out || limit.requests.is_some() {
            Duration::ZERO
        } else {
            limit.duration
        },
        sent: 0,
        errors: 0,
        sample_error: None,
        ran_out,
    };
    for lane in lanes {
        outcome.latencies.merge(&lane.latencies);
        outcome.sent += lane.sent;
        outcome.errors += lane.errors;
        outcome.sample_error = outcome.sample_error.or(lane.sample_error);
        outcome.elapsed = outcome.elapsed.max(lane.last_answer);
    }
    Ok(outcome)
}

struct LoadRound<W> {
    work: Arc<W>,
    addresses: Vec<SocketAddr>,
    expected: ExpectedAnswer,
    limit: LoadLimit,
    /// How many pieces of work were begun, where that is limited.
    begun: AtomicU64,
    ready: Barrier,
    started: OnceLock<Instant>,
    stop: Arc<AtomicBool>,
    /// Whether anything was a success so far, and how much was none.
    has_success: AtomicBool,
    errors: AtomicU64,
}

/// What one connection measured.
struct LoadLane {
    latencies: Histogram,
    sent: u64,
    errors: u64,
    sample_error: Option<String>,
    /// When it got its last answer, since the start.
    last_answer: Duration,
}

impl<W: Work> LoadRound<W> {
    async fn run_lane(self: Arc<Self>, number: usize) -> Result<LoadLane, String> {
        let address = self.addresses[number % self.addresses.len()];
        let mut connection = connect(address).await?;
        tokio::time::timeout(PATIENCE, self.ready.wait())
            .await
            .map_err(|_| {
                "the server does not take so many connections: raise its `max_connections` (one address has a part of them) and its \
                 limit of open files"
                    .to_owned()
            })?;
        let started = *self.started.get_or_init(Instant::now);
        let mut lane = LoadLane {
            latencies: Histogram::new(),
            sent: 0,
            errors: 0,
            sample_error: None,
            last_answer: Duration::ZERO,
        };
        let mut request = Vec::with_capacity(4096);
        let mut sent = started.elapsed();
        while sent < self.limit.duration && !self.stop.load(Ordering::Relaxed) && self.may_begin() {
            let Some(mut piece) = self.work.take(&mut request) else {
                self.stop.store(true, Ordering::Relaxed);
                break;
            };
            lane.sent += 1;
            let mut fault = fault(connection.exchange(&request).await, self.expected);
            while fault.is_none()
                && let Some(expected) = self.work.follow(&mut piece, &mut request)
            {
                lane.sent += 1;
                fault = self::fault(connection.exchange(&request).await, expected);
            }
            let answered = started.elapsed();
            // What is still on the way when the time is up is not part of the measurement.
            if answered > self.limit.duration {
                break;
            }
            lane.last_answer = answered;
            match fault {
                None => {
                    if !self.has_success.load(Ordering::Relaxed) {
                        self.has_success.store(true, Ordering::Relaxed);
                    }
                    lane.latencies.record(answered.saturating_sub(sent));
                    self.work.give_back(piece);
                }
                Some(fault) => {
                    lane.errors += 1;
                    if fault.connection_lost {
                        connection = connect(address).await?;
                    }
                    let errors = self.errors.fetch_add(1, Ordering::Relaxed) + 1;
                    if errors >= ENOUGH_ERRORS && !self.has_success.load(Ordering::Relaxed) {
                        return Err(format!(
                            "nothing succeeds: {errors} requests were answered, one of them {}{}",
                            fault.text,
                            fault.status.map_or("", advice)
                        ));
                    }
                    lane.sample_error.get_or_insert(fault.text);
                }
            }
            sent = started.elapsed();
        }
        Ok(lane)
    }

    /// Whether one more piece of work is to be begun.
    fn may_begin(&self) -> bool {
        let Some(most) = self.limit.requests else {
            return true;
        };
        self.begun.fetch_add(1, Ordering::Relaxed) < most
    }
}

async fn connect(address: SocketAddr) -> Result<Connection, String> {
    Connection::open(address)
        .await
        .map_err(|error| format!("cannot connect to {address}: {error}"))
}

fn fault(answer: io::Result<Response<'_>>, expected: ExpectedAnswer) -> Option<LoadFault> {
    match answer {
        Ok(response) if response.status == expected.status && response.contains(expected.body_contains) => {
            None
        }
        Ok(response) => Some(LoadFault {
            connection_lost: response.header("connection") == Some("close"),
            text: response.excerpt(),
            status: Some(response.status),
        }),
        Err(error) => Some(LoadFault {
            connection_lost: true,
            text: format!("the connection broke: {error}"),
            status: None,
        }),
    }
}

struct LoadFault {
    connection_lost: bool,
    text: String,
    status: Option<u16>,
}

/// After so many errors and no success there is nothing to measure.
const ENOUGH_ERRORS: u64 = 100;

/// How long all connections may take to open.
const PATIENCE: Duration = Duration::from_secs(20);
