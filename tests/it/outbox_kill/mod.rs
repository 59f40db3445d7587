//! Kills the real server again and again while it changes things and tells of it, to a receiver that fails one time in
//! three: it answers 500, drops the connection, or does not answer for a while. Every change that happened is told at least
//! once, in its order among those of its factor, and nothing else is told.
//!
//! What was answered must have happened; what was sent and not answered may have. So in the end the server is asked what is
//! there, and that has to be what was told.
//!
//! `COUNTERSIGN_KILL_ROUNDS` sets how often the server is killed (20 unless told), `COUNTERSIGN_KILL_SEED` the moments.

mod backend;

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server_kill::random::Random;
use crate::server_kill::receiver::{Receiver, Told};
use crate::server_kill::server::{self, Server};
use backend::Backend;

#[test]
fn every_change_is_told_although_the_server_is_killed_and_the_receiver_fails() {
    // Killed more often, no factor would live to the end of its story.
    let rounds = number_from("COUNTERSIGN_KILL_ROUNDS", 20).min(MOST_ROUNDS);
    let seed = number_from("COUNTERSIGN_KILL_SEED", 0x5eed);
    eprintln!("{rounds} rounds, seed {seed}");
    let mut random = Random::new(seed);
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::failing(random.below(u64::MAX));
    let mut service = None;
    let mut backends: Vec<Backend> = Vec::new();
    let (mut changes, mut kills) = (0, 0);
    while kills < rounds || changes < CHANGES {
        let server = Server::start(directory.path());
        let service = service.get_or_insert_with(|| create_service(&server, &receiver.url()));
        if backends.is_empty() {
            backends = (0..BACKENDS)
                .map(|number| Backend::new(number, service, random.below(u64::MAX)))
                .collect();
        }
        let until_kill = random.below(2 * CHANGES / rounds.max(1)) + 1;
        work_until_killed(server, &mut backends, until_kill);
        changes += until_kill;
        kills += 1;
    }
    let server = Server::start(directory.path());
    let happened = what_happened(&server, &backends);
    let begin = Instant::now();
    while receiver.taken() != happened && begin.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(50));
    }
    let taken = receiver.taken();
    let missing: Vec<_> = happened.difference(&taken).collect();
    let invented: Vec<_> = taken.difference(&happened).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing: {missing:?}, invented: {invented:?}"
    );
    receiver.check_order();
    drop(server);
    server::check_store(directory.path());
    for which in ["--waiting", "--dead"] {
        let left = server::run(directory.path(), &["outbox", "list", which, "--json"]);
        let left: Value = serde_json::from_str(&left).unwrap();
        assert_eq!(left["rows"], serde_json::json!([]), "{which}");
    }
    let kinds: BTreeSet<&str> = taken.iter().map(|told| told.event.as_str()).collect();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    eprintln!(
        "{changes} answers, {kills} kills, {} events, told {} times, {} times in vain, {:?} until the last one",
        taken.len(),
        receiver.tries(),
        receiver.failures(),
        begin.elapsed()
    );
    assert!(
        receiver.failures() * 4 > receiver.tries(),
        "the receiver failed too seldom to prove anything"
    );
}

fn create_service(server: &Server, url: &str) -> String {
    let mut client = server.connect();
    let name = [("FriendlyName", "Kill me")];
    let created = client.call("POST", "/v2/Services", &name).unwrap().expect(201);
    let service = created["sid"].as_str().unwrap().to_owned();
    let form = [
        ("FriendlyName", "all"),
        ("WebhookUrl", url),
        ("EventTypes", "*"),
        ("Version", "v2"),
    ];
    let path = format!("/v2/Services/{service}/Webhooks");
    client.call("POST", &path, &form).unwrap().expect(201);
    service
}

/// Lets all backends work until the server is killed behind so many answers.
fn work_until_killed(server: Server, backends: &mut [Backend], until_kill: u64) {
    let (answered, answers) = mpsc::channel();
    thread::scope(|scope| {
        for backend in backends {
            let (mut client, answered) = (server.connect(), answered.clone());
            scope.spawn(move || backend.work(&mut client, &answered));
        }
        drop(answered);
        for _ in 0..until_kill {
            answers.recv().expect("the server answers until it is killed");
        }
        drop(server);
    });
}

/// What happened, by what is there.
fn what_happened(server: &Server, backends: &[Backend]) -> BTreeSet<Told> {
    let mut happened = BTreeSet::new();
    let mut client = server.connect();
    for backend in backends {
        backend.add_what_happened(&mut client, &mut happened);
    }
    happened
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// How many changes are answered, at least.
const CHANGES: u64 = 1000;
/// How often the server is killed at the most: between two kills the backends get about 50 answers.
const MOST_ROUNDS: u64 = CHANGES / 50;
const BACKENDS: u64 = 6;
const PATIENCE: Duration = Duration::from_mins(5);
