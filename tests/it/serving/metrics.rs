//! What the operators' metrics count, each made to happen at a server and read from its page.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::database::Servers;
use super::decisions::Asked;
use super::process::{Process, basic, connect, get, stdout_of};
use crate::postgres_server::Cluster;

/// A server whose metrics are read.
pub(crate) struct Metered {
    pub(crate) server: Process,
    pub(crate) ops: String,
}

impl Metered {
    pub(crate) fn start(data: &Path, arguments: &[&str]) -> Self {
        let arguments = [&["--ops-listen", "127.0.0.1:0"], arguments].concat();
        let server = Process::start_with(data, &arguments, &[]);
        let line = server.wait_for_log("serving /health");
        let ops = line.rsplit(" on ").next().unwrap().to_owned();
        Self { server, ops }
    }

    /// The page of metrics.
    pub(crate) fn page(&self) -> String {
        get(&self.ops, "/metrics")
    }

    /// The value of the series that is written so; `None` if there is none.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        value_in(&self.page(), series)
    }

    /// Waits until the series has counted so much.
    #[track_caller]
    pub(crate) fn wait_for_count(&self, series: &str, count: u32) {
        let began = Instant::now();
        loop {
            let page = self.page();
            match value_in(&page, series) {
                Some(value) if (value - f64::from(count)).abs() < 0.5 => return,
                _ if began.elapsed() > PATIENCE => panic!("{series} is not {count} in {page}"),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

/// The value of a series on a page.
pub(crate) fn value_in(page: &str, series: &str) -> Option<f64> {
    let behind = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
    page.lines().find_map(behind)
}

#[test]
fn connections_are_counted_for_each_listener_and_so_is_who_is_turned_away() {
    let directory = TempDir::new().unwrap();
    let mut metered = Metered::start(directory.path(), &["--max-connections", "64"]);
    let (account, token) = metered.server.credentials();
    let authorization = basic(&account, &token);
    let address = metered.server.url.strip_prefix("http://").unwrap().to_owned();
    let series = |name: &str, reason: &str| {
        format!("countersign_connections_{name}{{listener=\"{address}\"{reason}}}")
    };
    let (open, shared) = (series("open", ""), series("refused_total", ",reason=\"share\""));
    let some: Vec<TcpStream> = (0..3).map(|_| metered.server.connect()).collect();
    metered.wait_for_count(&open, 3);
    assert_eq!(metered.value(&shared), Some(0.0));
    drop(some);
    metered.wait_for_count(&open, 0);
    metered.wait_for_count(&series("accepted_total", ""), 3);

    // One host may have 48 of 64; those whose body is awaited are not given up for others.
    let head = format!(
        "POST /v2/Services HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: 100\r\n\r\nFriendlyName="
    );
    let mut crowd = Vec::new();
    while metered.value(&shared) == Some(0.0) {
        assert!(crowd.len() < 200, "nobody is turned away");
        let mut stream = connect(&metered.server.url);
        let _turned_away = stream.write_all(head.as_bytes());
        crowd.push(stream);
    }
    assert!(metered.value(&open).unwrap() <= 48.0);
}

#[test]
fn handshakes_that_fail_are_counted() {
    let directory = TempDir::new().unwrap();
    let arguments = ["--tls-listen", "127.0.0.1:0", "--tls-self-signed"];
    let mut metered = Metered::start(directory.path(), &arguments);
    let second = metered.server.read_lines_until(|_| true).remove(0);
    let address = second.strip_prefix("listening on https://").unwrap().to_owned();
    // No record of TLS has a type of this number.
    for (said, reason) in [
        (&b"\xff\xff\xff\xff\xff\xff"[..], "tls_handshake"),
        (b"GET / HTTP/1.1\r\n\r\n", "plain_http"),
    ] {
        let refused =
            format!("countersign_connections_refused_total{{listener=\"{address}\",reason=\"{reason}\"}}");
        metered.wait_for_count(&refused, 0);
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(said).unwrap();
        metered.wait_for_count(&refused, 1);
    }
}

#[test]
fn the_embedded_store_tells_how_long_changes_took_and_how_many_went_together() {
    let directory = TempDir::new().unwrap();
    changes_are_timed(Metered::start(directory.path(), &[]));
}

#[test]
fn so_does_a_database() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let data = servers.data("one", 1);
    stdout_of(&data, &["store", "migrate", "--store", &servers.url]);
    changes_are_timed(Metered::start(&data, &["--store", &servers.url]));
}

fn changes_are_timed(mut metered: Metered) {
    let (account, token) = metered.server.credentials();
    let authorization = basic(&account, &token);
    let figures = |metered: &Metered| {
        let page = metered.page();
        [
            "store_commit_seconds_count",
            "store_commit_seconds_bucket{le=\"+Inf\"}",
            "store_group_size_sum",
            "store_group_size_count",
        ]
        .map(|name| {
            value_in(&page, &format!("countersign_{name}")).unwrap_or_else(|| panic!("{name}: {page}"))
        })
    };
    let before = figures(&metered);
    for _ in 0..5 {
        let mut stream = metered.server.connect();
        let body = "FriendlyName=Shop";
        write!(
            stream,
            "POST /v2/Services HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
    let after = figures(&metered);
    for (before, after) in before.into_iter().zip(after) {
        assert!(after >= before + 5.0, "{before} to {after}");
    }
    assert!((after[0] - after[1]).abs() < 0.5, "{after:?}");
    // Nobody waits for a disk for nothing.
    let sum = metered.value("countersign_store_commit_seconds_sum").unwrap();
    assert!(sum > 0.0, "{sum}");
}

#[test]
fn a_code_is_counted_from_its_beginning_to_its_answer_by_sender_and_channel() {
    let directory = TempDir::new().unwrap();
    let asked = Asked::start_in(directory.path(), &[]);
    let created = asked.post("/v2/Services", "FriendlyName=Shop&CustomCodeEnabled=true");
    let service = format!("/v2/Services/{}", created.body["sid"].as_str().unwrap());
    let (to, code) = ("To=%2B4915112345678", "314159");
    let verifications = format!("{service}/Verifications");
    let sent = asked.post(&verifications, &format!("{to}&Channel=sms&CustomCode={code}"));
    assert_eq!(sent.status, 201);
    let (began, delivered) = (
        Instant::now(),
        "countersign_deliveries_total{what=\"code\",provider=\"log\",",
    );
    let page = || get(&asked.ops, "/metrics");
    let counted = |page: &str, begin: &str, end: &str| {
        let mut lines = page.lines();
        lines.any(|line| line.starts_with(begin) && line.ends_with(end))
    };
    while !counted(&page(), delivered, "outcome=\"delivered\"} 1") {
        assert!(began.elapsed() < PATIENCE, "it is not delivered");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(counted(
        &page(),
        "countersign_delivery_seconds_count{what=\"code\",provider=\"log\",",
        "} 1"
    ));
    assert!(!page().contains("\ncountersign_code_answer_seconds_count{"));
    let checked = asked.post(
        &format!("{service}/VerificationCheck"),
        &format!("{to}&Code={code}"),
    );
    assert_eq!(checked.body["status"], "approved");
    let page = page();
    assert!(counted(
        &page,
        "countersign_code_answer_seconds_count{sender=",
        "} 1"
    ));
    for outcome in ["begun", "approved"] {
        let series = format!(
            "countersign_verifications_total{{dialect=\"twilio\",channel=\"sms\",outcome=\"{outcome}\"}}"
        );
        assert!(counted(&page, &series, " 1"), "{series}");
    }
}
