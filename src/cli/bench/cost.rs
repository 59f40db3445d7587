//! What a request costs the server, by what the operating system and the server itself know before the load and after it.
//!
//! The server is left alone until it is at rest, both times: what follows from the requests is theirs, and nothing else is.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::cpu::{ProcessSwitches, ProcessTimes, ServerProcess};
use super::figures::{MetricsText, fetch};
use super::load::{LoadOutcome, count};
use super::report::Report;
use super::target::Target;

#[derive(Debug, clap::Args)]
pub(super) struct CostArgs {
    /// Print what a request costs: microseconds of a processor, by itself and by the kernel for it; how often a thread of the server
    /// went to sleep; reads, commits, bytes that commits wrote, and bytes that the store's files grew by; and, of a build with
    /// `--features count-allocations`, how often and how much memory was asked for. Also of the bare handler, which is loaded half
    /// before and half after. Takes half a minute longer, in which nobody else may use the server.
    #[arg(long, requires_all = ["pid", "metrics"])]
    cost: bool,
    /// The server's process, to print the processor time that a success takes.
    #[arg(long)]
    pid: Option<u32>,
    /// The server's listener of `/metrics`, like <http://127.0.0.1:9090>.
    #[arg(long, value_name = "URL", requires = "cost")]
    metrics: Option<String>,
}

/// What one request took, by the figures' names.
pub(super) struct RequestCost {
    figures: BTreeMap<&'static str, f64>,
}

/// Who is asked what it has spent.
pub(super) struct Purse {
    process: u32,
    metrics: Target,
}

/// What a process had spent at one moment.
pub(super) struct Spent {
    times: ProcessTimes,
    switches: ProcessSwitches,
    told: MetricsText,
}

impl CostArgs {
    pub(super) fn is_wanted(&self) -> bool {
        self.cost
    }

    /// Fails if the processor time of several servers is wanted.
    pub(super) fn require_one(&self, servers: usize) -> Result<(), String> {
        if self.cost && servers != 1 {
            return Err("--cost says what one server spends: name one --url".to_owned());
        }
        Ok(())
    }

    /// Has the load done and says what a request took of it, as far as that is wanted.
    ///
    /// # Errors
    /// The load failed, the server does not tell, or somebody else used it.
    pub(super) fn measure(
        &self,
        load: impl FnOnce() -> Result<LoadOutcome, String>,
    ) -> Result<(LoadOutcome, Option<RequestCost>), String> {
        let Some(pid) = self.pid else {
            return Ok((load()?, None));
        };
        if !self.cost {
            let process = ServerProcess(Some(pid));
            let before = process.times()?;
            let outcome = load()?;
            let taken = process
                .times()?
                .zip(before)
                .map(|(after, before)| after.since(before));
            let cost = taken.map(|taken| RequestCost::of_times(taken, outcome.latencies.count()));
            return Ok((outcome, cost));
        }
        let purse = Purse {
            process: pid,
            metrics: Target::parse(self.metrics.as_deref().unwrap_or_default())?,
        };
        let before = purse.spent_at_rest()?;
        let outcome = load()?;
        let after = purse.spent_at_rest()?;
        let cost = after.since(&before, outcome.sent)?;
        Ok((outcome, Some(cost)))
    }
}

impl Purse {
    /// Of a process that tells at this address.
    pub(super) fn new(process: u32, metrics: Target) -> Self {
        Self { process, metrics }
    }

    /// What it has spent so far.
    ///
    /// # Errors
    /// There is no such process, or it does not tell.
    pub(super) fn spent(&self) -> Result<Spent, String> {
        let told = fetch(&self.metrics)?;
        Ok(Spent {
            times: ProcessTimes::of(self.process)?,
            switches: ProcessSwitches::of(self.process)?,
            told,
        })
    }

    /// The same once it has done all that follows from earlier requests, and has looked at its files since.
    fn spent_at_rest(&self) -> Result<Spent, String> {
        ServerProcess(Some(self.process)).rest()?;
        thread::sleep(LOOK_AT_DISK);
        self.spent()
    }
}

