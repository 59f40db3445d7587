//! Row 16 of what must be resisted, where no backup was restored but the whole store put back: a directory that was copied, a
//! machine that was rolled back. A witness outside of it notices.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::failover::Holder;
use super::process::{Process, complaint, run, stdout_of};
use crate::server_kill::client::Client;

const CREDENTIALS: &str = "AC0123456789abcdef0123456789abcdef:a-token-of-our-own";

/// A data directory, and its witness elsewhere.
pub(super) struct Site {
    pub(super) place: TempDir,
    pub(super) data: PathBuf,
    witness: PathBuf,
}

impl Site {
    pub(super) fn new() -> Self {
        let place = TempDir::new().unwrap();
        let [data, elsewhere] = ["data", "elsewhere"].map(|name| place.path().join(name));
        fs::create_dir(&elsewhere).unwrap();
        let witness = elsewhere.join("witness");
        Self { place, data, witness }
    }

    fn start(&self) -> Process {
        self.start_with(&["--witness", self.witness.to_str().unwrap()])
    }

    pub(super) fn start_with(&self, arguments: &[&str]) -> Process {
        Process::start_with(&self.data, arguments, &[("COUNTERSIGN_BOOTSTRAP", CREDENTIALS)])
    }

    /// The one line of a start that is refused.
    fn refusal(&self, witness: &Path) -> String {
        let arguments = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--witness",
            witness.to_str().unwrap(),
        ];
        complaint(&run(&self.data, &arguments), 1)
    }

    pub(super) fn copy(&self, name: &str) -> PathBuf {
        let copy = self.place.path().join(name);
        copy_directory(&self.data, &copy);
        copy
    }

    pub(super) fn put_back(&self, copy: &Path) {
        fs::remove_dir_all(&self.data).unwrap();
        copy_directory(copy, &self.data);
    }
}

