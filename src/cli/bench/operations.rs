//! The core's operations on codes, as one protocol spells them, each measured by itself.
//!
//! A protocol may take one request for what another one takes two for. So a load goes through many sessions together: one
//! operation with all of them, then the next one with all of them. What the server takes for each can be told then, and whatever
//! follows from it before it comes to rest is counted with it.
//!
//! Another protocol is a file that implements [`CodeDialect`]: see `signal.rs`.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use super::cpu::ServerProcess;
use super::histogram::Histogram;
use super::http2::Http2Lane;
use super::load::count;
use super::numbers;
use super::pool::ClientPool;
use super::target::Target;

/// What is done in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeOperation {
    /// Without a sending.
    Begin,
    /// Has a code sent; begins the session, too, where no request does only that.
    Send,
    /// Asks with a wrong code, which is counted and on disk as the right one would be: nobody reads the messages.
    Check,
}

impl CodeOperation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Send => "send",
            Self::Check => "check",
        }
    }
}

/// No code of six digits, and a guess all the same.
pub(super) const WRONG: &str = "0000000000";

/// A session with somebody whom nobody has asked about for long.
pub(super) struct CodeSession {
    /// Digits, with those of the country.
    pub(super) number: String,
    /// What the protocol calls the session, once it was begun.
    pub(super) id: Vec<u8>,
}

