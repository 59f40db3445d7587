//! Kills the real server under load again and again, and checks after each kill that it starts, that it still has what it
//! acknowledged, and that it approves no code a second time.
//!
//! Several clients enrol factors with secrets they know, verify them and have challenges approved, one time step after the
//! other; one more guesses. Each notes what it sent and what it was answered. What was sent but not answered may have
//! happened or not; whatever was answered must be there. One kill in four hits a server that is still starting, the very
//! first one included, when there is no account and no master key yet.
//!
//! `COUNTERSIGN_KILL_ROUNDS` sets how often (20 unless told), `COUNTERSIGN_KILL_SEED` the moments.

pub(crate) mod client;
mod guesser;
pub(crate) mod random;
pub(crate) mod server;
mod user;

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use guesser::Guesser;
use random::Random;
use server::Server;
use user::User;

#[test]
fn acknowledged_answers_survive_kills() {
    let rounds = number_from("COUNTERSIGN_KILL_ROUNDS", 20);
    let seed = number_from("COUNTERSIGN_KILL_SEED", 0x5eed);
    eprintln!("{rounds} rounds, seed {seed}");
    let mut random = Random::new(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut everybody = Everybody::default();
    for round in 0..rounds {
        if round == 0 || random.below(4) == 0 {
            kill_while_it_starts(directory.path(), &mut random);
        }
        let server = Server::start(directory.path());
        everybody.check(&server, round.saturating_sub(1));
        everybody.work_until_killed(server, round, &mut random);
        if round % 4 == 3 {
            server::check_store(directory.path());
        }
    }
    let server = Server::start(directory.path());
    everybody.check(&server, 0);
    drop(server);
    server::check_store(directory.path());
    everybody.summarize(rounds);
}

/// All clients, and what they share.
#[derive(Default)]
struct Everybody {
    service: Option<String>,
    users: Vec<User>,
    guesser: Option<Guesser>,
}

impl Everybody {
    /// Lets everybody work until the server is killed, which happens after a number of answers that `random` chooses.
    fn work_until_killed(&mut self, server: Server, round: u64, random: &mut Random) {
        let service = self.service.get_or_insert_with(|| {
            let name = [("FriendlyName", "Kill me")];
            let created = server.connect().call("POST", "/v2/Services", &name).unwrap();
            created.expect(201)["sid"].as_str().unwrap().to_owned()
        });
        if self.users.is_empty() {
            self.users = (0..USERS)
                .map(|number| User::new(number, service, random.below(u64::MAX)))
                .collect();
            self.guesser = Some(Guesser::new(service));
        }
        let (answered, answers) = mpsc::channel();
        let until_kill = random.below(250);
        let spins = random.below(2_000_000);
        thread::scope(|scope| {
            for user in &mut self.users {
                let (mut client, answered) = (server.connect(), answered.clone());
                scope.spawn(move || user.work(&mut client, round, &answered));
            }
            if let Some(guesser) = &mut self.guesser {
                let (mut client, answered) = (server.connect(), answered.clone());
                scope.spawn(move || guesser.work(&mut client, &answered));
            }
            drop(answered);
            for _ in 0..until_kill {
                answers.recv().expect("the server answers until it is killed");
            }
            (0..spins).for_each(|_| std::hint::spin_loop());
            drop(server);
        });
    }

    /// Checks whatever was answered since `round`.
    fn check(&mut self, server: &Server, round: u64) {
        if let Some(service) = &self.service {
            let path = format!("/v2/Services/{service}");
            server.connect().call("GET", &path, &[]).unwrap().expect(200);
        }
        thread::scope(|scope| {
            for user in &mut self.users {
                let mut client = server.connect();
                scope.spawn(move || user.check(&mut client, round));
            }
        });
    }

    fn summarize(&self, rounds: u64) {
        let approvals: usize = self.users.iter().map(User::approvals).sum();
        let replays: usize = self.users.iter().map(User::replays).sum();
        let guesses = self.guesser.as_ref().map_or(0, Guesser::guesses);
        eprintln!("{approvals} approvals, {replays} replays, {guesses} guesses");
        let enough = usize::try_from(rounds).unwrap();
        assert!(
            approvals > enough && replays > enough && guesses > rounds / 2,
            "too little was done to prove anything"
        );
    }
}

fn kill_while_it_starts(directory: &std::path::Path, random: &mut Random) {
    let micros = u128::from(random.below(80_000));
    let begin = Instant::now();
    let _killed_when_dropped = server::spawn(directory);
    while begin.elapsed().as_micros() < micros {
        std::hint::spin_loop();
    }
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

const USERS: u64 = 6;
