//! `countersign totp` and `countersign bench`.

use std::net::TcpListener;
use std::process::{Command, Output};

use super::{ACCOUNT_AND_TOKEN, Server, countersign, text, with_input};

#[test]
fn totp_prints_the_code_that_the_server_approves() {
    let server = Server::start();
    let service = server.post("Services", &[("FriendlyName", "Owl")]);
    let entity = format!("Services/{}/Entities/user-0001", text(&service, "/sid"));
    let factor = server.post(
        &format!("{entity}/Factors"),
        &[("FriendlyName", "jane@example.com"), ("FactorType", "totp")],
    );
    let uri = text(&factor, "/binding/uri");
    let code = totp(&["--uri", uri], "");
    assert_eq!(code.trim_end().len(), 6, "{code}");
    let verified = server.post(
        &format!("{entity}/Factors/{}", text(&factor, "/sid")),
        &[("AuthPayload", code.trim_end())],
    );
    assert_eq!(text(&verified, "/status"), "verified");
}

#[test]
fn totp_reads_the_uri_from_its_input() {
    let uri = "otpauth://totp/t?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8\n";
    assert_eq!(totp(&["--uri", "-", "--at", "59"], uri), "94287082\n");
}

#[test]
fn a_short_benchmark_has_no_errors() {
    let server = Server::start();
    let report = server.bench("waiters", &[]);
    assert_eq!(
        (&report["answered"], &report["missed"]),
        (&8.into(), &0.into()),
        "{report}"
    );
    for command in ["totp", "push", "verify"] {
        let report = server.bench(command, &["--floor"]);
        for figure in ["requests_per_second", "p50_ms", "p99_ms", "floor_ratio"] {
            assert!(report[figure].as_f64().expect(figure) > 0.0, "{figure}: {report}");
        }
        assert_eq!(report["errors"], 0, "{report}");
        assert_eq!(
            report.get("verify_per_second_one_core").is_some(),
            command == "push",
            "{report}"
        );
    }
    // Each took away what it made, but for what was to stay.
    assert_eq!(server.services(), 0);
    let script = server.data.path().join("load.lua");
    let script = script.to_str().unwrap();
    let prepares = ["--factors", "8", "--wrk-script", script];
    assert!(complaint(&server.bench_output(ACCOUNT_AND_TOKEN, "totp", &prepares)).contains("--keep"));
    let output = server.bench_output(ACCOUNT_AND_TOKEN, "totp", &[&prepares[..], &["--keep"]].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(server.services(), 1);
}

#[test]
fn a_benchmark_that_cannot_measure_says_what_to_do_at_once() {
    let server = Server::start();
    let wrong = server.bench_output("AC00000000000000000000000000000000:none", "totp", &[]);
    let wrong = complaint(&wrong);
    assert!(
        wrong.contains("answers HTTP 401") && wrong.contains("`countersign account list`"),
        "{wrong}"
    );
    let mut few = Command::new("sh");
    few.args([
        "-c",
        "ulimit -n 64 && exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_countersign"),
    ])
    .args(["bench", "totp", "--connections", "64", "--url", &server.url])
    .env("COUNTERSIGN_ACCOUNT", ACCOUNT_AND_TOKEN);
    let files = complaint(&few.output().unwrap());
    assert!(files.contains("run `ulimit -n 96` before"), "{files}");
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut nobody = countersign();
    nobody
        .args(["bench", "push", "--url", &format!("http://{nowhere}")])
        .env("COUNTERSIGN_ACCOUNT", ACCOUNT_AND_TOKEN);
    let nobody = complaint(&nobody.output().unwrap());
    assert!(nobody.contains("is a server started"), "{nobody}");
    assert_eq!(server.services(), 0);
}

/// Both are measured in turns on one server. How often the store is asked is counted in `signal::round_trips`; the figures that
/// matter are those of an optimized build, in the manual's page on performance.
#[test]
fn a_registration_session_costs_about_what_a_verification_does() {
    let server = Server::start_for_load();
    let token = server.new_signal_token();
    let report = server.bench("signal", &["--token", &token, "--pid", &server.pid()]);
    let figure = |name: &str| {
        report[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {report}"))
    };
    for operation in [
        "twilio_send",
        "twilio_check",
        "signal_begin",
        "signal_send",
        "signal_check",
    ] {
        for what in ["per_second", "p50_ms", "p99_ms", "cpu_us"] {
            assert!(figure(&format!("{operation}_{what}")) > 0.0, "{report}");
        }
    }
    assert_eq!(report["errors"], 0, "{report}");
    // A session begins with a call and a commit of its own, for which a verification has none.
    for (operation, most) in [("send", DEARER), ("check", DEARER), ("session", DEARER + 0.3)] {
        assert!(figure(&format!("{operation}_time_ratio")) > 0.0, "{report}");
        assert!(
            figure(&format!("{operation}_cpu_ratio")) < most,
            "{operation}: {report}"
        );
    }
}

#[test]
fn a_vonage_request_costs_about_what_a_verification_does() {
    let server = Server::start_for_load();
    let report = server.bench("vonage", &["--pid", &server.pid()]);
    let figure = |name: &str| {
        report[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {report}"))
    };
    assert_eq!(report["errors"], 0, "{report}");
    for operation in ["send", "check", "session"] {
        assert!(figure(&format!("{operation}_time_ratio")) > 0.0, "{report}");
        assert!(
            figure(&format!("{operation}_cpu_ratio")) < DEARER,
            "{operation}: {report}"
        );
    }
}

/// What an operation may cost to what it costs in Twilio's protocol, in an unoptimized build on a machine that others use. There
/// it is less, 0.7 to 0.95; a tenth more is what the protocol may cost.
const DEARER: f64 = 1.2;

/// The one line that a refused command says.
fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn totp(args: &[&str], input: &str) -> String {
    let mut command = countersign();
    command.arg("totp").args(args);
    let output = with_input(command, input);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}
