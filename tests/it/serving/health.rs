//! Whether a server serves, as its operators are told: full disks, writes that fail, clocks that are moved, certificates that end,
//! databases that are gone, and starts that take long.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use countersign::domain::time::{Clock as _, SystemClock};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;

use super::database::Servers;
use super::process::{Process, basic, command, complaint, get, run, stdout_of};
use super::rolling::{Server, started};
use crate::nodes::clocks::MovingClock;
use crate::postgres_server::{Cluster, ClusterOptions};

/// From the moment that the disk is too full on, nothing is changed and the server is not ready; it goes on by itself when there is
/// space, and all that it acknowledged is there, whatever happened meanwhile.
#[test]
fn a_full_disk_refuses_changes_until_there_is_space_and_loses_none() {
    let Some(disk) = SmallDisk::mount() else { return };
    let data = disk.path().join("data");
    let mut server = started(&data, &[]);
    let (sid, token) = server.process.credentials();
    let basic = basic(&sid, &token);
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        assert!(create_service(&server.process.url, &basic, number).starts_with("HTTP/1.1 201"));
        acknowledged.push(number);
    }

    disk.fill();
    let refused = create_service(&server.process.url, &basic, 100);
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    server.process.wait_for_log("the disk is full: ");
    server
        .process
        .wait_for_log("the disk of the data directory is nearly full: ");
    for path in ["/readyz", "/ready"] {
        let answer = get(&server.ops, path);
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("the disk is full: "), "{answer}");
    }
    let told = readiness(&server.ops);
    assert_eq!(told["ready"], false);
    assert_eq!(told["reasons"][0]["code"], "disk_is_full");
    assert_eq!(told["warnings"][0]["code"], "disk_nearly_full");
    for path in ["/livez", "/health", "/startupz"] {
        let answer = get(&server.ops, path);
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    let metrics = get(&server.ops, "/metrics");
    assert!(
        metrics.contains("\ncountersign_store_takes_changes 0\n"),
        "{metrics}"
    );
    assert_eq!(services(&server.process.url, &basic), acknowledged);

    disk.clear();
    server.process.wait_for_log("the disk has space again");
    let ready = get(&server.ops, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    for number in 20..40 {
        assert!(create_service(&server.process.url, &basic, number).starts_with("HTTP/1.1 201"));
        acknowledged.push(number);
    }

    disk.fill();
    let refused = create_service(&server.process.url, &basic, 101);
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    server.process.signal("KILL");
    server.process.wait();
    let before = contents(&data.join("store"));
    let refused = complaint(&run(&data, &["serve", "--listen", "127.0.0.1:0"]), 4);
    assert!(
        refused.contains("is full (") && refused.contains("nothing was changed"),
        "{refused}"
    );
    assert_eq!(contents(&data.join("store")), before);

    disk.clear();
    let server = started(&data, &[]);
    assert_eq!(services(&server.process.url, &basic), acknowledged);
    assert_eq!(server.process.rest_after_sigterm(), "");
    let checked = stdout_of(&data, &["store", "check"]);
    assert!(checked.ends_with("all sound\n"), "{checked}");
}

/// What is on disk is not known then. The process says so with its status, and whoever starts it again finds all that was
/// acknowledged.
#[test]
fn a_write_that_fails_ends_the_server_and_loses_nothing() {
    let directory = TempDir::new().unwrap();
    // Without this the limit below would kill the process.
    let serve = command(
        directory.path(),
        &["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"],
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(serve.get_program())
        .args(serve.get_args())
        .stdin(Stdio::null());
    let mut process = Process::begin(shell);
    let line = process.wait_for_log("serving /health");
    let ops = line.split(" on ").last().unwrap();
    let (sid, token) = process.credentials();
    let basic = basic(&sid, &token);
    let url = process.url.clone();
    let mut acknowledged = Vec::new();
    for number in 0..10 {
        assert!(create_service(&url, &basic, number).starts_with("HTTP/1.1 201"));
        acknowledged.push(number);
    }
    let length = fs::metadata(directory.path().join("store/db")).unwrap().len();
    let limit = Rlimit {
        current: Some(length),
        maximum: None,
    };
    let pid = Pid::from_raw(process.id().try_into().unwrap());
    prlimit(pid, Resource::Fsize, limit).unwrap();
    let refused = (10..10_000).find(|number| {
        let answer = try_create_service(&url, &basic, *number);
        let is_made = answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 201"));
        if is_made {
            acknowledged.push(*number);
        }
        !is_made
    });
    let refused = refused.expect("a write fails");
    // Never again, until there is nobody who could say so.
    while let Ok(answer) = try_get(ops, "/readyz") {
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 503"),
            "{answer}"
        );
    }
    process.wait_for_log("a write failed, the store stops");
    process.wait_for_log("stopping: the store failed");
    assert_eq!(process.wait(), Some(4));

    let server = started(directory.path(), &[]);
    let mut found = services(&server.process.url, &basic);
    // Whether the one that was refused is there was not said.
    found.retain(|number| *number != refused);
    assert_eq!(found, acknowledged);
}

#[test]
fn a_clock_that_is_moved_is_said_once_and_counted() {
    let Some(clock) = MovingClock::ahead_by(0) else {
        return;
    };
    let directory = TempDir::new().unwrap();
    let variables = clock.variables();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let server = Process::start_with(directory.path(), &["--ops-listen", "127.0.0.1:0"], &variables);
    let line = server.wait_for_log("serving /health");
    let ops = line.split(" on ").last().unwrap();
    let jumps = |count: u32| {
        let metrics = get(ops, "/metrics");
        let line = format!("\ncountersign_clock_jumps_total {count}\n");
        assert!(metrics.contains(&line), "{metrics}");
    };
    jumps(0);
    clock.set(3600);
    let line = server.wait_for_log("the clock of this machine jumped by +3");
    assert!(line.contains("WARN"), "{line}");
    jumps(1);
    let told = readiness(ops);
    assert_eq!(told["ready"], true);
    assert_eq!(told["warnings"][0]["code"], "clock_jumped");
    clock.set(0);
    let lines = server.log_until("the clock of this machine jumped by -3");
    let said = lines.iter().filter(|line| line.contains("jumped by +"));
    assert_eq!(said.count(), 0);
    jumps(2);
}

#[test]
fn a_certificate_that_ends_is_warned_of_until_there_is_another() {
    let directory = TempDir::new().unwrap();
    let (certificate, key) = (
        directory.path().join("cert.pem"),
        directory.path().join("key.pem"),
    );
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    for (begun, lasts, is_over) in [(hours(240), hours(264), false), (hours(240), hours(216), true)] {
        let ends = make_certificate(&certificate, &key, begun, lasts);
        let data = directory.path().join(if is_over { "over" } else { "soon" });
        let server = started(
            &data,
            &[
                "--tls-listen",
                "127.0.0.1:0",
                "--tls-cert",
                certificate.to_str().unwrap(),
                "--tls-key",
                key.to_str().unwrap(),
            ],
        );
        let (level, line, code) = if is_over {
            (
                "ERROR",
                "the TLS certificate was valid until ",
                "certificate_is_over",
            )
        } else {
            (
                "WARN",
                "the TLS certificate is valid until ",
                "certificate_ends_soon",
            )
        };
        let line = server.process.wait_for_log(line);
        assert!(line.contains(level), "{line}");
        let told = readiness(&server.ops);
        assert_eq!(told["ready"], true);
        assert_eq!(certificate_warnings(&told), [code]);
        let metrics = get(&server.ops, "/metrics");
        let line = format!("\ncountersign_tls_certificate_end_seconds {ends}\n");
        assert!(metrics.contains(&line), "{metrics}");

        make_certificate(&certificate, &key, hours(1), hours(2000));
        server.process.wait_for_log(&format!("a warning is over: {code}"));
        assert_eq!(certificate_warnings(&readiness(&server.ops)), [""; 0]);
    }
}

/// A standby that was not promoted, a disk that is full: reads alone are no service.
#[test]
fn a_server_whose_database_can_only_be_read_is_not_ready_until_it_takes_changes() {
    let Some(cluster) = Cluster::own(ClusterOptions::default()) else {
        return;
    };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let data = servers.data("one", 1);
    stdout_of(&data, &["store", "migrate", "--store", &servers.url]);
    let server = started(&data, &["--store", &servers.url]);
    becomes(&server, "HTTP/1.1 200");
    let takes_changes = |takes: bool| {
        let setting = if takes { "off" } else { "on" };
        database.psql(&format!(
            "ALTER SYSTEM SET default_transaction_read_only = {setting}"
        ));
        database.psql("SELECT pg_reload_conf()");
    };
    takes_changes(false);
    let answer = becomes(&server, "HTTP/1.1 503");
    assert!(answer.ends_with("the database takes no changes\n"), "{answer}");
    assert_eq!(
        readiness(&server.ops)["reasons"][0]["code"],
        "store_takes_no_change"
    );
    assert!(get(&server.ops, "/livez").starts_with("HTTP/1.1 200"));
    takes_changes(true);
    becomes(&server, "HTTP/1.1 200");
}

#[test]
fn a_server_whose_database_is_gone_is_not_ready_until_it_is_back() {
    let Some(cluster) = Cluster::own(ClusterOptions::default()) else {
        return;
    };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let data = servers.data("one", 1);
    stdout_of(&data, &["store", "migrate", "--store", &servers.url]);
    let server = started(&data, &["--store", &servers.url]);
    becomes(&server, "HTTP/1.1 200");
    cluster.kill();
    let answer = becomes(&server, "HTTP/1.1 503");
    assert!(answer.ends_with("the store does not answer\n"), "{answer}");
    let asked = Instant::now();
    assert_eq!(readiness(&server.ops)["reasons"][0]["code"], "store_is_silent");
    assert!(asked.elapsed() < Duration::from_secs(7));
    assert!(get(&server.ops, "/livez").starts_with("HTTP/1.1 200"));
    cluster.start();
    becomes(&server, "HTTP/1.1 200");
}

/// Whoever waits for the start does not take it for a failure.
#[test]
fn a_server_that_starts_says_so() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    stdout_of(&data, &["account", "create", "--name", "Owl Bank"]);
    let go = directory.path().join("go");
    let script = directory.path().join("ask");
    let lines = format!(
        "while [ ! -e '{}' ]; do sleep 0.05; done\ncat '{}'\n",
        go.display(),
        data.join("master.key").display()
    );
    fs::write(&script, lines).unwrap();
    let asked = format!("sh {}", script.display());
    let mut server = command(
        &data,
        &["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"],
    )
    .args(["--master-key-command", &asked])
    .stdout(Stdio::null())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let mut line_with = |part: &str| {
        let mut lines = log.by_ref().map(Result::unwrap);
        lines.find(|line| line.contains(part)).unwrap()
    };
    let line = line_with("/startupz says when that is done");
    let begin = line.find("http://").unwrap();
    let ops = line[begin..].split("/startupz").next().unwrap().to_owned();
    for (path, status) in [
        ("/livez", 200),
        ("/startupz", 503),
        ("/readyz", 503),
        ("/metrics", 503),
    ] {
        let answer = get(&ops, path);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{path}: {answer}"
        );
    }
    assert_eq!(readiness(&ops)["reasons"][0]["code"], "starting");
    fs::write(&go, "").unwrap();
    line_with("serving /health");
    for path in ["/livez", "/startupz", "/readyz", "/metrics"] {
        let answer = get(&ops, path);
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// A file system of its own, unmounted with the test.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None, and a line that says so, where none can be mounted.
    fn mount() -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m,mode=0700", "tmpfs"])
            .arg(directory.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(directory));
        }
        let must = std::env::var_os("COUNTERSIGN_TEST_ALL").is_some_and(|all| all == "1");
        assert!(
            !(must && rustix::process::geteuid().is_root()),
            "COUNTERSIGN_TEST_ALL=1, but no tmpfs can be mounted"
        );
        let line = "SKIPPED: a disk that is full, as no tmpfs can be mounted\n";
        io::stderr().write_all(line.as_bytes()).unwrap();
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Too full for changes; what the server does on its own has room.
    fn fill(&self) {
        let mut file = fs::File::create(self.filling()).unwrap();
        let block = vec![1; 64 * 1024];
        let free = || {
            let told = rustix::fs::statvfs(self.path()).unwrap();
            told.f_bavail * told.f_frsize
        };
        while free() > LEFT {
            file.write_all(&block).unwrap();
        }
    }

    fn clear(&self) {
        fs::remove_file(self.filling()).unwrap();
    }

    fn filling(&self) -> PathBuf {
        self.path().join("filling")
    }
}

