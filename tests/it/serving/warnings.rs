//! What the log says of itself to somebody who looks why something does not work.

use std::io::{Read as _, Write as _};

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, basic};

struct Caller {
    server: Process,
    basic: String,
}

impl Caller {
    fn of(directory: &TempDir) -> Self {
        let mut server = Process::start(directory.path());
        let (sid, token) = server.credentials();
        let basic = basic(&sid, &token);
        Self { server, basic }
    }

    /// The body of the answer, which is 201.
    fn create(&self, path: &str, body: &str) -> Value {
        let mut stream = self.server.connect();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.basic,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

#[test]
fn parameters_that_are_ignored_are_named_and_nothing_that_may_be_secret() {
    let directory = TempDir::new().unwrap();
    let caller = Caller::of(&directory);
    caller.create("/v2/Services", "FriendlyName=Owl&CodeLenght=8");
    let line = caller.server.wait_for_log("a parameter that is nearly ");
    assert!(line.contains("WARN") && line.contains("CodeLength"), "{line}");
    let made = caller.create("/v2/Services", "FriendlyName=Owl&correcthorsebattery=&hunter2=x");
    assert_eq!(made["code_length"], 6);
    let mut lines = caller
        .server
        .log_until("a parameter of 19 letters that is unknown here");
    lines.extend(
        caller
            .server
            .log_until("a parameter of 7 letters that is unknown here"),
    );
    let secret = |line: &String| line.contains("hunter2") || line.contains("correcthorse");
    assert!(!lines.iter().any(secret), "{lines:?}");
    // A flood of them is no flood of lines, and takes no time.
    let many: Vec<_> = (0..5000).map(|number| format!("&Zz{number}=1")).collect();
    let many = many.concat();
    caller.create("/v2/Services", &format!("FriendlyName=Owl{many}"));
}

#[test]
fn a_dead_letter_is_said_with_its_reason() {
    let directory = TempDir::new().unwrap();
    let caller = Caller::of(&directory);
    let service = caller.create("/v2/Services", "FriendlyName=Owl");
    let service = format!("/v2/Services/{}", service["sid"].as_str().unwrap());
    // An inner address, where nothing is sent.
    let webhook = "FriendlyName=Hook&EventTypes=*&WebhookUrl=http%3A%2F%2F10.1.2.3%2Fhook";
    let webhook = caller.create(&format!("{service}/Webhooks"), webhook);
    caller.create(
        &format!("{service}/Entities/user-0001/Factors"),
        "FriendlyName=Phone&FactorType=totp",
    );
    let line = caller.server.wait_for_log("is a dead letter: ");
    assert!(line.contains("WARN"), "{line}");
    assert!(line.contains(webhook["sid"].as_str().unwrap()), "{line}");
    assert!(line.contains("outbound_allow"), "{line}");
}
