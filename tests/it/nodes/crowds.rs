//! Three times 64 who change one record without end, over three servers: who has to do with another record does not wait for
//! them longer than for as many who change records of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::servers::Nodes;
use crate::server_kill::client::Client;
use crate::server_kill::line::Servers;
use crate::server_kill::server::CREDENTIALS;

#[test]
fn a_crowd_at_one_record_keeps_nobody_waiting_who_wants_another() {
    let Some(nodes) = Nodes::start(3) else { return };
    let servers = nodes.servers();
    let services: Vec<String> = (0..CROWD + BYSTANDERS)
        .map(|_| create_service(&servers))
        .collect();
    let (of_bystanders, of_crowd) = services.split_at(BYSTANDERS);
    let (mut apart, mut at_one) = (Phase::default(), Phase::default());
    // In turns, as the machine has other things to do as well.
    for _ in 0..2 {
        apart.add(work(&servers, of_bystanders, |number| &of_crowd[number]));
        at_one.add(work(&servers, of_bystanders, |_| &of_crowd[0]));
    }
    for (name, phase) in [("apart", &mut apart), ("at one record", &mut at_one)] {
        phase.waits.sort_unstable();
        let (median, late) = (phase.wait_of(50), phase.wait_of(95));
        eprintln!(
            "{name}: {} changes of the crowd, {} of bystanders, median {median:?}, of a hundred 95 within {late:?}",
            phase.changes,
            phase.waits.len()
        );
    }
    // Those at one record come to it as well, all together.
    assert!(at_one.changes * 2 > CROWD, "{}", at_one.changes);
    for percent in [50, 95] {
        let (apart, at_one) = (apart.wait_of(percent), at_one.wait_of(percent));
        assert!(at_one <= apart * 2, "{percent} %: {at_one:?} beside {apart:?}");
    }
}

/// What became of some seconds.
#[derive(Default)]
struct Phase {
    /// Of bystanders, each for one change.
    waits: Vec<Duration>,
    /// What the crowd has changed.
    changes: usize,
}

impl Phase {
    fn add(&mut self, other: Self) {
        self.waits.extend(other.waits);
        self.changes += other.changes;
    }

    /// What so many of a hundred bystanders waited at the most.
    fn wait_of(&self, percent: usize) -> Duration {
        self.waits[(self.waits.len() - 1) * percent / 100]
    }
}

/// Lets bystanders change their services, each its own, while the crowd changes those that it is told.
fn work<'s>(servers: &Servers, of_bystanders: &[String], of_crowd: impl Fn(usize) -> &'s str) -> Phase {
    let addresses = servers.addresses();
    let (stop, changes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let connect = |number: usize| Client::connect(&addresses[number % addresses.len()], CREDENTIALS);
    thread::scope(|scope| {
        for number in 0..CROWD {
            let (mut client, service) = (connect(number), of_crowd(number));
            let (stop, changes) = (&stop, &changes);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if change(&mut client, service) {
                        changes.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let bystanders: Vec<_> = (0..)
            .zip(of_bystanders)
            .map(|(number, service)| {
                let mut client = connect(number);
                scope.spawn(move || waits_of(&mut client, service))
            })
            .collect();
        let ended: Vec<_> = bystanders
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        stop.store(true, Ordering::Relaxed);
        let waits = ended.into_iter().flat_map(Result::unwrap).collect();
        let changes = changes.load(Ordering::Relaxed);
        Phase { waits, changes }
    })
}

/// How long a bystander waited for each of its changes.
fn waits_of(client: &mut Client, service: &str) -> Vec<Duration> {
    let begun = Instant::now();
    let mut waits = Vec::new();
    while begun.elapsed() < LASTS {
        let asked = Instant::now();
        assert!(change(client, service), "a bystander is refused");
        waits.push(asked.elapsed());
    }
    waits
}

/// Changes a service; whether that was done.
fn change(client: &mut Client, service: &str) -> bool {
    let form = [("FriendlyName", "changed")];
    client.call("POST", service, &form).unwrap().status == 200
}

/// The path of a new one.
fn create_service(servers: &Arc<Servers>) -> String {
    let form = [("FriendlyName", "new")];
    let created = servers.line(0).call("POST", "/v2/Services", &form).unwrap();
    format!("/v2/Services/{}", created.expect(201)["sid"].as_str().unwrap())
}

const CROWD: usize = 192;
const BYSTANDERS: usize = 6;
const LASTS: Duration = Duration::from_secs(2);
