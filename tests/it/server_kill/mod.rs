//! Kills the real server under load again and again, and checks after each kill that it starts, that it still has what it
//! acknowledged, and that it approves no code and no signature a second time.
//!
//! Several clients enrol factors with secrets they know, verify them and have challenges approved, one time step after the
//! other; some answer with phones that sign, and one guesses. Each notes what it sent and what it was answered. What was sent
//! but not answered may have happened or not; whatever was answered must be there. One kill in four hits a server that is still
//! starting, the very first one included, when there is no account and no master key yet.
//!
//! What is checked, here and by [`crate::nodes`] of several servers on a database: a code is accepted once; guesses are bounded, whichever server evaluates
//! them; what was answered is there; a challenge that ended stays as it is; an approval by phone is kept with a signature that
//! verifies; every change stands once in the audit log; every change is told at least once, and nothing else; no secret is on the disk; the server starts.
//!
//! `COUNTERSIGN_KILL_ROUNDS` sets how often (20 unless told), `COUNTERSIGN_KILL_SEED` the moments.

mod audit;
pub(crate) mod client;
pub(crate) mod everybody;
mod guesser;
mod histories;
pub(crate) mod line;
pub(crate) mod phone;
pub(crate) mod random;
pub(crate) mod receiver;
pub(crate) mod server;
pub(crate) mod totp;
mod user;

use std::time::Instant;

use everybody::Everybody;
use line::Servers;
use random::Random;
use server::Server;

#[test]
fn acknowledged_answers_survive_kills() {
    let rounds = number_from("COUNTERSIGN_KILL_ROUNDS", 20);
    let seed = number_from("COUNTERSIGN_KILL_SEED", 0x5eed);
    eprintln!("{rounds} rounds, seed {seed}");
    let mut random = Random::new(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut everybody = None;
    for round in 0..rounds {
        if round == 0 || random.below(4) == 0 {
            kill_while_it_starts(directory.path(), &mut random);
        }
        let server = Server::start(directory.path());
        let servers = Servers::only(&server.address);
        let everybody = everybody.get_or_insert_with(|| Everybody::new(&servers, &mut random));
        everybody.check(&servers, round.saturating_sub(1));
        let until_kill = random.below(250);
        let spins = random.below(2_000_000);
        everybody.work(&servers, round, |answers| {
            answers.wait_for(until_kill);
            (0..spins).for_each(|_| std::hint::spin_loop());
            drop(server);
        });
        if round % 4 == 3 {
            server::check_store(directory.path());
        }
    }
    let mut everybody = everybody.unwrap();
    let server = Server::start(directory.path());
    let servers = Servers::only(&server.address);
    everybody.check(&servers, 0);
    everybody.check_events(&servers);
    drop(server);
    let data = directory.path().join(server::DATA);
    server::within(&data, async |app| everybody.check_records(app).await);
    everybody.check_files(&[&data.join("store")]);
    everybody.summarize(&servers, rounds);
}

fn kill_while_it_starts(directory: &std::path::Path, random: &mut Random) {
    let micros = u128::from(random.below(80_000));
    let begin = Instant::now();
    let _killed_when_dropped = server::spawn(directory);
    while begin.elapsed().as_micros() < micros {
        std::hint::spin_loop();
    }
}

pub(crate) fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}
