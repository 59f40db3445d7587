//! The store's data keys change while clients work and servers are killed, and then the checks of [`crate::server_kill`]: nothing
//! that was answered is lost, nothing is forged, and when the old keys are gone everything is still there.
//!
//! `COUNTERSIGN_KEY_ROUNDS` sets how often a key is made or taken away (10 unless told), `COUNTERSIGN_KILL_SEED` the moments.

mod changer;
mod load;
mod walk;

use changer::KeyChanger;

use countersign::app::App;
use countersign::domain::key_ring::KeyNumber;
use countersign::domain::text::FriendlyName;
use countersign::flows::check_store::check_store;
use countersign::flows::{account, api_key};
use countersign::store::authentic::key_of;
use countersign::store::keys;
use futures_util::future::join_all;

use crate::nodes::Nodes;
use crate::server_kill::everybody::Everybody;
use crate::server_kill::line::Servers;
use crate::server_kill::number_from;
use crate::server_kill::random::Random;
use crate::server_kill::server::{self, DATA, Server};

/// Creates so much that killing somebody in the middle of it is the rule.
async fn fill(app: &App) {
    let name = |text: &str| FriendlyName::parse(text).unwrap();
    let account = account::create(app, name("of many keys")).await.unwrap().account;
    for _ in 0..8 {
        let create = |_| api_key::create(app, account.sid, name("one of many"));
        for created in join_all((0..100).map(create)).await {
            created.unwrap();
        }
    }
}

fn rounds() -> (u64, Random) {
    let rounds = number_from("COUNTERSIGN_KEY_ROUNDS", 10);
    let seed = number_from("COUNTERSIGN_KILL_SEED", 0x5eed);
    eprintln!("{rounds} rounds, seed {seed}");
    (rounds, Random::new(seed))
}

/// Has a key go by itself, with nobody at work: whoever works meanwhile makes more than is written anew, and more with each round.
fn retire_now_and_then(changer: &KeyChanger, round: u64) {
    if round % 8 == 2 {
        changer.retire_oldest();
    }
}

/// SECURITY.md, row 26: every factor still verifies when the keys have changed, whenever that was interrupted by `kill -9`.
#[test]
fn data_keys_change_while_the_server_is_killed() {
    let (rounds, mut random) = rounds();
    let directory = tempfile::tempdir().unwrap();
    let changer = KeyChanger::on(directory.path(), &[]);
    let first = Server::start(directory.path());
    let mut everybody = Everybody::new(&Servers::only(&first.address), &mut random);
    drop(first);
    let data = directory.path().join(DATA);
    server::within(&data, fill);
    let (mut interrupted, mut gone) = (0, 0);
    for round in 0..rounds {
        let server = Server::start(directory.path());
        let servers = Servers::only(&server.address);
        everybody.check(&servers, round.saturating_sub(1));
        retire_now_and_then(&changer, round);
        let (until_kill, spins) = (random.below(250), random.below(2_000_000));
        everybody.work(&servers, round, |answers| {
            let _killed_when_dropped = changer.begin_next();
            answers.wait_for(until_kill);
            (0..spins).for_each(|_| std::hint::spin_loop());
            drop(server);
        });
        let state = changer.state();
        interrupted += u64::from(state.is_under_way);
        gone = gone.max(state.first_key - 1);
        if round % 4 == 3 {
            server::check_store(directory.path());
        }
    }
    assert!(
        interrupted > 0 && gone > 0,
        "{interrupted} of {rounds} were interrupted, {gone} keys gone"
    );
    let server = Server::start(directory.path());
    let servers = Servers::only(&server.address);
    everybody.check(&servers, 0);
    everybody.check_events(&servers);
    changer.leave_one_new_key();
    drop(server);
    // Nothing is left of all the others, and nothing is missing.
    let server = Server::start(directory.path());
    let servers = Servers::only(&server.address);
    everybody.check(&servers, 0);
    drop(server);
    server::within(&data, async |app| {
        everybody.check_records(app).await;
        everybody.check_seeds(app).await;
    });
    server::check_store(directory.path());
    everybody.check_files(&[&data.join("store")]);
    server::run(directory.path(), &["audit", "verify"]);
    everybody.summarize(&servers, rounds);
}

#[test]
fn data_keys_change_while_servers_of_a_database_are_killed() {
    let (rounds, mut random) = rounds();
    let Some(mut nodes) = Nodes::start(2) else {
        return;
    };
    let url = nodes.database().url();
    let changer = KeyChanger::on(nodes.directory(0), &["--store", &url]);
    let servers = nodes.servers();
    let mut everybody = Everybody::new(&servers, &mut random);
    nodes.within(fill);
    let (mut interrupted, mut gone) = (0, 0);
    for round in 0..rounds {
        retire_now_and_then(&changer, round);
        let (until_kill, number) = (random.below(250), random.below(3));
        everybody.work(&servers, round, |answers| {
            let _killed_when_dropped = changer.begin_next();
            answers.wait_for(until_kill);
            // One of them, or both.
            for node in 0..2 {
                if number == node || number == 2 {
                    nodes.kill(usize::try_from(node).unwrap());
                }
            }
        });
        let state = changer.state();
        interrupted += u64::from(state.is_under_way);
        gone = gone.max(state.first_key - 1);
        nodes.recover();
        everybody.check(&servers, round);
    }
    assert!(
        interrupted > 0 && gone > 0,
        "{interrupted} of {rounds} were interrupted, {gone} keys gone"
    );
    changer.leave_one_new_key();
    everybody.check(&servers, 0);
    everybody.check_events(&servers);
    nodes.within(async |app| {
        everybody.check_records(app).await;
        everybody.check_seeds(app).await;
    });
    everybody.check_files(&[&nodes.files()]);
    everybody.summarize(&servers, rounds);
}

/// One that was not told reads the keys again by itself, and writes with the one that another server made.
#[test]
fn another_server_of_the_database_reads_the_keys_again() {
    let Some(nodes) = Nodes::start(2) else {
        return;
    };
    let url = nodes.database().url();
    let create = |name| {
        let command = ["account", "create", "--name", name, "--store", &url];
        server::run(nodes.directory(1), &command);
    };
    create("before");
    KeyChanger::on(nodes.directory(0), &["--store", &url]).leave_one_new_key();
    create("after");
    assert_eq!(
        KeyChanger::on(nodes.directory(1), &["--store", &url])
            .state()
            .first_key,
        2
    );
    nodes.within(async |app| {
        let accounts = account::list(app).await.unwrap();
        assert!(accounts.len() >= 2);
        for account in accounts {
            let key = keys::account(account.sid).into_bytes();
            let entry = app.engine.get(&key).await.unwrap().unwrap();
            assert_eq!(key_of(&entry.value), Some(KeyNumber(2)));
        }
        let report = check_store(app).await.unwrap();
        assert!(report.is_healthy(), "{report}");
    });
}
