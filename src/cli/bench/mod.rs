//! `countersign bench`: load a running server and say what it reaches.
//!
//! `bench fill` makes a store to do so with: one with millions of factors takes too long through the API.
//!
//! The figures of a machine say little by themselves, so each run can measure its control too: `--floor` a bare
//! handler under the same load, `push` also the rate at which one core checks signatures.

mod api;
mod comparison;
mod connection;
mod cost;
mod cpu;
mod figures;
mod fill;
mod filled;
mod floor;
mod histogram;
mod http2;
mod load;
mod measure;
mod numbers;
mod operations;
mod pgbench;
mod place;
mod pool;
mod push;
mod report;
mod signal;
mod target;
mod totp;
mod twilio;
mod verify;
mod verify_rate;
mod vonage;
mod waiters;
mod wrk;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::Failure;
use crate::domain::entropy::SystemEntropy;
use crate::domain::time::SystemClock;

use self::api::SetUp;
use self::fill::{MOST_FACTORS, Population};
use self::filled::FilledCodes;
use self::load::{ExpectedAnswer, Work};
use self::measure::MeasureArgs;
use self::pgbench::PgBench;
use self::place::{PlaceArgs, require_files};
use self::pool::ClientPool;
use self::report::Report;
use self::target::Target;

/// Load a running server and print requests per second, latencies and errors.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create challenges with correct TOTP codes; each is approved and durable before it is answered.
    Totp(TotpArgs),
    /// Approve push challenges with signed answers; each is durable before it is answered.
    Push(ServerArgs),
    /// Create verifications with codes of its own choice, and check them; both durable before they are answered. A pair is
    /// one measurement.
    ///
    /// The service has `CustomCodeEnabled`, so that the codes are known here; nothing else is different from a drawn code. The
    /// numbers are +1 ... 555-0100 to 555-0199, which no telephone has, and `RiskCheck` is disabled, or the budgets of toll
    /// fraud would end the run. Messages take the usual way through the outbox while the load lasts and after it: run
    /// the server with its log sender and `--log warn`, or what is measured is the terminal.
    Verify(VerifyArgs),
    /// Begin sessions of Signal's registration service, have their codes sent, and check a wrong one each; all of it is durable
    /// before it is answered. Each call is one measurement.
    ///
    /// The same is done through Twilio's API, in turns, over HTTP/2 as well, and printed beside it; there, what begins is what
    /// sends. Each operation is measured by itself, and ratios above one say that it is dearer than through Twilio's API. The numbers
    /// are those of `verify`, and so is what the server needs.
    Signal(signal::SignalArgs),
    /// Begin requests of Vonage's Verify of one text message each, and check a wrong code each; both are durable before they are
    /// answered.
    ///
    /// The same is done through Twilio's API, in turns, over HTTP/2 as well, and printed beside it, as by `signal`.
    Vonage(vonage::VonageArgs),
    /// Wait with many connections, decide a few challenges, and say how long that takes to reach those who wait.
    Waiters(WaitersArgs),
    /// Fill a store that no server uses with verified TOTP factors, for `totp --filled`. It is for stores that are thrown away:
    /// whoever knows the seed has the account and all secrets.
    ///
    /// It makes an account and a service of its own and prints the account's credentials. Run again with the same seed it goes
    /// on behind the factors that are there, also after it was interrupted.
    Fill(fill::FillArgs),
    /// Load a bare handler that answers 600 bytes: the most that this machine can serve.
    Floor(floor::FloorArgs),
    /// Be that handler.
    #[command(hide = true)]
    FloorServer,
}

