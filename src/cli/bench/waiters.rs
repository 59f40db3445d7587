//! `countersign bench waiters`: many who wait, a few decisions, and how long each takes to reach whoever waits for it.
//!
//! Half of the waiters are backends with a long poll for one challenge, half are devices with an event stream. Latency
//! is from the first byte of the decision that is sent to the last byte that the waiter reads: the server's commit to
//! disk is in it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, watch};

use super::api::SetUp;
use super::connection::Connection;
use super::histogram::Histogram;
use super::pool::ClientPool;
use super::push::{Station, stations};
use super::report::Report;
use super::target::{AccountCredentials, PreparedRequest, Target};

/// How many decisions come in a second.
pub(super) struct WaitersPlan {
    pub(super) rate: u32,
    pub(super) duration: Duration,
    pub(super) threads: usize,
    /// The server's process, to look at its memory.
    pub(super) pid: Option<u32>,
    /// Where the server tells how many wait.
    pub(super) metrics: Option<Target>,
}

/// Sets up, waits, decides; what came of it.
pub(super) fn run(set_up: SetUp, plan: &WaitersPlan) -> Result<Report, String> {
    let (target, account) = (set_up.target.clone(), set_up.account.clone());
    let stations: Vec<_> = stations(set_up)?.into_iter().map(Waited::new).collect();
    super::progress(&format!("{} challenges, each with two who wait", stations.len()))?;
    let before = plan.pid.map(memory_kib).transpose()?;
    let waiters = 2 * stations.len();
    let (end, ended) = watch::channel(false);
    let round = Arc::new(WaitersRound {
        target,
        account,
        stations,
        next: AtomicUsize::new(0),
        ready: Barrier::new(waiters + DECIDERS),
        begin: Barrier::new(DECIDERS),
        done: Barrier::new(DECIDERS),
        every: Duration::from_secs(1) * u32::try_from(DECIDERS).unwrap_or(1) / plan.rate,
        duration: plan.duration,
        pid: plan.pid,
        metrics: plan.metrics.clone(),
        idle_kib: OnceLock::new(),
        end: Mutex::new(Some(end)),
        ended,
    });
    let pool = ClientPool {
        connections: waiters + DECIDERS,
        threads: plan.threads,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let lanes = pool.work(&stop, |index| Arc::clone(&round).work(index))?;
    let mut report = Report::new_of(lanes.iter().find_map(|lane| lane.error.clone()));
    let of = |kind| {
        let mut latencies = Histogram::new();
        let lanes = lanes.iter().filter(|lane| lane.kind == kind);
        lanes
            .flat_map(|lane| &lane.latencies)
            .for_each(|latency| latencies.record(*latency));
        latencies
    };
    let (polls, streams, decisions) = (
        of(WaiterKind::Poll),
        of(WaiterKind::Stream),
        of(WaiterKind::Decider),
    );
    let mut all = polls.clone();
    all.merge(&streams);
    report.fact("waiters", waiters);
    report.fact("decisions", decisions.count());
    report.fact("answered", all.count());
    report.fact("missed", (2 * decisions.count()).saturating_sub(all.count()));
    report.fact("errors", lanes.iter().filter(|lane| lane.error.is_some()).count());
    report.figure("p50_ms", all.quantile_ms(500), 3);
    report.figure("p99_ms", all.quantile_ms(990), 3);
    // More than a second is a wake-up that was lost: the server looks again after ten seconds whatever happens.
    report.figure("longest_ms", all.quantile_ms(1000), 3);
    report.figure("poll_p99_ms", polls.quantile_ms(990), 3);
    report.figure("stream_p99_ms", streams.quantile_ms(990), 3);
    report.figure("decision_p99_ms", decisions.quantile_ms(990), 3);
    if let (Some(before), Some(idle)) = (before, round.idle_kib.get()) {
        report.fact("rss_before_kib", before);
        report.fact("rss_idle_kib", *idle);
        report.fact("rss_growth_kib", idle.saturating_sub(before));
    }
    Ok(report)
}

/// A challenge that is waited for.
struct Waited {
    station: Station,
    /// When its decision was sent.
    sent: OnceLock<Instant>,
}

impl Waited {
    fn new(station: Station) -> Self {
        Self {
            station,
            sent: OnceLock::new(),
        }
    }
}

struct WaitersRound {
    target: Target,
    account: AccountCredentials,
    stations: Vec<Waited>,
    next: AtomicUsize,
    ready: Barrier,
    begin: Barrier,
    done: Barrier,
    every: Duration,
    duration: Duration,
    pid: Option<u32>,
    metrics: Option<Target>,
    idle_kib: OnceLock<u64>,
    end: Mutex<Option<watch::Sender<bool>>>,
    ended: watch::Receiver<bool>,
}

/// What one connection measured.
struct WaiterLane {
    kind: WaiterKind,
    latencies: Vec<Duration>,
    error: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WaiterKind {
    Decider,
    Poll,
    Stream,
}

impl WaitersRound {
    async fn work(self: Arc<Self>, index: usize) -> Result<WaiterLane, String> {
        let half = self.stations.len();
        let (kind, latencies) = if index >= 2 * half {
            return self.decide(index - 2 * half).await;
        } else if index < half {
            (WaiterKind::Poll, self.waited(index, true).await)
        } else {
            (WaiterKind::Stream, self.waited(index, false).await)
        };
        let (latencies, error) = match latencies {
            Ok(latency) => (latency.into_iter().collect(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Ok(WaiterLane {
            kind,
            latencies,
            error,
        })
    }

    /// Waits for the decision of one challenge, or the end of the benchmark.
    async fn waited(&self, index: usize, polls: bool) -> Result<Option<Duration>, String> {
        let waited = &self.stations[index % self.stations.len()];
        let station = &waited.station;
        let (path, authorization, sign) = if polls {
            let path = format!("{}?Wait=60", station.challenge());
            (path, &self.account, r#""status":"approved""#)
        } else {
            (station.events(), station.device(), "event: challenge.approved")
        };
        let mut request = Vec::new();
        let get = PreparedRequest {
            method: "GET",
            path: &path,
            form: "",
        };
        self.target.write(&mut request, authorization, &get);
        let mut text = Vec::new();
        // One after the other: a server whose queue of new connections overflows hears of some only seconds later.
        tokio::time::sleep(APART * u32::try_from(index).unwrap_or(u32::MAX)).await;
        let opened = async {
            let mut stream = TcpStream::connect(self.target.address).await?;
            stream.write_all(&request).await?;
            while !polls && stream.read_buf(&mut text).await? > 0 && !holds(&text, "event: challenge.created")
            {
            }
            Ok::<_, std::io::Error>(stream)
        };
        let opened = opened.await;
        self.ready.wait().await;
        let broke = |error: std::io::Error| format!("a waiter's connection broke: {error}");
        let mut stream = opened.map_err(broke)?;
        let mut ended = self.ended.clone();
        loop {
            let mut piece = [0; 2048];
            let read = tokio::select! {
                read = stream.read(&mut piece) => read.map_err(broke)?,
                _ = ended.wait_for(|ended| *ended) => return Ok(None),
            };
            let arrived = Instant::now();
            text.extend_from_slice(&piece[..read]);
            let found = String::from_utf8_lossy(&text);
            if holds(&text, sign) {
                return Ok(waited.sent.get().map(|sent| arrived.duration_since(*sent)));
            }
            if polls && found.contains(r#""status":"pending""#) {
                // The wait is over before the decision came: once more.
                text.clear();
                stream.write_all(&request).await.map_err(broke)?;
            } else if read == 0 || !found.starts_with("HTTP/1.1 200") {
                return Err(format!(
                    "a waiter was answered: {}",
                    &found[..found.len().min(500)]
                ));
            }
        }
    }

    /// Waits until the server says that everybody waits. What is missed from then on, it missed.
    async fn all_wait(&self, metrics: &Target) -> Result<(), String> {
        let mut request = Vec::new();
        let get = PreparedRequest {
            method: "GET",
            path: "/metrics",
            form: "",
        };
        // It asks for no credentials, so it gets none.
        metrics.write(&mut request, &AccountCredentials::new("", ""), &get);
        let sign = format!("\ncountersign_waiters {}\n", 2 * self.stations.len());
        let broke = |error: std::io::Error| format!("{} does not tell: {error}", metrics.host);
        let began = Instant::now();
        let mut connection = Connection::open(metrics.address).await.map_err(broke)?;
        while !connection
            .exchange(&request)
            .await
            .map_err(broke)?
            .contains(&sign)
        {
            if began.elapsed() > PATIENCE {
                return Err("the server does not say that everybody waits".to_owned());
            }
            tokio::time::sleep(APART * 1000).await;
        }
        Ok(())
    }

    /// Decides one challenge after the other, at its pace.
    async fn decide(&self, number: usize) -> Result<WaiterLane, String> {
        tokio::time::timeout(PATIENCE, self.ready.wait())
            .await
            .map_err(|_| "the server does not take so many connections".to_owned())?;
        // Everybody has sent a request; by now it has been read, too, unless the server's queue was full.
        tokio::time::sleep(IDLE).await;
        let waiting = match &self.metrics {
            // One asks for all: nobody decides before it was told.
            Some(metrics) if number == 0 => self.all_wait(metrics).await,
            _ => Ok(()),
        };
        self.begin.wait().await;
        waiting?;
        // Not before: the server closes a connection that asks for nothing for ten seconds.
        let mut connection = Connection::open(self.target.address)
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        if let (0, Some(pid)) = (number, self.pid) {
            let _first = self.idle_kib.set(memory_kib(pid)?);
        }
        let mut lane = WaiterLane {
            kind: WaiterKind::Decider,
            latencies: Vec::new(),
            error: None,
        };
        let mut ticks = tokio::time::interval(self.every);
        let (began, mut request) = (Instant::now(), Vec::new());
        while began.elapsed() < self.duration {
            ticks.tick().await;
            let Some(waited) = self.stations.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            waited.station.write_approval(&self.target, &mut request);
            let sent = *waited.sent.get_or_init(Instant::now);
            match connection.exchange(&request).await {
                Ok(response) if response.status == 200 => lane.latencies.push(sent.elapsed()),
                Ok(response) => lane.error = Some(response.excerpt()),
                Err(error) => return Err(format!("the connection broke: {error}")),
            }
        }
        self.done.wait().await;
        tokio::time::sleep(IDLE).await;
        if let Some(end) = self.end.lock().unwrap_or_else(PoisonError::into_inner).take() {
            end.send_replace(true);
        }
        Ok(lane)
    }
}

fn holds(text: &[u8], sign: &str) -> bool {
    String::from_utf8_lossy(text).contains(sign)
}

/// The resident memory of a process, in KiB (Linux).
fn memory_kib(pid: u32) -> Result<u64, String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(|error| format!("cannot read the memory of process {pid}: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| format!("process {pid} does not say how much memory it has"))
}

/// Enough that a decision never waits for the one before.
const DECIDERS: usize = 8;
/// How long everything is left alone before the first and behind the last decision.
const IDLE: Duration = Duration::from_secs(3);
/// How long lies between two new connections.
const APART: Duration = Duration::from_micros(300);
/// How long all connections may take to open.
const PATIENCE: Duration = Duration::from_mins(1);
