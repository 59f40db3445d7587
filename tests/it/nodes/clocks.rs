//! Servers whose clocks differ, and clocks that are moved while their servers run.
//!
//! The clocks are libfaketime's, preloaded into the real binary; the one that nothing sets back, which measures how long
//! something takes, is left as it is.
//!
//! `COUNTERSIGN_KILL_ROUNDS` sets how long clients work meanwhile, `COUNTERSIGN_KILL_SEED` the moments.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use countersign::domain::limits::Failures;
use tempfile::TempDir;

use super::servers::Nodes;
use super::sms_provider::SmsProvider;
use crate::postgres_server::{Cluster, ClusterOptions};
use crate::server_kill::client::Client;
use crate::server_kill::everybody::{Everybody, create_service};
use crate::server_kill::number_from;
use crate::server_kill::random::Random;
use crate::server_kill::receiver::Receiver;
use crate::server_kill::server::CREDENTIALS;
use crate::server_kill::totp::{Totp, current_step, secret_of};

/// A clock that is so many seconds ahead of this machine's, or behind it.
pub(crate) struct MovingClock {
    directory: TempDir,
    library: &'static Path,
}

impl MovingClock {
    /// One that is ahead by so many seconds. None, and a line that says so, where libfaketime is not installed.
    pub(crate) fn ahead_by(ahead: i64) -> Option<Self> {
        let Some(library) = library() else {
            assert!(
                std::env::var_os("COUNTERSIGN_TEST_ALL").is_none_or(|all| all != "1"),
                "COUNTERSIGN_TEST_ALL=1, but libfaketime is not installed: install Debian's package faketime"
            );
            let line = "SKIPPED: servers whose clocks differ, as libfaketime is not installed (Debian's package faketime)\n";
            io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        };
        let clock = Self {
            directory: TempDir::new().unwrap(),
            library,
        };
        clock.set(ahead);
        Some(clock)
    }

    pub(crate) fn set(&self, ahead: i64) {
        // In one piece: who reads half of it would see another time.
        let new = self.directory.path().join("new");
        fs::write(&new, format!("{ahead:+}\n")).unwrap();
        fs::rename(new, self.offset()).unwrap();
    }

    /// What makes it a program's clock.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", text(self.library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.offset())),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn offset(&self) -> PathBuf {
        self.directory.path().join("offset")
    }
}

/// Three servers, and their clocks, which are ahead by so much. None, and a line that says so, where libfaketime is not
/// installed.
fn nodes(ahead: [i64; 3]) -> Option<(Nodes, [MovingClock; 3])> {
    nodes_with(ahead, None)
}

/// The same with a configuration file.
fn nodes_with(ahead: [i64; 3], settings: Option<&str>) -> Option<(Nodes, [MovingClock; 3])> {
    let [one, two, three] = ahead.map(MovingClock::ahead_by);
    let clocks = [one?, two?, three?];
    let cluster = Cluster::own(ClusterOptions::default())?;
    let nodes = Nodes::start_configured(cluster, &clocks.each_ref().map(Some), settings);
    Some((nodes, clocks))
}

fn library() -> Option<&'static Path> {
    const NAME: &str = "faketime/libfaketimeMT.so.1";
    static FOUND: std::sync::OnceLock<Option<PathBuf>> = std::sync::OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let directories = fs::read_dir("/usr/lib").ok()?;
        let mut paths = directories.filter_map(|entry| Some(entry.ok()?.path().join(NAME)));
        paths.find(|path| path.is_file())
    });
    found.as_deref()
}

