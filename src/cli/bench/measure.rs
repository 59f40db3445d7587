//! What the benchmarks of one server have in common: how long they load it, what is called around the load, what is measured
//! beside it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::LoadArgs;
use super::cost::{CostArgs, RequestCost};
use super::floor;
use super::load::{self, ExpectedAnswer, LoadLimit, LoadOutcome, Work};
use super::report::Report;
use super::target::Target;

/// How `totp`, `push` and `verify` load a server, and what they print beside the rate.
#[derive(Debug, clap::Args)]
pub(super) struct MeasureArgs {
    #[command(flatten)]
    pub(super) load: LoadArgs,
    #[command(flatten)]
    pub(super) round: RoundArgs,
    /// Also load a bare handler, half before and half after, and print the ratio of requests to requests.
    #[arg(long)]
    floor: bool,
    #[command(flatten)]
    cost: CostArgs,
}

/// Where the load ends, and who is told.
#[derive(Debug, clap::Args)]
pub(super) struct RoundArgs {
    /// Send so many requests (of `verify`: pairs of them), however long that takes, instead of loading for `--seconds`.
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) requests: Option<u64>,
    /// A program that is called when everything is prepared, with the argument `begin`, and when the last request is answered, with
    /// `end`: to switch on and off what watches the server. The load waits for it.
    #[arg(long, value_name = "PROGRAM")]
    around: Option<PathBuf>,
}

/// What was measured.
pub(super) struct Measured {
    pub(super) outcome: LoadOutcome,
    /// The bare handler's requests per second.
    floor: Option<f64>,
    /// What a request took.
    cost: Option<RequestCost>,
    /// What a request to the bare handler took.
    floor_cost: Option<RequestCost>,
}

impl MeasureArgs {
    /// Fails where something cannot be measured of so many servers.
    ///
    /// # Errors
    /// What can be.
    pub(super) fn require_few(&self, servers: usize) -> Result<(), String> {
        self.cost.require_one(servers)
    }

    /// Loads the servers, and the bare handler if that is wanted.
    ///
    /// # Errors
    /// Why nothing could be measured.
    pub(super) fn measure<W: Work>(
        &self,
        targets: &[Target],
        work: &Arc<W>,
        expected: ExpectedAnswer,
    ) -> Result<Measured, String> {
        let (pool, limit) = (self.load.pool(), self.round.limit(self.load));
        let with_cost = self.cost.is_wanted();
        let of_floor = || floor::measure(pool, limit.half(), with_cost);
        let wants_floor = self.floor || with_cost;
        let before = wants_floor.then(of_floor).transpose()?;
        let load = || self.round.run(|| load::run(pool, targets, work, expected, limit));
        let (outcome, cost) = self.cost.measure(load)?;
        let after = wants_floor.then(of_floor).transpose()?;
        let halves = before.zip(after);
        let floor = halves
            .as_ref()
            .map(|(one, other)| f64::midpoint(one.outcome.per_second(), other.outcome.per_second()));
        let floor_cost = halves.and_then(|(one, other)| one.cost.zip(other.cost));
        Ok(Measured {
            outcome,
            floor,
            cost,
            floor_cost: floor_cost.map(|(one, other)| one.between(&other)),
        })
    }
}

impl Measured {
    /// Adds to the report what was measured beside the rate.
    pub(super) fn add_to(&self, report: &mut Report) {
        if let Some(floor) = self.floor {
            report.ratio("floor", "floor_requests_per_second", floor);
        }
        if let Some(cost) = &self.cost {
            cost.add_to(report, "");
        }
        if let (Some(floor), Some(cost)) = (&self.floor_cost, &self.cost) {
            floor.add_to(report, "floor_");
            cost.add_ratio_to(report, floor);
        }
    }
}

impl RoundArgs {
    /// Until when such a load goes on.
    pub(super) fn limit(&self, load: LoadArgs) -> LoadLimit {
        LoadLimit {
            duration: if self.requests.is_some() {
                LONGEST
            } else {
                load.duration()
            },
            requests: self.requests,
        }
    }

    /// How many to prepare of what lasts for `each` requests, where it is said how many requests there will be.
    pub(super) fn pieces(&self, each: usize, connections: usize) -> Option<usize> {
        let requests = usize::try_from(self.requests?).unwrap_or(usize::MAX);
        // One is out of reach while its request is under way.
        Some(requests.div_ceil(each).saturating_add(connections))
    }

    /// Has the load done, between the two calls of the program if one is named.
    ///
    /// # Errors
    /// The program failed, or the load did.
    pub(super) fn run<T>(&self, load: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        self.tell("begin")?;
        let done = load();
        self.tell("end")?;
        done
    }

    fn tell(&self, what: &str) -> Result<(), String> {
        let Some(program) = &self.around else {
            return Ok(());
        };
        let name = program.display();
        let status = Command::new(program).arg(what).status();
        let status = status.map_err(|error| format!("cannot run {name}: {error}"))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("`{name} {what}` failed: {status}"))
        }
    }
}

/// How long a load lasts at the most that has no time to end at.
const LONGEST: Duration = Duration::from_hours(1);
