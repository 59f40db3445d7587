//! One protocol beside Twilio's API, in turns on one server: what each operation costs in both, and the ratio.
//!
//! The turns are short and change their order, so that whatever else the machine does falls on both alike.

use std::sync::Arc;
use std::time::Duration;

use super::cpu::ServerProcess;
use super::operations::{CodeDialect, CodeLoad, CodeOperation, FreshNumbers, OperationOutcome};
use super::place::PlaceArgs;
use super::report::Report;
use super::target::{AccountCredentials, Target};
use super::twilio::TwilioCodes;
use super::{LoadArgs, progress};

/// What every comparison is told.
#[derive(Debug, clap::Args)]
pub(super) struct ComparisonArgs {
    /// The server, like <http://127.0.0.1:8080>. It must not have senders that cost money.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// The server's process, to print how much of a processor each operation takes, and to let the server come to rest
    /// between them.
    #[arg(long)]
    pid: Option<u32>,
    /// `--seconds` is for how long sessions are begun, in each protocol; each operation takes about as long again.
    #[command(flatten)]
    load: LoadArgs,
}

impl ComparisonArgs {
    /// Whoever calls.
    pub(super) fn account(&self) -> &AccountCredentials {
        &self.place.account
    }

    /// Compares the protocol that `dialect` makes of the server and of what no other run is called, and prints the report.
    pub(super) fn run<D: CodeDialect>(
        &self,
        dialect: impl FnOnce(Target, String) -> D,
    ) -> Result<(), String> {
        let Self {
            url,
            place,
            pid,
            load,
        } = self;
        place.within_service(url, &[], load.connections, |target, service| {
            progress(&format!("the service {service}"))?;
            let control = Arc::new(TwilioCodes {
                target: target.clone(),
                account: place.account.clone(),
                service: service.clone(),
            });
            let dialect = Arc::new(dialect(target.clone(), service));
            let code_load = CodeLoad {
                pool: load.pool(),
                target,
                process: ServerProcess(*pid),
                numbers: Arc::new(FreshNumbers::new()),
            };
            compare(&code_load, &dialect, &control, load.duration())?.print(load.json)
        })
    }
}

fn compare<D: CodeDialect>(
    load: &CodeLoad,
    dialect: &Arc<D>,
    control: &Arc<TwilioCodes>,
    begins: Duration,
) -> Result<Report, String> {
    let of_control = |begins| load.measure(control, begins);
    let of_dialect = |begins| load.measure(dialect, begins);
    let turn = begins / TURNS;
    // Whoever comes first warms the server for both.
    of_control(turn / 4)?;
    of_dialect(turn / 4)?;
    let (mut controls, mut dialects) = (Sums::default(), Sums::default());
    for nth in 0..TURNS {
        if nth % 2 == 0 {
            controls.add(of_control(turn)?);
            dialects.add(of_dialect(turn)?);
        } else {
            dialects.add(of_dialect(turn)?);
            controls.add(of_control(turn)?);
        }
    }
    Ok(report::<D>(&dialects.0, &controls.0))
}

/// In how many turns each protocol is measured.
const TURNS: u32 = 4;

/// What all turns of a protocol measured, an operation each.
#[derive(Default)]
struct Sums(Vec<OperationOutcome>);

impl Sums {
    fn add(&mut self, outcomes: Vec<OperationOutcome>) {
        if self.0.is_empty() {
            self.0 = outcomes;
            return;
        }
        for (sum, outcome) in self.0.iter_mut().zip(outcomes) {
            sum.merge(outcome);
        }
    }
}

fn report<D: CodeDialect>(dialect: &[OperationOutcome], control: &[OperationOutcome]) -> Report {
    let all = || control.iter().chain(dialect);
    let mut report = Report::new_of(all().find_map(|outcome| outcome.sample_error.clone()));
    let mut print = |protocol, operations: &[CodeOperation], outcomes: &[OperationOutcome]| {
        for (operation, outcome) in operations.iter().zip(outcomes) {
            let name = |figure| format!("{protocol}_{}_{figure}", operation.name());
            report.figure(&name("per_second"), 1.0 / outcome.seconds_of_each(), 1);
            report.figure(&name("p50_ms"), outcome.latencies.quantile_ms(500), 3);
            report.figure(&name("p99_ms"), outcome.latencies.quantile_ms(990), 3);
            if let Some(cpu) = outcome.cpu_us_of_each() {
                report.figure(&name("cpu_us"), cpu, 1);
            }
        }
    };
    print(TwilioCodes::NAME, TwilioCodes::OPERATIONS, control);
    print(D::NAME, D::OPERATIONS, dialect);
    for (operation, outcome) in D::OPERATIONS.iter().zip(dialect) {
        let same = TwilioCodes::OPERATIONS
            .iter()
            .position(|other| other == operation);
        if let Some(control) = same.and_then(|position| control.get(position..=position)) {
            ratios(
                &mut report,
                operation.name(),
                std::slice::from_ref(outcome),
                control,
            );
        }
    }
    ratios(&mut report, "session", dialect, control);
    report.fact("errors", all().map(|outcome| outcome.errors).sum::<u64>());
    report
}

/// How much dearer these operations are than those of the control: above one if they are.
fn ratios(report: &mut Report, name: &str, dialect: &[OperationOutcome], control: &[OperationOutcome]) {
    let time = |outcomes: &[OperationOutcome]| {
        outcomes
            .iter()
            .map(OperationOutcome::seconds_of_each)
            .sum::<f64>()
    };
    let cpu = |outcomes: &[OperationOutcome]| {
        let each = outcomes.iter().map(OperationOutcome::cpu_us_of_each);
        each.sum::<Option<f64>>()
    };
    let ratio = |one: f64, other: f64| one / other.max(f64::EPSILON);
    report.figure(
        &format!("{name}_time_ratio"),
        ratio(time(dialect), time(control)),
        3,
    );
    if let (Some(one), Some(other)) = (cpu(dialect), cpu(control)) {
        report.figure(&format!("{name}_cpu_ratio"), ratio(one, other), 3);
    }
}