/// Ten seconds between two of them, always another two, and each is moved both ways while clients work.
#[test]
fn clocks_that_are_ten_seconds_apart_do_no_harm() {
    let Some((nodes, clocks)) = nodes([-5, 0, 5]) else {
        return;
    };
    let rounds = (number_from("COUNTERSIGN_KILL_ROUNDS", 20) / 100).max(2);
    let seed = number_from("COUNTERSIGN_KILL_SEED", 0x5eed);
    eprintln!("{rounds} rounds, seed {seed}");
    let mut random = Random::new(seed);
    let servers = nodes.servers();
    let mut everybody = Everybody::of_different_clocks(&servers, &mut random);
    for round in 0..rounds {
        everybody.work(&servers, round, |answers| {
            for [one, two, three] in [[5, -5, 0], [0, 5, -5], [-5, 0, 5]] {
                answers.wait_for(50 + random.below(100));
                clocks[0].set(one);
                clocks[1].set(two);
                clocks[2].set(three);
            }
            answers.wait_for(50);
        });
        everybody.check(&servers, round);
    }
    everybody.check_events(&servers);
    everybody.check_told_once();
    nodes.within(async |app| everybody.check_records(app).await);
    everybody.summarize(&servers, rounds);
}

/// The provider takes its time over each message, and the clocks of all servers are moved meanwhile.
#[test]
fn no_message_is_sent_twice_while_clocks_are_moved() {
    let provider = SmsProvider::start();
    let Some((nodes, clocks)) = nodes_with([-5, 0, 5], Some(&provider.settings())) else {
        return;
    };
    let servers = nodes.servers();
    let mut line = servers.line(0);
    let service = create_service(&mut line, &Receiver::start().url());
    let addresses = servers.addresses();
    let path = format!("/v2/Services/{service}/Verifications");
    let mut asked = BTreeSet::new();
    for round in 0..MESSAGES / addresses.len() {
        for (number, address) in addresses.iter().enumerate() {
            let to = format!("+1212555{:04}", 100 + round * addresses.len() + number);
            let form = [("To", to.as_str()), ("Channel", "sms")];
            let sent = Client::connect(address, CREDENTIALS).call("POST", &path, &form);
            assert_eq!(sent.unwrap().expect(201)["status"], "pending");
            asked.insert(to);
        }
        let ahead = [[5, -5, 0], [0, 5, -5], [-5, 0, 5]][round % 3];
        for (clock, ahead) in clocks.iter().zip(ahead) {
            clock.set(ahead);
        }
        thread::sleep(SmsProvider::TAKES / 4);
    }
    let begun = Instant::now();
    while provider.taken().len() < asked.len() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", provider.taken());
        thread::sleep(Duration::from_millis(50));
    }
    // Longer than what is under way is left to its server.
    thread::sleep(SmsProvider::TAKES + APART);
    let mut taken = provider.taken();
    taken.sort_unstable();
    assert_eq!(taken, asked.into_iter().collect::<Vec<_>>());
}

/// The wait after wrong guesses is shorter or longer by the difference at the most, whichever servers evaluate them.
#[test]
fn a_wait_between_guesses_is_shorter_by_the_difference_at_the_most() {
    let Some((nodes, _clocks)) = nodes([-5, 0, 5]) else {
        return;
    };
    let servers = nodes.servers();
    let receiver = Receiver::start();
    let service = create_service(&mut servers.line(0), &receiver.url());
    let addresses = servers.addresses();
    // Where the last wrong guess is evaluated, and where the next one is tried.
    let pairs = [(0, 2), (2, 0), (1, 1)];
    thread::scope(|scope| {
        for (number, (first, next)) in pairs.into_iter().enumerate() {
            let entity = format!("/v2/Services/{service}/Entities/guessed-{number}");
            let (addresses, mut line) = (&addresses, servers.line(0));
            scope.spawn(move || {
                let secret = secret_of([u8::try_from(number).unwrap(); 20]);
                let totp = Totp::enrol(&mut line, entity, secret, 8).unwrap();
                assert!(totp.verify(&mut line, current_step()).unwrap());
                let waited = wait_after_wrong_guesses(&totp, &addresses[first], &addresses[next]);
                let shortest = Failures::FIRST_DELAY.checked_sub(APART).unwrap();
                let longest = Failures::FIRST_DELAY + APART + SLOW;
                eprintln!("{waited:?} from server {first} to server {next}");
                assert!(shortest <= waited && waited <= longest, "{waited:?}");
            });
        }
    });
}

