//! Faults of servers, of their database and of what is between them, while clients work; and then the checks of
//! [`crate::server_kill`].
//!
//! `COUNTERSIGN_KILL_ROUNDS` sets how often: each fault once for a hundred, but at least once.
//! `COUNTERSIGN_KILL_SEED` sets the moments.

use std::io::{self, Write as _};
use std::thread;
use std::time::Duration;

use super::servers::Nodes;
use crate::postgres_server::{Cluster, ClusterOptions, Proxy};
use crate::server_kill::everybody::{Answers, Everybody};
use crate::server_kill::number_from;
use crate::server_kill::random::Random;

#[test]
fn acknowledged_answers_survive_kills_of_servers_and_of_their_database() {
    survive(&[Fault::NodeKilled, Fault::DatabaseKilled, Fault::AllNodesKilled]);
}

#[test]
fn acknowledged_answers_survive_connections_to_the_database_that_fail() {
    survive(&[
        Fault::CutBeforeCommit,
        Fault::NotSerializable,
        Fault::CutAfterCommit,
        Fault::HalfOpen,
        Fault::AnswersLate,
    ]);
}

/// Its log as well, so it cannot even say what it lacks. Needs root, as nobody else can have a disk that is small.
#[test]
fn acknowledged_answers_survive_a_database_whose_disk_is_full() {
    let options = ClusterOptions {
        disk: Some(160),
        settings: "min_wal_size = '32MB'\nmax_wal_size = '48MB'",
        ..ClusterOptions::default()
    };
    if !Cluster::may_have_disk() {
        let line = "SKIPPED: a database whose disk is full, which needs PostgreSQL and root that may mount\n";
        io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    }
    let cluster = Cluster::own(options).unwrap();
    survive_on(Nodes::start_on(cluster, &[None; 3]), &[Fault::DiskFull]);
}

/// What happens while clients work.
#[derive(Clone, Copy, Debug)]
enum Fault {
    AllNodesKilled,
    /// By five seconds, each.
    AnswersLate,
    /// Of a commit nobody hears that it happened.
    CutAfterCommit,
    CutBeforeCommit,
    /// All its processes at once; it is started again soon after.
    DatabaseKilled,
    /// Until somebody makes space, and starts the database if it has ended.
    DiskFull,
    /// To one server's database first, then to all: nothing comes, and nothing is closed.
    HalfOpen,
    /// And once more while it starts.
    NodeKilled,
    /// One in ten statements, and one in ten commits.
    NotSerializable,
}

/// Lets one fault after the other happen to three servers on one database.
fn survive(faults: &[Fault]) {
    if let Some(nodes) = Nodes::start(3) {
        survive_on(nodes, faults);
    }
}

fn survive_on(mut nodes: Nodes, faults: &[Fault]) {
    let each = (number_from("COUNTERSIGN_KILL_ROUNDS", 20) / 100).max(1);
    let rounds = each * u64::try_from(faults.len()).unwrap();
    let seed = number_from("COUNTERSIGN_KILL_SEED", 0x5eed);
    eprintln!("{rounds} rounds, seed {seed}");
    let mut random = Random::new(seed);
    let servers = nodes.servers();
    let mut everybody = Everybody::new(&servers, &mut random);
    for (round, fault) in (0..rounds).zip(faults.iter().cycle()) {
        everybody.work(&servers, round, |answers| {
            answers.wait_for(random.below(150));
            let spins = random.below(2_000_000);
            (0..spins).for_each(|_| std::hint::spin_loop());
            fault.happen(&mut nodes, answers, &mut random);
        });
        nodes.recover();
        everybody.check(&servers, round);
    }
    everybody.check(&servers, 0);
    everybody.check_events(&servers);
    nodes.within(async |app| everybody.check_records(app).await);
    everybody.check_files(&[&nodes.files()]);
    everybody.summarize(&servers, rounds);
}

impl Fault {
    /// Happens, and passes, while clients get answers or fail to.
    fn happen(self, nodes: &mut Nodes, answers: &Answers, random: &mut Random) {
        match self {
            Self::AllNodesKilled => {
                for number in 0..nodes.number() {
                    nodes.kill(number);
                }
                // Nobody answers any more.
                return;
            }
            Self::AnswersLate => {
                let late = |by| nodes.proxies().for_each(|proxy| proxy.delay_answers(by));
                late(Duration::from_secs(5));
                thread::sleep(Duration::from_secs(12));
                late(Duration::ZERO);
            }
            Self::CutAfterCommit => cut(nodes, answers, Proxy::cut_after_commit),
            Self::CutBeforeCommit => cut(nodes, answers, Proxy::cut_before_commit),
            Self::DatabaseKilled => {
                nodes.cluster().kill();
                thread::sleep(Duration::from_millis(random.below(1000)));
                nodes.cluster().start();
            }
            Self::DiskFull => {
                nodes.cluster().fill_disk();
                let filling = "CREATE TABLE filling AS SELECT generate_series(1, 1000000)";
                nodes.database().try_psql(filling).unwrap_err();
                thread::sleep(Duration::from_secs(12));
                nodes.cluster().clear_disk();
            }
            Self::HalfOpen => {
                nodes.proxies().next().unwrap().freeze();
                answers.forget();
                // From the others.
                answers.wait_for(50);
                nodes.proxies().for_each(Proxy::freeze);
                thread::sleep(Duration::from_secs(8));
                nodes.proxies().for_each(Proxy::thaw);
            }
            Self::NodeKilled => {
                let number = usize::try_from(random.below(3)).unwrap() % nodes.number();
                nodes.kill(number);
                let half_started = nodes.half_start(number);
                answers.forget();
                answers.wait_for(random.below(50));
                drop(half_started);
            }
            Self::NotSerializable => {
                let failing = |one_in| {
                    for proxy in nodes.proxies() {
                        proxy.fail_one_statement_in(one_in);
                        proxy.fail_one_commit_in(one_in);
                    }
                };
                failing(10);
                answers.forget();
                answers.wait_for(200);
                failing(0);
                assert!(nodes.proxies().all(|proxy| proxy.failures() > 0));
            }
        }
        answers.forget();
        answers.wait_for(50);
    }
}

/// Cuts a connection of each server at a commit, some times.
fn cut(nodes: &Nodes, answers: &Answers, cut: impl Fn(&Proxy)) {
    let cuts = || nodes.proxies().map(Proxy::cuts_at_commits).sum::<usize>();
    let before = cuts();
    for _ in 0..CUTS {
        nodes.proxies().for_each(&cut);
        answers.forget();
        answers.wait_for(20);
    }
    assert!(cuts() >= before + CUTS, "{} cuts", cuts() - before);
}

const CUTS: usize = 5;
