//! Servers that share a database and must agree: in their settings, and on what time it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::database::Servers;
use super::process::{complaint, get, run, stdout_of};
use super::rolling::{Server, started};
use crate::postgres_server::{Cluster, Database};

/// A start that is refused, with `settings` in the configuration file.
fn refused(servers: &Servers, data: &Path, settings: &str) -> String {
    let file = configured(data, settings);
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--store",
        &servers.url,
        "--config",
    ];
    complaint(
        &run(data, &[&arguments[..], &[file.to_str().unwrap()]].concat()),
        1,
    )
}

fn configured(data: &Path, settings: &str) -> PathBuf {
    let file = data.join("countersign.toml");
    fs::write(&file, settings).unwrap();
    file
}

const OTHERS: &str = "
    public_url = 'https://verify.example'
    max_waiters = 7
    [codes]
    sends_per_number_per_day = 31
    [[senders]]
    name = 'log'
    kind = 'log'
";

#[test]
fn a_server_with_other_settings_starts_only_if_it_is_said_to() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let (one, other) = (servers.data("one", 1), servers.data("other", 1));
    stdout_of(&one, &["store", "migrate", "--store", &servers.url]);
    let first = started(&one, &["--store", &servers.url]);
    let line = refused(&servers, &other, OTHERS);
    let expected =
        "runs with other settings: public_url, codes.sends_per_number_per_day, senders; all servers";
    assert!(line.contains(expected) && line.contains("--rolling"), "{line}");
    assert!(!line.contains("31") && !line.contains("verify.example"), "{line}");
    // What a server has for itself.
    let own = [
        "--store",
        &servers.url,
        "--max-connections",
        "100",
        "--log",
        "info",
    ];
    let second = started(&other, &own);
    assert!(get(&second.ops, "/metrics").contains("\ncountersign_nodes 2\n"));
    let listed = stdout_of(&other, &["node", "list", "--store", &servers.url]);
    let lines: Vec<&str> = listed.lines().collect();
    let version = concat!("  ", env!("CARGO_PKG_VERSION"), "  ");
    assert!(
        lines.len() == 3 && lines[1..].iter().all(|line| line.contains(version)),
        "{listed}"
    );
    assert_eq!(stop(second), Some(0));

    let file = configured(&other, OTHERS);
    let rolling = [
        "--store",
        &servers.url,
        "--config",
        file.to_str().unwrap(),
        "--rolling",
    ];
    let second = started(&other, &rolling);
    second
        .process
        .wait_for_log("runs with other settings: public_url, codes.sends_per_number_per_day, senders");
    first
        .process
        .wait_for_log("runs with other settings: public_url, codes.sends_per_number_per_day");
    // One that stopped is no reason to refuse.
    assert_eq!(stop(first), Some(0));
    let third = started(
        &one,
        &["--store", &servers.url, "--config", file.to_str().unwrap()],
    );
    assert!(get(&third.ops, "/metrics").contains("\ncountersign_nodes 2\n"));
    let aside = servers.data("aside", 1);
    let checked = stdout_of(&aside, &["store", "check", "--store", &servers.url]);
    assert!(checked.ends_with("all sound\n"), "{checked}");
}

#[test]
fn devices_must_be_allowed_to_go_by_the_clock_of_any_server() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let data = servers.data("one", 1);
    stdout_of(&data, &["store", "migrate", "--store", &servers.url]);
    let line = refused(&servers, &data, "[devices]\nclock_skew_seconds = 19");
    assert!(
        line.starts_with("devices.clock_skew_seconds must be at least 20 where "),
        "{line}"
    );
}

#[test]
fn a_server_whose_clock_is_wrong_does_not_start_and_one_that_runs_is_not_ready() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let data = ["one", "two", "late"].map(|name| servers.data(name, 1));
    stdout_of(&data[0], &["store", "migrate", "--store", &servers.url]);
    let clocks = Clocks::of(&database);
    clocks.set("late", 12);
    let [one, two, late] = ["one", "two", "late"].map(|name| {
        let separator = if servers.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}application_name={name}", servers.url)
    });
    let serve = ["serve", "--listen", "127.0.0.1:0", "--store", &late];
    let line = complaint(&run(&data[2], &serve), 1);
    assert!(line.starts_with("the clock of this machine is 1"), "{line}");
    assert!(
        line.contains(" s behind the database's, and more than 10 s are too many"),
        "{line}"
    );

    clocks.set("late", 0);
    let (one, two) = (
        started(&data[0], &["--store", &one]),
        started(&data[1], &["--store", &two]),
    );
    let late = started(&data[2], &["--store", &late]);
    clocks.set("late", -3600);
    late.process
        .wait_for_log(" s ahead of the database's: the server counts as not ready until it is right");
    let answer = ready_becomes(&late, "HTTP/1.1 503");
    assert!(
        answer.ends_with("the clock of this machine is too far from the database's\n"),
        "{answer}"
    );
    clocks.set("late", 0);
    late.process
        .wait_for_log("the clock of this machine is that of the database again");
    ready_becomes(&late, "HTTP/1.1 200");

    // As when a standby on a machine with another clock takes over: no server is alone with its clock.
    for name in ["one", "two", "late"] {
        clocks.set(name, 3600);
    }
    let servers = [one, two, late];
    for server in &servers {
        server
            .process
            .wait_for_log("but most servers agree with it: have a time service set that of the database");
    }
    for server in &servers {
        ready_becomes(server, "HTTP/1.1 200");
    }
}

fn ready_becomes(server: &Server, status: &str) -> String {
    let begun = Instant::now();
    loop {
        let answer = get(&server.ops, "/ready");
        if answer.starts_with(status) {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{answer}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn stop(server: Server) -> Option<i32> {
    server.process.signal("TERM");
    server.process.wait()
}

/// What a database says of the time to each of its clients: all clocks of this machine are one.
struct Clocks<'d>(&'d Database);

impl<'d> Clocks<'d> {
    fn of(database: &'d Database) -> Self {
        let name = database.name();
        database.psql(&format!(
            "CREATE SCHEMA skew;
             CREATE TABLE skew.ahead (client text PRIMARY KEY, seconds int NOT NULL);
             CREATE FUNCTION skew.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS
             'SELECT pg_catalog.clock_timestamp() + coalesce((SELECT seconds FROM skew.ahead
              WHERE client = current_setting(''application_name'')), 0) * interval ''1 second''';
             ALTER DATABASE \"{name}\" SET search_path = skew, pg_catalog, public;"
        ));
        Self(database)
    }

    /// Sets the clock that a client is shown so many seconds ahead.
    fn set(&self, client: &str, seconds: i32) {
        self.0.psql(&format!(
            "INSERT INTO skew.ahead VALUES ('{client}', {seconds}) ON CONFLICT (client) DO UPDATE SET seconds = {seconds}"
        ));
    }
}
