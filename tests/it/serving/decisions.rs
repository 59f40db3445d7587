//! The line that each decision leaves in the log, and its count: the same words as in the audit log, under the identifier that the
//! answer carried.

use std::io::{Read as _, Write as _};
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, basic, complaint, get, run, stdout_of};

/// A server, and an account that asks it.
pub(super) struct Asked {
    pub(super) server: Process,
    pub(super) ops: String,
    pub(super) authorization: String,
    pub(super) account: String,
}

/// What was answered, and under which identifier.
pub(super) struct Told {
    pub(super) id: String,
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Asked {
    fn start(directory: &TempDir, variables: &[(&str, &str)]) -> Self {
        Self::start_in(directory.path(), variables)
    }

    pub(super) fn start_in(data: &Path, variables: &[(&str, &str)]) -> Self {
        let mut server = Process::start_with(data, &["--ops-listen", "127.0.0.1:0"], variables);
        let (account, token) = server.credentials();
        let line = server.wait_for_log("serving /health");
        let ops = line.rsplit(" on ").next().unwrap().trim_end_matches(['"', '}']);
        Self {
            ops: ops.split('"').next().unwrap().to_owned(),
            authorization: basic(&account, &token),
            account,
            server,
        }
    }

    pub(super) fn post(&self, path: &str, form: &str) -> Told {
        self.post_as(&self.authorization, path, form)
    }

    /// The status that a request without a body is answered.
    pub(super) fn request(&self, method: &str, path: &str) -> u16 {
        let mut stream = self.server.connect();
        let authorization = &self.authorization;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(super) fn post_as(&self, authorization: &str, path: &str, form: &str) -> Told {
        let mut stream = self.server.connect();
        let length = form.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{form}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let named = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let id = named("Twilio-Request-Id: RQ").or_else(|| named("X-Request-Id: "));
        Told {
            id: id.unwrap().to_owned(),
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: serde_json::from_str(body).unwrap(),
        }
    }
}

/// An account's service, a factor in it, and the code that its app shows.
struct Enrolled {
    service: String,
    factor: String,
    sid: String,
}

impl Enrolled {
    fn at(asked: &Asked) -> Self {
        let service = asked
            .post("/v2/Services", "FriendlyName=Shop&CustomCodeEnabled=true")
            .body;
        let service = service["sid"].as_str().unwrap().to_owned();
        let factors = format!("/v2/Services/{service}/Entities/user-0001/Factors");
        let factor = asked.post(&factors, "FriendlyName=Phone&FactorType=totp").body;
        let sid = factor["sid"].as_str().unwrap().to_owned();
        Self {
            factor: format!("{factors}/{sid}"),
            service: format!("/v2/Services/{service}"),
            sid,
        }
    }
}

#[test]
fn each_decision_is_a_line_with_its_reason_and_the_identifier_of_the_answer() {
    let directory = TempDir::new().unwrap();
    let asked = Asked::start(&directory, &[("COUNTERSIGN_LOG", "info")]);
    let enrolled = Enrolled::at(&asked);
    let line_of = |told: &Told| asked.server.wait_for_log(&format!("request=\"{}\"", told.id));

    let malformed = asked.post(&enrolled.factor, "AuthPayload=nonsense");
    let line = line_of(&malformed);
    for part in [
        " INFO ",
        "check_code refused ",
        " dialect=\"twilio\" ",
        &format!(" account={} ", asked.account),
        " identity=\"user-0001\" ",
        &format!(" factor={} ", enrolled.sid),
        " by=account ",
        " from=\"127.0.0.1\" ",
        " reason=\"what was given as a code is none of the factor's length\"",
        " ms=",
    ] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }

    let wrong = asked.post(&enrolled.factor, "AuthPayload=000000");
    assert_eq!(wrong.status, 200, "{}", wrong.body);
    let line = line_of(&wrong);
    assert!(
        line.contains("check_code refused") && line.contains("reason=\""),
        "{line}"
    );

    // Telephone numbers are masked; what was sent is nobody's business.
    let sent = asked.post(
        &format!("{}/Verifications", enrolled.service),
        "To=%2B4915112345678&Channel=sms&CustomCode=314159",
    );
    assert_eq!(sent.status, 201, "{}", sent.body);
    let lines = asked.server.log_until(&format!("request=\"{}\"", sent.id));
    let checked = asked.post(
        &format!("{}/VerificationCheck", enrolled.service),
        "To=%2B4915112345678&Code=271828",
    );
    let more = asked.server.log_until(&format!("request=\"{}\"", checked.id));
    let line = more.last().unwrap();
    assert!(
        line.contains("check_verification refused") && line.contains("reason=\"wrong code\""),
        "{line}"
    );
    assert!(line.contains(" to=\"+49"), "{line}");
    for line in lines.iter().chain(&more) {
        // The sender of the log says both, as it is the one that was set up here.
        let is_sender = line.contains("314159");
        assert!(
            is_sender || !line.contains("15112345678") && !line.contains("271828"),
            "{line}"
        );
    }

    let stranger = asked.post_as(
        &basic(&asked.account, "none of its tokens"),
        "/v2/Services",
        "FriendlyName=X",
    );
    assert_eq!(stranger.status, 401);
    let line = line_of(&stranger);
    assert!(
        line.contains("authenticate refused") && line.contains("by=unknown"),
        "{line}"
    );

    // The audit log says the same of the same request.
    let listed = stdout_of(directory.path(), &["audit", "list", "--json"]);
    for (told, reason) in [
        (&wrong, None),
        (
            &malformed,
            Some("what was given as a code is none of the factor's length"),
        ),
    ] {
        let entry = listed.lines().find(|line| line.contains(&told.id)).unwrap();
        let entry: Value = serde_json::from_str(entry).unwrap();
        assert_eq!(
            (&entry["act"], &entry["outcome"]),
            (&"check_code".into(), &"refused".into())
        );
        if let Some(reason) = reason {
            assert_eq!(entry["reason"], reason);
        }
    }

    let metrics = get(&asked.ops, "/metrics");
    for (act, reason) in [
        ("check_code", "code_malformed"),
        ("check_verification", "wrong_code"),
    ] {
        let count = format!(
            "\ncountersign_decisions_total{{dialect=\"twilio\",act=\"{act}\",outcome=\"refused\",reason=\"{reason}\"}} 1\n"
        );
        assert!(metrics.contains(&count), "{count} is not in {metrics}");
    }
    assert!(metrics.contains("reason=\"wrong_credentials\"} 1\n"), "{metrics}");
    let route = "countersign_http_request_seconds_count{method=\"POST\",route=\"/v2/Services/{";
    assert!(metrics.contains(route), "{metrics}");
    assert!(
        !metrics.contains("user-0001") && !metrics.contains(&enrolled.sid),
        "{metrics}"
    );
}

/// What the operator is refused is a line with the same words, and who asked.
#[test]
fn what_the_operator_is_refused_is_a_line_with_its_reason() {
    let directory = TempDir::new().unwrap();
    let asked = Asked::start(&directory, &[("COUNTERSIGN_LOG", "info")]);
    let refused = complaint(&run(directory.path(), &["keys", "retire", "1"]), 1);
    let line = asked.server.wait_for_log(" by=operator");
    for part in [" INFO ", " refused ", &format!("reason=\"{refused}")] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
    assert!(!line.contains(" account="), "it is about no account: {line}");
    let listed = stdout_of(
        directory.path(),
        &["audit", "list", "--json", "--account", "none"],
    );
    let entry: Value = serde_json::from_str(listed.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&entry["outcome"], &entry["reason"]),
        (&"refused".into(), &refused.as_str().into())
    );
}

