//! `countersign audit`, with and without a running server: what was refused and why, whatever the client calls itself.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, basic, command, complaint, run, stdout_of};

/// What an account's requests are answered.
struct Asking<'a> {
    server: &'a Process,
    authorization: String,
}

impl Asking<'_> {
    fn post(&self, agent: &str, path: &str, form: &str) -> (String, Value) {
        let mut stream = self.server.connect();
        let (length, authorization) = (form.len(), &self.authorization);
        // A server that has read enough of a head need not read the rest.
        let _enough = write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\nUser-Agent: {agent}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{form}"
        );
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.to_owned(), serde_json::from_str(body).unwrap_or_default())
    }
}

fn entries(data: &Path, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "list", "--json"], arguments].concat();
    let listed = stdout_of(data, &arguments);
    listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// SECURITY.md, row 35: whatever a client calls itself, its refusals are entries, cut short and escaped, and the chain verifies.
#[expect(
    clippy::too_many_lines,
    reason = "one story, from the request to what is shown of it"
)]
#[test]
fn what_was_refused_is_found_with_its_reason_and_the_answers_own_identifier() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    let mut server = Process::start(data);
    let (account, token) = server.credentials();
    let asking = Asking {
        server: &server,
        authorization: basic(&account, &token),
    };
    let (_, service) = asking.post("plain", "/v2/Services", "FriendlyName=Shop");
    let service = service["sid"].as_str().unwrap().to_owned();
    let factors = format!("/v2/Services/{service}/Entities/user-0001/Factors");
    let form = "FriendlyName=Phone&FactorType=totp&Config.CodeLength=6";
    let (_, factor) = asking.post("plain", &factors, form);
    let factor = factor["sid"].as_str().unwrap().to_owned();

    let mut follow = command(data, &["audit", "follow", "--json", "--factor", &factor])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut followed = BufReader::new(follow.stdout.take().unwrap()).lines();
    // It shows what comes from now on, and now is when it has begun: something is refused until it says so.
    let path = format!("{factors}/{factor}");
    let injected = "\u{9b}31m=HYPERLINK(\"x\")|a=b\",\"outcome\":\"approved\",\"b\":\"";
    let agent = format!("{injected}{}", "\u{e4}".repeat(10_000));
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(followed.next()));
    let mut ids = Vec::new();
    let line = loop {
        let (answered, _) = asking.post(&agent, &path, "AuthPayload=nonsense");
        let id = answered.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("twilio-request-id: ")
                .map(str::to_owned)
        });
        ids.extend(id);
        if let Ok(line) = heard.recv_timeout(std::time::Duration::from_millis(300)) {
            break line.unwrap().unwrap();
        }
    };
    follow.kill().unwrap();
    follow.wait().unwrap();
    let first: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (first["outcome"].as_str(), first["factor_sid"].as_str()),
        (Some("refused"), Some(&*factor))
    );

    // More than the server takes of a head is refused as a whole, so it decides nothing.
    let (answered, _) = asking.post(&"x".repeat(1_000_000), &path, "AuthPayload=123456");
    assert!(
        answered.is_empty() || answered.starts_with("HTTP/1.1 431"),
        "{answered}"
    );

    let refused = entries(data, &["--outcome", "refused", "--identity", "user-0001"]);
    assert!(!refused.is_empty());
    for entry in &refused {
        assert_eq!(entry["act"], "check_code", "{entry}");
        assert_eq!(entry["author"], "account", "{entry}");
        assert_eq!(entry["dialect"], "twilio", "{entry}");
        assert!(entry["reason"].as_str().unwrap().contains("length"), "{entry}");
        let agent = entry["agent"].as_str().unwrap();
        assert!(
            agent.starts_with(&injected.replace('\u{9b}', "\u{fffd}")) && agent.ends_with('…'),
            "{agent}"
        );
        assert!(agent.chars().count() <= 121);
    }
    let id = refused[0]["request_id"].as_str().unwrap();
    assert!(
        ids.iter().any(|told| told.contains(id)),
        "{id} is none of {ids:?}"
    );
    let table = stdout_of(data, &["audit", "list", "--outcome", "refused"]);
    assert_eq!(table.lines().count(), 1 + refused.len(), "{table}");
    assert!(
        table.lines().all(|line| !line.contains(char::is_control)),
        "{table}"
    );

    // Whatever the protocol.
    let unknown = format!(
        "api_key={account}&api_secret={token}&request_id={}&code=1234",
        "a".repeat(32)
    );
    asking.post("plain", "/verify/check/json", &unknown);
    let refused = entries(data, &["--outcome", "refused"]);
    let last = refused.last().unwrap();
    assert_eq!(
        (&last["dialect"], &last["author"]),
        (&"vonage".into(), &"account".into())
    );

    // By hand, too; and with the same commands when no server runs.
    let key = stdout_of(data, &["key", "create", &account, "--name", "CI", "--json"]);
    let key: Value = serde_json::from_str(&key).unwrap();
    stdout_of(data, &["store", "export", "--to", "-"]);
    let check = |data: &Path| {
        let all = entries(data, &["--limit", "1000"]);
        let made = all
            .iter()
            .find(|entry| entry["author"].as_str().unwrap().starts_with("operator"));
        let made = made.unwrap()["changes"][0].as_str().unwrap();
        assert_eq!(made, format!("created API key {}", key["sid"].as_str().unwrap()));
        let acts = entries(data, &["--account", "none"]);
        let export = acts.iter().find(|entry| entry["act"] == "export").unwrap();
        assert!(
            export["author"].as_str().unwrap().starts_with("operator"),
            "{export}"
        );
        let exported = stdout_of(data, &["audit", "export"]);
        assert_eq!(exported.lines().count(), all.len());
        let cef = stdout_of(data, &["audit", "export", "--format", "cef"]);
        assert!(
            cef.lines()
                .all(|line| line.starts_with("CEF:0|Countersign|countersign|")),
            "{cef}"
        );
        let csv = stdout_of(data, &["audit", "export", "--format", "csv"]);
        assert_eq!(csv.lines().count(), 1 + all.len(), "{csv}");
        assert!(csv.starts_with("time,sid,") && !csv.contains(",\"="), "{csv}");
        let verified = stdout_of(data, &["audit", "verify"]);
        assert!(verified.ends_with("are not sealed yet.\n"), "{verified}");
        assert_eq!(entries(data, &["--since", "1h", "--until", "59m"]).len(), 0);
    };
    check(data);
    assert_eq!(
        complaint(&run(data, &["audit", "list", "--since", "soon"]), 2)
            .lines()
            .count(),
        1
    );
    assert!(complaint(&run(data, &["audit", "list", "--outcome", "bad"]), 2).contains("approved"));
    server.signal("TERM");
    server.wait();
    check(data);
    let none = complaint(&run(data, &["audit", "follow"]), 1);
    assert!(none.contains("no server runs"), "{none}");
}