/// The bytes that are free on a full disk.
const LEFT: u64 = 4 * 1024 * 1024;

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server of a test that failed may still have it open.
        let _unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// The answer to the creation of a service.
fn create_service(url: &str, basic: &str, number: u32) -> String {
    try_create_service(url, basic, number).unwrap()
}

fn try_create_service(url: &str, basic: &str, number: u32) -> io::Result<String> {
    let body = format!("FriendlyName=number{number}");
    let head = format!(
        "POST /v2/Services HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {basic}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    exchange(url, &(head + &body))
}

/// The numbers of all services, in the order of their creation.
fn services(url: &str, basic: &str) -> Vec<u32> {
    let request = format!(
        "GET /v2/Services?PageSize=1000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {basic}\r\n\r\n"
    );
    let answer = exchange(url, &request).unwrap();
    let body = body_of(&answer);
    let names = body["services"].as_array().unwrap().iter();
    let numbers = names.map(|service| {
        let name = service["friendly_name"].as_str().unwrap();
        name.strip_prefix("number").unwrap().parse().unwrap()
    });
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// What `/readyz` tells programs.
fn readiness(ops: &str) -> Value {
    let request = "GET /readyz HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nConnection: close\r\n\r\n";
    body_of(&exchange(ops, request).unwrap())
}

/// Which warnings are about a certificate. The machine of the test may have others.
fn certificate_warnings(told: &Value) -> Vec<&str> {
    let codes = told["warnings"].as_array().unwrap().iter();
    let codes = codes.map(|warning| warning["code"].as_str().unwrap());
    codes.filter(|code| code.starts_with("certificate_")).collect()
}

fn body_of(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

fn try_get(url: &str, path: &str) -> io::Result<String> {
    exchange(
        url,
        &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    )
}

fn exchange(url: &str, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap())?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn becomes(server: &Server, status: &str) -> String {
    let begun = Instant::now();
    loop {
        let answer = get(&server.ops, "/readyz");
        if answer.starts_with(status) {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{answer}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Writes a certificate that began so long ago and lasts so long; its end in seconds since 1970.
fn make_certificate(certificate: &Path, key: &Path, begun: Duration, lasts: Duration) -> u64 {
    let begins = SystemClock.now().before(begun);
    let ends = begins + lasts;
    let moment = |seconds: u64| OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.not_before = moment(begins.seconds());
    parameters.not_after = moment(ends.seconds());
    let pair = rcgen::KeyPair::generate().unwrap();
    let made = parameters.self_signed(&pair).unwrap();
    fs::write(key, pair.serialize_pem()).unwrap();
    fs::write(certificate, made.pem()).unwrap();
    ends.seconds()
}

/// The files of a directory, with what is in them.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    let mut files: Vec<_> = files
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    files.sort();
    files
}
