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
    let token = server.new_signal_token();
    let report = server.bench("signal", &["--token", &token, "--pid", &server.pid()]);
    for figure in ["requests_per_second", "twilio_ratio", "twilio_cpu_ratio"] {
        assert!(report[figure].as_f64().expect(figure) > 0.0, "{figure}: {report}");
    }
    assert_eq!(
        (&report["errors"], &report["twilio_errors"]),
        (&0.into(), &0.into()),
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

fn totp(args: &[&str], input: &str) -> String {
    let mut command = countersign();
    command.arg("totp").args(args);
    let output = with_input(command, input);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}