/// A protocol.
pub(super) trait CodeDialect: Send + Sync + 'static {
    /// As figures have it.
    const NAME: &'static str;
    /// What is done with each session, in this order; one request each.
    const OPERATIONS: &'static [CodeOperation];

    /// Does one of them. An error is an answer that was no success.
    fn perform(
        &self,
        operation: CodeOperation,
        session: &mut CodeSession,
        lane: &mut Http2Lane,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// Which number is next.
pub(super) struct FreshNumbers {
    areas: Vec<u16>,
    begun: AtomicUsize,
}

impl FreshNumbers {
    pub(super) fn new() -> Self {
        Self {
            areas: numbers::areas(),
            begun: AtomicUsize::new(0),
        }
    }

    fn session(&self) -> CodeSession {
        let nth = self.begun.fetch_add(1, Ordering::Relaxed);
        CodeSession {
            number: numbers::number(&self.areas, nth),
            id: Vec::new(),
        }
    }
}

/// From where and at what the operations go.
pub(super) struct CodeLoad {
    pub(super) pool: ClientPool,
    pub(super) target: Target,
    pub(super) process: ServerProcess,
    pub(super) numbers: Arc<FreshNumbers>,
}

/// What was measured of one operation.
pub(super) struct OperationOutcome {
    /// The successes.
    pub(super) latencies: Histogram,
    /// From the first request to the last answer.
    pub(super) seconds: f64,
    /// What the server took, in seconds of a processor.
    pub(super) cpu: Option<f64>,
    pub(super) errors: u64,
    /// One of the answers that were no success.
    pub(super) sample_error: Option<String>,
}

impl OperationOutcome {
    /// Adds what was measured of the same operation another time.
    pub(super) fn merge(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.seconds += other.seconds;
        self.cpu = self.cpu.zip(other.cpu).map(|(one, other)| one + other);
        self.errors += other.errors;
        self.sample_error = self.sample_error.take().or(other.sample_error);
    }

    /// Seconds for each success, of all connections together.
    pub(super) fn seconds_of_each(&self) -> f64 {
        self.seconds / count(self.latencies.count().max(1))
    }

    /// What each success took of a processor, in microseconds, if the process is known.
    pub(super) fn cpu_us_of_each(&self) -> Option<f64> {
        let successes = count(self.latencies.count().max(1));
        self.cpu.map(|seconds| 1_000_000.0 * seconds / successes)
    }
}

impl CodeLoad {
    /// Begins sessions for so long, and does each operation with all of them.
    pub(super) fn measure<D: CodeDialect>(
        &self,
        dialect: &Arc<D>,
        begins: Duration,
    ) -> Result<Vec<OperationOutcome>, String> {
        let mut sessions = SessionSource::New(Arc::clone(&self.numbers), begins);
        let mut outcomes = Vec::new();
        for operation in D::OPERATIONS {
            let (outcome, done) = self.measure_one(dialect, *operation, sessions)?;
            outcomes.push(outcome);
            sessions = SessionSource::Begun(Mutex::new(done));
        }
        Ok(outcomes)
    }

    /// One operation, and the sessions with which it succeeded.
    fn measure_one<D: CodeDialect>(
        &self,
        dialect: &Arc<D>,
        operation: CodeOperation,
        sessions: SessionSource,
    ) -> Result<(OperationOutcome, Vec<CodeSession>), String> {
        let round = Arc::new(OperationRound {
            dialect: Arc::clone(dialect),
            operation,
            sessions,
            target: self.target.clone(),
            process: self.process,
            ready: Barrier::new(self.pool.connections),
            started: OnceLock::new(),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let lanes = self.pool.work(&stop, |_| Arc::clone(&round).run_lane())?;
        self.process.rest()?;
        let before = round.started.get().and_then(|started| started.cpu);
        let mut outcome = OperationOutcome {
            latencies: Histogram::new(),
            seconds: 0.0,
            cpu: self
                .process
                .seconds()?
                .zip(before)
                .map(|(after, before)| after - before),
            errors: 0,
            sample_error: None,
        };
        let mut done = Vec::new();
        for lane in lanes {
            outcome.latencies.merge(&lane.latencies);
            outcome.seconds = outcome.seconds.max(lane.last_answer.as_secs_f64());
            outcome.errors += lane.errors;
            outcome.sample_error = outcome.sample_error.or(lane.sample_error);
            done.extend(lane.done);
        }
        Ok((outcome, done))
    }
}

/// Where sessions come from.
enum SessionSource {
    /// New ones, for so long.
    New(Arc<FreshNumbers>, Duration),
    /// What is left of these.
    Begun(Mutex<Vec<CodeSession>>),
}

impl SessionSource {
    fn next(&self, elapsed: Duration) -> Option<CodeSession> {
        match self {
            Self::New(numbers, begins) => (elapsed < *begins).then(|| numbers.session()),
            Self::Begun(sessions) => sessions.lock().unwrap_or_else(PoisonError::into_inner).pop(),
        }
    }
}

struct OperationRound<D> {
    dialect: Arc<D>,
    operation: CodeOperation,
    sessions: SessionSource,
    target: Target,
    process: ServerProcess,
    ready: Barrier,
    started: OnceLock<OperationStart>,
}

/// When all connections stood.
struct OperationStart {
    at: Instant,
    /// What the server had taken of processors, in seconds.
    cpu: Option<f64>,
}

/// What one connection measured.
struct OperationLane {
    latencies: Histogram,
    done: Vec<CodeSession>,
    errors: u64,
    sample_error: Option<String>,
    /// When it got its last answer, since the start.
    last_answer: Duration,
}

impl<D: CodeDialect> OperationRound<D> {
    async fn run_lane(self: Arc<Self>) -> Result<OperationLane, String> {
        let mut connection = Http2Lane::open(self.target.address).await?;
        tokio::time::timeout(PATIENCE, self.ready.wait())
            .await
            .map_err(|_| "the server does not take so many connections".to_owned())?;
        let cpu = self.process.seconds()?;
        let started = self.started.get_or_init(|| OperationStart {
            at: Instant::now(),
            cpu,
        });
        let mut lane = OperationLane {
            latencies: Histogram::new(),
            done: Vec::new(),
            errors: 0,
            sample_error: None,
            last_answer: Duration::ZERO,
        };
        let mut sent = started.at.elapsed();
        while let Some(mut session) = self.sessions.next(sent) {
            let performed = self
                .dialect
                .perform(self.operation, &mut session, &mut connection)
                .await;
            let answered = started.at.elapsed();
            lane.last_answer = answered;
            match performed {
                Ok(()) => {
                    lane.latencies.record(answered.saturating_sub(sent));
                    lane.done.push(session);
                }
                Err(error) => {
                    lane.errors += 1;
                    lane.sample_error.get_or_insert(error);
                    if !connection.is_open().await {
                        return Err("the server ended a connection".to_owned());
                    }
                }
            }
            sent = started.at.elapsed();
        }
        Ok(lane)
    }
}

/// How long all connections may take to open.
const PATIENCE: Duration = Duration::from_secs(20);