#[test]
fn lines_are_objects_if_that_is_set_and_modules_have_levels_of_their_own() {
    let directory = TempDir::new().unwrap();
    let variables = [
        ("COUNTERSIGN_LOG", "info,countersign::decision=off"),
        ("COUNTERSIGN_LOG_FORMAT", "json"),
    ];
    let asked = Asked::start(&directory, &variables);
    let enrolled = Enrolled::at(&asked);
    asked.post(&enrolled.factor, "AuthPayload=nonsense");
    asked.server.signal("TERM");
    let lines = asked.server.log_until("stopped: countersign");
    for line in &lines {
        let object: Value = serde_json::from_str(line).unwrap();
        assert!(
            object["level"].is_string() && object["message"].is_string(),
            "{line}"
        );
        assert!(!line.contains("refused"), "{line}");
    }
    assert!(
        lines.iter().any(|line| line.contains("started: countersign")),
        "{lines:?}"
    );
}

#[test]
fn nobody_waits_for_whoever_does_not_read_the_log() {
    let directory = TempDir::new().unwrap();
    let mut server = super::process::command(directory.path(), &["serve", "--listen", "127.0.0.1:0"])
        .env("COUNTERSIGN_BOOTSTRAP", format!("{ACCOUNT}:{TOKEN}"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(server.stdout.as_mut().unwrap()),
        &mut first,
    )
    .unwrap();
    let url = first.trim_end().strip_prefix("listening on ").unwrap().to_owned();
    // A pipe holds 64 KB, and each of these leaves a line of more than 200 bytes.
    let authorization = basic(ACCOUNT, TOKEN);
    let form = "FriendlyName=Shop";
    for _ in 0..500 {
        let mut stream = super::process::connect(&url);
        write!(
            stream,
            "POST /v2/Services HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
            form.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

const ACCOUNT: &str = "AC00112233445566778899aabbccddeeff";
const TOKEN: &str = "ffeeddccbbaa99887766554433221100";