fn copy_directory(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

fn client(server: &Process) -> Client {
    Client::connect(server.url.trim_start_matches("http://"), CREDENTIALS)
}

pub(super) fn holder(server: &Process) -> Holder {
    let mut client = client(server);
    let form = [("FriendlyName", "Put back")];
    let service = client.call("POST", "/v2/Services", &form).unwrap().expect(201);
    Holder::enrol(&mut client, service["sid"].as_str().unwrap(), "user-0001")
}

pub(super) fn status(server: &Process, holder: &Holder, code: &str) -> String {
    let answer = holder.check(&mut client(server), code).expect(201);
    answer["status"].as_str().unwrap().to_owned()
}

pub(super) fn stop(server: Process) {
    server.rest_after_sigterm();
}

/// Row 16: what was used after the directory was copied is void when the copy is put back; without a witness nobody knows.
#[test]
fn a_directory_that_is_put_back_lets_in_nothing_that_was_used_since() {
    for witnessed in [true, false] {
        let site = Site::new();
        let start = || {
            if witnessed {
                site.start()
            } else {
                site.start_with(&[])
            }
        };
        let server = start();
        let holder = holder(&server);
        stop(server);
        let copy = site.copy("copy");
        let server = start();
        let code = holder.code();
        assert_eq!(status(&server, &holder, &code), "approved");
        assert_eq!(status(&server, &holder, &code), "pending", "it was used");
        stop(server);

        site.put_back(&copy);
        let server = start();
        if witnessed {
            server.wait_for_log("the store is older than its witness in ");
            assert_eq!(
                status(&server, &holder, &code),
                "pending",
                "it was used before the copy was put back"
            );
            stop(server);
            // Once, not at each start.
            let server = start();
            server.signal("TERM");
            let log = server.log_until("stopping");
            assert!(
                !log.iter().any(|line| line.contains("older than its witness")),
                "{log:?}"
            );
            assert_eq!(server.wait(), Some(0));
            // And again, whenever it is put back.
            site.put_back(&copy);
            let server = start();
            server.wait_for_log("so epoch 2 begins");
            assert_eq!(status(&server, &holder, &code), "pending");
            stop(server);
            let checked = stdout_of(&site.data, &["store", "check"]);
            assert!(checked.ends_with(" all sound\n"), "{checked}");
        } else {
            assert_eq!(status(&server, &holder, &code), "approved", "as the manual says");
        }
    }
}

/// A restore begins an epoch by itself, and its store is no older than the witness knows; the same restore once more is.
#[test]
fn a_restored_store_takes_the_place_of_the_lost_one_before_its_witness() {
    let site = Site::new();
    let server = site.start();
    let holder = holder(&server);
    let backup = site.place.path().join("backup");
    let to = backup.to_str().unwrap();
    stdout_of(&site.data, &["backup", "create", "--to", to]);
    let code = holder.code();
    assert_eq!(status(&server, &holder, &code), "approved");
    stop(server);
    for (round, noticed) in [(1, false), (2, true)] {
        let lost = site.place.path().join(format!("lost-{round}"));
        fs::rename(&site.data, &lost).unwrap();
        fs::create_dir(&site.data).unwrap();
        fs::copy(lost.join("master.key"), site.data.join("master.key")).unwrap();
        stdout_of(&site.data, &["backup", "restore", "--from", to]);
        let server = site.start();
        assert_eq!(status(&server, &holder, &code), "pending", "it was used");
        server.signal("TERM");
        let log = server.log_until("stopping");
        let told = log.iter().any(|line| line.contains("older than its witness"));
        assert_eq!(told, noticed, "{log:?}");
        assert_eq!(server.wait(), Some(0));
    }
}

/// A server that is killed leaves a witness that is behind or even with the store: that is no reason to void anything.
#[test]
fn a_kill_is_not_taken_for_a_store_that_was_put_back() {
    let site = Site::new();
    let mut rounds = 0;
    while rounds < 4 {
        let server = site.start();
        let holder = holder(&server);
        assert_eq!(status(&server, &holder, &holder.code()), "approved");
        if rounds % 2 == 1 {
            // Killed after it was raised while the server ran.
            let before = fs::read(&site.witness).unwrap();
            while fs::read(&site.witness).unwrap_or_default() == before {
                std::thread::yield_now();
            }
        }
        server.signal("KILL");
        server.wait();
        rounds += 1;
    }
    let server = site.start();
    server.signal("TERM");
    let log = server.log_until("stopping");
    assert!(!log.iter().any(|line| line.contains("so epoch ")), "{log:?}");
}

#[test]
fn a_witness_that_is_gone_voids_and_one_that_is_wrong_refuses_the_start() {
    let (site, other) = (Site::new(), Site::new());
    for site in [&site, &other] {
        stop(site.start());
    }
    assert!(fs::metadata(&site.witness).unwrap().len() < 300);
    let refused = site.refusal(&other.witness);
    assert!(
        refused.contains("is that of another store; name another file or database"),
        "{refused}"
    );
    let written = fs::read_to_string(&site.witness).unwrap();
    for damaged in [
        "",
        "countersign witness 1\n",
        &written.replace("epoch 0", "epoch 1"),
    ] {
        fs::write(&site.witness, damaged).unwrap();
        let refused = site.refusal(&site.witness);
        assert!(
            refused.contains("is not as a server of this store wrote it; find out"),
            "{refused}"
        );
    }
    let inside = site.data.join("witness");
    assert!(
        site.refusal(&inside)
            .contains("must not lie in the data directory")
    );
    let nowhere = site.data.with_file_name("unmounted").join("witness");
    assert!(site.refusal(&nowhere).contains("make it, or mount it, first"));

    fs::remove_file(&site.witness).unwrap();
    let server = site.start();
    server.wait_for_log("the witness of the store is gone from ");
    stop(server);
    // What commands change counts as well.
    let witness = site.witness.to_str().unwrap();
    let before = fs::read(&site.witness).unwrap();
    stdout_of(&site.data, &["account", "create", "--witness", witness]);
    assert!(fs::read(&site.witness).unwrap() != before);
    assert!(
        !String::from_utf8_lossy(
            &run(
                &site.data,
                &["serve", "--witness", witness, "--store", "postgres://u@h/d"]
            )
            .stderr
        )
        .is_empty()
    );
}

/// A machine that is rolled back with its memory: the server knows nothing of it, but its witness does.
#[test]
fn a_server_whose_witness_is_ahead_of_it_stops_and_its_next_start_voids() {
    let site = Site::new();
    let server = site.start();
    let holder = holder(&server);
    stop(server);
    let (copy, old) = (site.copy("copy"), fs::read(&site.witness).unwrap());
    let server = site.start();
    let code = holder.code();
    assert_eq!(status(&server, &holder, &code), "approved");
    stop(server);
    let ahead = fs::read(&site.witness).unwrap();

    // As if neither had gone on: nobody could tell.
    site.put_back(&copy);
    fs::write(&site.witness, old).unwrap();
    let server = site.start();
    // Written in one piece, as it would be on the machine that was not rolled back.
    let moved = site.witness.with_file_name("moved");
    fs::write(&moved, ahead).unwrap();
    fs::rename(&moved, &site.witness).unwrap();
    server.wait_for_log("was rolled back while it ran, or another server has a copy");
    assert_eq!(server.wait(), Some(1));
    let server = site.start();
    server.wait_for_log("the store is older than its witness in ");
    assert_eq!(status(&server, &holder, &code), "pending", "it was used");
}

/// A volume that cannot be written keeps the server serving; the log says what is not noticed meanwhile.
#[test]
fn a_witness_that_cannot_be_written_keeps_nobody_from_being_served() {
    let site = Site::new();
    let server = site.start();
    let elsewhere = site.witness.parent().unwrap().to_owned();
    fs::remove_dir_all(&elsewhere).unwrap();
    let holder = holder(&server);
    server.wait_for_log("cannot write the witness to ");
    assert_eq!(status(&server, &holder, &holder.code()), "approved");
    fs::create_dir(&elsewhere).unwrap();
    while !site.witness.exists() {
        std::thread::yield_now();
    }
    stop(server);
    let server = site.start();
    server.signal("TERM");
    assert!(
        !server
            .log_until("stopping")
            .iter()
            .any(|line| line.contains("so epoch "))
    );
}

/// Otherwise the rehearsal of a restore would raise it above the store itself.
#[test]
fn a_copy_of_the_store_does_not_get_the_witness_of_a_server_that_runs() {
    let site = Site::new();
    stop(site.start());
    let copy = site.copy("copy");
    let server = site.start();
    let witness = site.witness.to_str().unwrap();
    let refused = complaint(&run(&copy, &["account", "list", "--witness", witness]), 1);
    assert!(
        refused.contains("another server uses the witness in ")
            && refused.contains("if this one is a copy, start it without a witness"),
        "{refused}"
    );
    // What only reads is not refused.
    let checked = stdout_of(&copy, &["store", "check", "--witness", witness]);
    assert!(checked.ends_with(" all sound\n"), "{checked}");
    stop(server);
    no_epoch_begins(&site);
}

/// Nothing was counted then, and nothing voided.
#[test]
fn a_start_that_is_refused_because_of_its_witness_has_not_counted() {
    let site = Site::new();
    // A store that never had one.
    stdout_of(&site.data, &["account", "create"]);
    // Nothing can be put beside it.
    let blocked = site.witness.with_file_name("witness.new");
    let away = site.witness.with_file_name("away");
    for is_first in [true, false] {
        if !is_first {
            fs::rename(&site.witness, &away).unwrap();
        }
        fs::create_dir(&blocked).unwrap();
        let refused = site.refusal(&site.witness);
        assert!(refused.contains("cannot write the witness to "), "{refused}");
        fs::remove_dir(&blocked).unwrap();
        if !is_first {
            fs::rename(&away, &site.witness).unwrap();
        }
        no_epoch_begins(&site);
    }
}

/// Somebody is told of a volume that hangs; a pipe that nobody writes to does.
#[test]
fn a_witness_that_hangs_is_told_of_and_written_anew_once_it_answers() {
    let site = Site::new();
    let server = site.start();
    let pipe = site.witness.with_file_name("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::rename(&pipe, &site.witness).unwrap();
    server.wait_for_log("the volume or database of the witness has not answered for 10 s");
    let holder = holder(&server);
    assert_eq!(status(&server, &holder, &holder.code()), "approved");
    // Whoever waits at the pipe reads its end; if it is a file by now, nothing happens to it.
    while !fs::metadata(&site.witness).unwrap().is_file() {
        drop(
            fs::File::options()
                .read(true)
                .write(true)
                .open(&site.witness)
                .unwrap(),
        );
        std::thread::yield_now();
    }
    server.wait_for_log("is not as this server wrote it, and is written anew");
    stop(server);
    no_epoch_begins(&site);
}

fn no_epoch_begins(site: &Site) {
    let server = site.start();
    server.signal("TERM");
    let log = server.log_until("stopping");
    assert!(!log.iter().any(|line| line.contains("so epoch ")), "{log:?}");
    assert_eq!(server.wait(), Some(0));
}