/// How long after the last guess at one server the next one is evaluated at the other.
fn wait_after_wrong_guesses(totp: &Totp, first: &str, next: &str) -> Duration {
    let (mut first, mut next) = (
        Client::connect(first, CREDENTIALS),
        Client::connect(next, CREDENTIALS),
    );
    let wrong = totp.wrong_code();
    let mut last = Instant::now();
    for _ in 0..2 {
        let challenge = challenge(&mut first, totp);
        for _ in 0..5 {
            last = Instant::now();
            let answer = first
                .call("POST", &challenge, &[("AuthPayload", &wrong)])
                .unwrap();
            assert_eq!(answer.expect(200)["status"], "pending");
        }
    }
    // Whatever is found out too late makes the wait longer, not shorter.
    let challenge = challenge(&mut next, totp);
    loop {
        let answer = next.call("POST", &challenge, &[("AuthPayload", &wrong)]).unwrap();
        match answer.status {
            200 => return last.elapsed(),
            429 => thread::sleep(Duration::from_millis(100)),
            _ => panic!("{answer:?}"),
        }
    }
}

/// A server whose clock goes wrong by an hour and is put right again: what it took is used, and what others took is.
#[test]
fn a_clock_that_is_wrong_by_an_hour_lets_no_code_in_again() {
    let Some((nodes, clocks)) = nodes([0, 0, 0]) else {
        return;
    };
    let servers = nodes.servers();
    let receiver = Receiver::start();
    let mut line = servers.line(0);
    let service = create_service(&mut line, &receiver.url());
    let addresses = servers.addresses();
    let mut clients: Vec<Client> = addresses
        .iter()
        .map(|address| Client::connect(address, CREDENTIALS))
        .collect();
    for (number, hours) in [1, -1].into_iter().enumerate() {
        clocks[2].set(0);
        let entity = format!("/v2/Services/{service}/Entities/traveller-{number}");
        let secret = secret_of([u8::try_from(0x40 + number).unwrap(); 20]);
        let totp = Totp::enrol(&mut line, entity, secret, 8).unwrap();
        let now = current_step();
        assert!(totp.verify(&mut line, now - 1).unwrap());
        assert!(is_approved(&mut clients[0], &totp, now));
        clocks[2].set(hours * 3600);
        // For that server it is another time.
        let there = now.checked_add_signed(hours * 120).unwrap();
        let taken_there = is_approved(&mut clients[2], &totp, there);
        for step in [now - 1, now, there] {
            for client in &mut clients {
                assert!(step == there && !taken_there || !is_approved(client, &totp, step));
            }
        }
        clocks[2].set(0);
        for step in [now - 1, now, there] {
            for client in &mut clients {
                assert!(
                    !is_approved(client, &totp, step),
                    "{hours} h: step {step} is used again"
                );
            }
        }
        // Nobody is locked out by what that clock showed.
        assert!(is_approved(&mut clients[1], &totp, now + 1), "{hours} h");
        assert!(!is_approved(&mut clients[2], &totp, now + 1), "{hours} h");
    }
}

/// Whether a server takes the code of `step`; not if it says that it cannot be asked now.
fn is_approved(client: &mut Client, totp: &Totp, step: u64) -> bool {
    let form = [
        ("FactorSid", totp.sid.as_str()),
        ("AuthPayload", &totp.code(step)),
    ];
    let answer = client.call("POST", &totp.challenges(), &form).unwrap();
    match answer.status {
        201 => answer.body["status"] == "approved",
        503 => false,
        _ => panic!("{answer:?}"),
    }
}

fn challenge(client: &mut Client, totp: &Totp) -> String {
    let form = [("FactorSid", totp.sid.as_str())];
    let created = client
        .call("POST", &totp.challenges(), &form)
        .unwrap()
        .expect(201);
    format!("{}/{}", totp.challenges(), created["sid"].as_str().unwrap())
}

/// The greatest difference.
const APART: Duration = Duration::from_secs(10);
/// What requests may take.
const SLOW: Duration = Duration::from_secs(10);
/// How many messages there are, over all servers.
const MESSAGES: usize = 24;