#[derive(Debug, clap::Args)]
struct WaitersArgs {
    /// The server, like <http://127.0.0.1:8080>. It and this command need more open files than there are waiters
    /// (`ulimit -n`), and the server `max_connections` that are a third more.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// How many wait: half with long polls, half with event streams.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = positive)]
    connections: usize,
    /// For how long challenges are decided.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// How many are decided in a second, as far as there are enough.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Threads of the load generator.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = positive)]
    threads: usize,
    /// The server's process, to print its memory before and while everybody waits.
    #[arg(long)]
    pid: Option<u32>,
    /// The listener of `/metrics`, like <http://127.0.0.1:9090>: nothing is decided before the server says there that
    /// everybody waits.
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct LoadArgs {
    /// Keep-alive connections; each has one request on the way.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = positive)]
    connections: usize,
    /// How long to measure.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Threads of the load generator.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = positive)]
    threads: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The server, like <http://127.0.0.1:8080>. It must not have senders that cost money.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    measure: MeasureArgs,
}

#[derive(Debug, clap::Args)]
struct TotpArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The database that the server keeps its store in: also has `pgbench` update a row by its primary key, in a table as
    /// large and from as many connections, half before and half after, and prints the ratio. It makes the table
    /// `countersign_bench` there, and drops it.
    #[arg(long, value_name = "URL", hide_env_values = true)]
    store: Option<String>,
    /// Load it with the factors from 1 to N of those that `bench fill` put into the server's store, in random order, instead of
    /// enrolling some. A step's code is good for once, so wait a minute between two runs, or five if the first has used up all
    /// codes.
    #[arg(long, value_name = "N", requires = "seed", conflicts_with_all = ["factors", "wrk_script"])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MOST_FACTORS.cast_signed()))]
    filled: Option<u32>,
    /// What `bench fill` was told.
    #[arg(long, value_name = "TEXT", requires = "filled")]
    seed: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ServerArgs {
    /// The server, like <http://127.0.0.1:8080>. Several on one store, each named by a `--url`, share the connections; the first one
    /// is where the benchmark prepares.
    #[arg(long = "url", value_name = "URL", required = true)]
    urls: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    measure: MeasureArgs,
    /// How many factors (TOTP) or challenges (push) to prepare, instead of preparing for as long as the load lasts.
    #[arg(long, value_name = "N", value_parser = positive, alias = "challenges")]
    factors: Option<usize>,
    /// Prepare the requests, but write them as a script for wrk instead of sending them. It holds credentials, and needs
    /// `--keep`, for it works in the service afterwards.
    #[arg(long, value_name = "FILE", requires = "keep")]
    wrk_script: Option<PathBuf>,
}

/// Runs one `countersign bench` command.
///
/// # Errors
/// A sentence for the terminal: why nothing could be measured or filled, or that some answers were no success.
pub(super) async fn run(args: Args, environment: Vec<(OsString, OsString)>) -> Result<(), Failure> {
    let measurement: Box<dyn FnOnce() -> Result<(), String> + Send> = match args.command {
        Command::FloorServer => return floor::serve().await.map_err(Failure::new),
        Command::Fill(args) => return fill::run(args, environment).await,
        Command::Totp(args) => Box::new(move || totp(&args)),
        Command::Push(args) => Box::new(move || push(&args)),
        Command::Verify(args) => Box::new(move || verify(&args)),
        Command::Signal(args) => Box::new(move || signal::run(&args)),
        Command::Vonage(args) => Box::new(move || vonage::run(&args)),
        Command::Waiters(args) => Box::new(move || waiters(&args)),
        Command::Floor(args) => Box::new(move || floor::run(&args)),
    };
    // The generator has threads of its own; this one only waits.
    let measured = tokio::task::spawn_blocking(measurement).await;
    measured
        .map_err(|error| error.to_string())
        .flatten()
        .map_err(Failure::new)
}

fn totp(args: &TotpArgs) -> Result<(), String> {
    let server = &args.server;
    if let (Some(count), Some(seed)) = (args.filled, &args.seed) {
        server.measure.require_few(server.urls.len())?;
        let codes = FilledCodes::new(
            Target::parse(&server.urls[0])?,
            server.place.account.clone(),
            Population::of(seed),
            count,
            Arc::new(SystemClock),
            &SystemEntropy,
        );
        require_files(server.measure.load.connections)?;
        progress(&format!("{count} factors that were filled"))?;
        return args.measure(&Arc::new(codes));
    }
    server.within_service(totp::CODES, |set_up| {
        let (target, service) = (set_up.target.clone(), set_up.service.clone());
        let codes = totp::Codes::set_up(set_up)?;
        progress(&format!("{} factors in the service {service}", codes.len()))?;
        if let Some(script) = &server.wrk_script {
            return wrk::write(script, &target, codes.into_lines());
        }
        args.measure(&Arc::new(codes))
    })
}

fn push(args: &ServerArgs) -> Result<(), String> {
    args.within_service(1, |set_up| {
        let (target, service) = (set_up.target.clone(), set_up.service.clone());
        let approvals = push::Approvals::set_up(set_up)?;
        progress(&format!(
            "{} signed approvals in the service {service}",
            approvals.len()
        ))?;
        if let Some(script) = &args.wrk_script {
            return wrk::write(script, &target, approvals.into_lines());
        }
        let verified = verify_rate::measure(Duration::from_secs(1))?;
        let mut report = args.measure(&Arc::new(approvals), push::APPROVED)?;
        report.ratio("verify", "verify_per_second_one_core", verified);
        report.print(args.measure.load.json)
    })
}

fn verify(args: &VerifyArgs) -> Result<(), String> {
    let VerifyArgs { url, place, measure } = args;
    let connections = measure.load.connections;
    place.within_service(url, &verify::SETTINGS, connections, |target, service| {
        progress(&format!("the service {service}"))?;
        let pairs = verify::Pairs::new(target.clone(), place.account.clone(), &service);
        let measured = measure.measure(&[target], &Arc::new(pairs), verify::CREATED)?;
        let mut report = Report::of_pairs(&measured.outcome);
        measured.add_to(&mut report);
        report.print(measure.load.json)
    })
}

fn waiters(args: &WaitersArgs) -> Result<(), String> {
    let pairs = args.connections.div_ceil(2);
    let plan = waiters::WaitersPlan {
        rate: args.rate,
        duration: Duration::from_secs(args.seconds),
        threads: args.threads,
        pid: args.pid,
        metrics: args.metrics.as_deref().map(Target::parse).transpose()?,
    };
    let place = &args.place;
    place.within_service(&args.url, &[], args.connections, |target, service| {
        let set_up = SetUp {
            pool: ClientPool {
                connections: pairs.min(16),
                threads: args.threads,
            },
            target,
            account: place.account.clone(),
            service,
            wanted: Some(pairs),
            duration: Duration::from_secs(args.seconds),
            clock: Arc::new(SystemClock),
        };
        waiters::run(set_up, &plan)?.print(args.json)
    })
}

impl TotpArgs {
    fn measure<W: Work>(&self, codes: &Arc<W>) -> Result<(), String> {
        let Self { server, store, .. } = self;
        let Some(store) = store else {
            return server
                .measure(codes, totp::APPROVED)?
                .print(server.measure.load.json);
        };
        let Some(control) = PgBench::set_up(store, server.measure.load.pool())? else {
            return Err(
                "pgbench and psql are not installed (Debian's packages postgresql-contrib and postgresql-client)"
                    .to_owned(),
            );
        };
        progress(&format!("{} rows for pgbench", control.rows()))?;
        let half = server.measure.load.duration() / 2;
        let before = control.measure(half)?;
        let mut report = server.measure(codes, totp::APPROVED)?;
        let after = control.measure(half)?;
        report.ratio(
            "pgbench",
            "pgbench_updates_per_second",
            f64::midpoint(before, after),
        );
        report.print(server.measure.load.json)
    }
}

impl ServerArgs {
    /// Has `work` done with what is to be set up, of which each piece lasts for so many requests.
    fn within_service(
        &self,
        each: usize,
        work: impl FnOnce(SetUp) -> Result<(), String>,
    ) -> Result<(), String> {
        self.measure.require_few(self.urls.len())?;
        let Self { place, measure, .. } = self;
        let load = measure.load;
        place.within_service(&self.urls[0], &[], load.connections, |target, service| {
            work(SetUp {
                pool: load.pool(),
                target,
                account: place.account.clone(),
                service,
                wanted: self.factors.or(measure.round.pieces(each, load.connections)),
                duration: load.duration(),
                clock: Arc::new(SystemClock),
            })
        })
    }

    fn measure<W: Work>(&self, work: &Arc<W>, expected: ExpectedAnswer) -> Result<Report, String> {
        let targets: Result<Vec<Target>, String> = self.urls.iter().map(|url| Target::parse(url)).collect();
        let measured = self.measure.measure(&targets?, work, expected)?;
        let mut report = Report::new(&measured.outcome);
        measured.add_to(&mut report);
        Ok(report)
    }
}

impl LoadArgs {
    fn pool(self) -> ClientPool {
        ClientPool {
            connections: self.connections,
            threads: self.threads.min(self.connections),
        }
    }

    fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=100_000) => Ok(number),
        _ => Err("a number from 1 to 100000 is wanted".to_owned()),
    }
}

fn progress(text: &str) -> Result<(), String> {
    writeln!(io::stderr().lock(), "set up: {text}").map_err(|error| error.to_string())
}
