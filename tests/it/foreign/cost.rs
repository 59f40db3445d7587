//! `countersign bench ... --cost`, `--requests` and `--around`, against the real binary.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::thread;

use serde_json::Value;

use super::{ACCOUNT_AND_TOKEN, Server};
use crate::manual::server::ops_listener;
use crate::serving::process::get;

/// All three at once, each with a server of its own, which is left alone for a while before and after.
#[test]
fn what_a_request_costs_is_told_and_plausible() {
    thread::scope(|scope| {
        for (command, requests, commits) in [("totp", 1.0, 1.0), ("push", 1.0, 1.0), ("verify", 2.0, 1.0)] {
            scope.spawn(move || a_request_has_a_cost(command, requests, commits));
        }
    });
}

fn a_request_has_a_cost(command: &str, requests: f64, commits: f64) {
    let server = MeasuredServer::start();
    let before = server.told("countersign_process_cpu_seconds_total");
    let report = server.cost_of(command, &["--seconds", "2"]);
    let spent = server.told("countersign_process_cpu_seconds_total") - before;
    let figure = |name: &str| {
        report[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{command}: {name}: {report}"))
    };
    for name in [
        "cpu_us",
        "switches",
        "reads",
        "logged_bytes",
        "floor_cpu_us",
        "floor_switches",
        "floor_cpu_ratio",
    ] {
        assert!(figure(name) > 0.0, "{command}: {name}: {report}");
    }
    for floor in ["", "floor_"] {
        let sum = figure(&format!("{floor}user_us")) + figure(&format!("{floor}system_us"));
        assert!((sum - figure(&format!("{floor}cpu_us"))).abs() < 0.02, "{report}");
    }
    // What the run took of the process, but for the set-up and the end.
    let answered = requests * figure("requests_per_second") * figure("seconds");
    let answered = if command == "verify" {
        answered / 2.0
    } else {
        answered
    };
    let of_requests = figure("cpu_us") * answered / 1e6;
    assert!(
        of_requests > spent / 20.0 && of_requests < spent * 1.05,
        "{of_requests} of {spent}: {report}"
    );
    // Messages that wait for their sender are commits, too.
    assert!(
        (commits..commits + 2.0).contains(&(figure("commits") + 0.01)),
        "{command}: {report}"
    );
    assert!(
        (100.0..10_000.0).contains(&figure("logged_bytes")),
        "{command}: {report}"
    );
    assert!(
        figure("reads") < 10.0 && figure("kept_bytes") < 100_000.0,
        "{command}: {report}"
    );
    assert!(figure("floor_cpu_us") < figure("cpu_us"), "{command}: {report}");
    allocations_are_told(&report);
}

#[cfg(not(feature = "count-allocations"))]
fn allocations_are_told(report: &Value) {
    for name in ["allocations", "floor_allocations"] {
        let said = report[name].as_str().expect("no number");
        assert!(said.contains("--features count-allocations"), "{report}");
    }
}

#[cfg(feature = "count-allocations")]
fn allocations_are_told(report: &Value) {
    for floor in ["", "floor_"] {
        let allocations = report[format!("{floor}allocations")].as_f64().unwrap();
        let bytes = report[format!("{floor}allocated_bytes")].as_f64().unwrap();
        assert!((5.0..2000.0).contains(&allocations), "{report}");
        assert!(bytes > 8.0 * allocations, "{report}");
    }
    assert!(
        report["floor_allocations"].as_f64() < report["allocations"].as_f64(),
        "{report}"
    );
}

#[test]
fn what_cannot_be_said_is_refused_before_anything_is_made() {
    let server = MeasuredServer::start();
    let refused = server.output("totp", &["--cost"]);
    assert!(complaint(&refused).contains("--pid"), "{refused:?}");
    let (url, pid) = (server.server.url.as_str(), server.server.pid());
    let two = server.output("push", &["--url", url, "--cost", "--pid", &pid, "--metrics", url]);
    assert!(complaint(&two).contains("name one --url"), "{two:?}");
    // The API tells no figures.
    let elsewhere = server.output("verify", &["--cost", "--pid", &pid, "--metrics", url]);
    assert!(complaint(&elsewhere).contains("`ops_listen`"), "{elsewhere:?}");
    assert_eq!(server.server.services(), 0);
}

#[test]
fn so_many_requests_are_sent_between_two_calls_of_a_program() {
    let server = MeasuredServer::start();
    let said = server.server.data.path().join("said");
    let program = server.server.data.path().join("around");
    let ops = &server.ops;
    let script = format!(
        "#!/bin/sh\necho \"$1\" >>{said}\n[ -z \"$FAILS_AT\" ] || [ \"$FAILS_AT\" != \"$1\" ]\n",
        said = said.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let program = program.to_str().unwrap();
    for (command, of) in [("totp", "successes"), ("push", "successes"), ("verify", "pairs")] {
        let answered = || told(ops, "countersign_http_requests_total");
        let before = answered();
        let report = server.report(command, &["--requests", "37", "--around", program]);
        assert_eq!(report[of], 37, "{report}");
        assert_ne!(report["ran_out"], true, "{report}");
        assert!(answered() - before >= 37.0, "{report}");
        assert_eq!(fs::read_to_string(&said).unwrap(), "begin\nend\n");
        fs::remove_file(&said).unwrap();
    }
    let mut fails = super::countersign();
    fails
        .args(["bench", "floor", "--requests", "3", "--around", program])
        .env("FAILS_AT", "begin");
    let fails = fails.output().unwrap();
    assert!(complaint(&fails).contains("around begin` failed"), "{fails:?}");
    assert_eq!(fs::read_to_string(&said).unwrap(), "begin\n");
}

/// A server that says little, and where it tells its figures.
struct MeasuredServer {
    server: Server,
    ops: String,
}

impl MeasuredServer {
    fn start() -> Self {
        let server = Server::start_with(&[
            ("COUNTERSIGN_LOG", "info"),
            ("COUNTERSIGN_OPS_LISTEN", "127.0.0.1:0"),
            ("COUNTERSIGN_CODES_SENDS_PER_PREFIX_PER_HOUR", "none"),
            ("COUNTERSIGN_CODES_SENDS_PER_PREFIX_PER_DAY", "none"),
        ]);
        let ops = ops_listener(&server.log);
        Self { server, ops }
    }

    fn cost_of(&self, command: &str, more: &[&str]) -> Value {
        let (pid, metrics) = (self.server.pid(), format!("http://{}", self.ops));
        let cost = ["--cost", "--pid", &pid, "--metrics", &metrics];
        self.report(command, &[&cost[..], more].concat())
    }

    fn report(&self, command: &str, more: &[&str]) -> Value {
        let output = self.output(command, more);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    fn output(&self, command: &str, more: &[&str]) -> Output {
        super::countersign()
            .args([
                "bench",
                command,
                "--url",
                &self.server.url,
                "--connections",
                "8",
                "--json",
            ])
            .args(more)
            .env("COUNTERSIGN_ACCOUNT", ACCOUNT_AND_TOKEN)
            .output()
            .expect("the benchmark runs")
    }

    fn told(&self, name: &str) -> f64 {
        told(&self.ops, name)
    }
}

/// The figures of this name, together.
fn told(ops: &str, name: &str) -> f64 {
    let text = get(&format!("http://{ops}"), "/metrics");
    let of_name = |line: &&str| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']);
    let figures = text.lines().filter(of_name);
    figures
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum()
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}
