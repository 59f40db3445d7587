//! `countersign totp` and `countersign bench`.

use super::{Server, countersign, text, with_input};

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

fn totp(args: &[&str], input: &str) -> String {
    let mut command = countersign();
    command.arg("totp").args(args);
    let output = with_input(command, input);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}