impl Spent {
    /// What each of the requests took since then. `sent` is how many were sent: the figures are divided by how many the process
    /// says it has answered, if it says so, since it does not answer only those that were measured.
    ///
    /// # Errors
    /// It answered more than were sent.
    pub(super) fn since(&self, before: &Self, sent: u64) -> Result<RequestCost, String> {
        let sum = |at: &Self| at.told.sum(ANSWERED);
        let answered = match sum(self).zip(sum(before)) {
            Some((after, before)) => after - before,
            None => count(sent),
        };
        if answered > count(sent) * (1.0 + OTHERS) + FEW {
            return Err(format!(
                "the server answered {answered} requests while {sent} were sent: --cost is for a server that nobody else uses"
            ));
        }
        let mut cost = RequestCost::of(self.times.since(before.times), answered);
        let mut put = |name, spent: f64| cost.figures.insert(name, spent / answered.max(1.0));
        put("switches", count(self.switches.since(&before.switches)));
        for (metric, name) in TOLD {
            if let (Some(after), Some(before)) = (self.told.sum(metric), before.told.sum(metric)) {
                put(name, after - before);
            }
        }
        Ok(cost)
    }
}

impl RequestCost {
    fn of(times: ProcessTimes, requests: f64) -> Self {
        let micros = |seconds: f64| seconds * 1e6 / requests.max(1.0);
        let figures = [
            ("cpu_us", micros(times.user + times.system)),
            ("user_us", micros(times.user)),
            ("system_us", micros(times.system)),
        ];
        Self {
            figures: figures.into(),
        }
    }

    /// Of so many successes, where nothing else is known.
    fn of_times(times: ProcessTimes, successes: u64) -> Self {
        let mut all = Self::of(times, count(successes));
        all.figures.retain(|name, _| *name == "cpu_us");
        all
    }

    /// Halfway between this and another one, as far as both are known.
    pub(super) fn between(&self, other: &Self) -> Self {
        let both = |(name, one): (&&'static str, &f64)| {
            Some((*name, f64::midpoint(*one, *other.figures.get(name)?)))
        };
        Self {
            figures: self.figures.iter().filter_map(both).collect(),
        }
    }

    /// Adds the figures under their names with this in front.
    pub(super) fn add_to(&self, report: &mut Report, prefix: &str) {
        for name in ORDER {
            if let Some(figure) = self.figures.get(name) {
                report.figure(&format!("{prefix}{name}"), *figure, 2);
            }
        }
        if self.figures.contains_key("switches") && !self.figures.contains_key("allocations") {
            let advice = "not counted: build the server with --features count-allocations";
            report.fact(&format!("{prefix}allocations"), advice);
        }
    }

    /// Adds what part of the processor time the other one takes.
    pub(super) fn add_ratio_to(&self, report: &mut Report, floor: &Self) {
        if let (Some(own), Some(floor)) = (self.figures.get("cpu_us"), floor.figures.get("cpu_us")) {
            report.figure("floor_cpu_ratio", floor / own.max(f64::EPSILON), 3);
        }
    }
}

/// The order in which figures are printed.
const ORDER: [&str; 10] = [
    "cpu_us",
    "user_us",
    "system_us",
    "switches",
    "allocations",
    "allocated_bytes",
    "reads",
    "commits",
    "logged_bytes",
    "kept_bytes",
];

/// What the server tells, and what it is called of one request.
const TOLD: [(&str, &str); 6] = [
    ("countersign_process_allocations_total", "allocations"),
    ("countersign_process_allocated_bytes_total", "allocated_bytes"),
    ("countersign_store_reads_total", "reads"),
    ("countersign_store_commits_total", "commits"),
    ("countersign_store_committed_bytes_total", "logged_bytes"),
    ("countersign_store_disk_bytes", "kept_bytes"),
];

/// How many requests were answered.
const ANSWERED: &str = "countersign_http_requests_total";

/// What part of the answers may be somebody else's, such as a probe's, and how many of a few.
const OTHERS: f64 = 0.01;
const FEW: f64 = 16.0;

/// The server looks at its files every five seconds.
const LOOK_AT_DISK: Duration = Duration::from_secs(6);
