//! Codes by message across `kill -9`: nothing that was answered is forgotten.

use std::io::{Read as _, Write as _};

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, basic, connect};

/// A running server and who asks it.
struct Asked {
    server: Process,
    authorization: String,
}

impl Asked {
    fn post(&self, path: &str, form: &str) -> (u16, Value) {
        let mut stream = connect(&self.server.url);
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.authorization,
            form.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    fn sid(&self, path: &str, form: &str) -> String {
        let (status, body) = self.post(path, form);
        assert_eq!(status, 201, "{body}");
        body["sid"].as_str().unwrap().to_owned()
    }

    /// The same store after `kill -9`, served anew.
    fn killed(self, directory: &TempDir) -> Self {
        self.server.signal("KILL");
        self.server.wait();
        Self {
            server: Process::start(directory.path()),
            authorization: self.authorization,
        }
    }
}

fn started(directory: &TempDir) -> (Asked, String) {
    let mut server = Process::start(directory.path());
    let (account, token) = server.credentials();
    let asked = Asked {
        server,
        authorization: basic(&account, &token),
    };
    let service = asked.sid("/v2/Services", "FriendlyName=Owl+Bank&CustomCodeEnabled=true");
    (asked, format!("/v2/Services/{service}"))
}

#[test]
fn wrong_codes_count_across_kills() {
    let directory = TempDir::new().unwrap();
    let (mut asked, service) = started(&directory);
    let to = "To=%2B4915112345678";
    let new = format!("{to}&Channel=sms&CustomCode=314159");
    let sid = asked.sid(&format!("{service}/Verifications"), &new);
    let check = format!("{service}/VerificationCheck");
    for wrong in 0..5 {
        let (status, body) = asked.post(&check, &format!("{to}&Code=00000{wrong}"));
        assert_eq!((status, &body["valid"]), (201, &Value::Bool(false)), "{body}");
        asked = asked.killed(&directory);
    }
    let right = format!("VerificationSid={sid}&Code=314159");
    let (status, body) = asked.post(&check, &right);
    assert_eq!((status, &body["code"]), (429, &60202.into()), "{body}");
    let (status, body) = asked.post(&format!("{service}/Verifications"), &new);
    assert_eq!((status, &body["code"]), (429, &60202.into()), "{body}");
}

#[test]
fn a_code_is_right_after_a_kill_and_once_only() {
    let directory = TempDir::new().unwrap();
    let (asked, service) = started(&directory);
    let to = "To=%2B4915112345679";
    asked.sid(
        &format!("{service}/Verifications"),
        &format!("{to}&Channel=sms&CustomCode=314159"),
    );
    let asked = asked.killed(&directory);
    let (check, right) = (
        format!("{service}/VerificationCheck"),
        format!("{to}&Code=314159"),
    );
    let (status, body) = asked.post(&check, &right);
    assert_eq!((status, &body["status"]), (201, &"approved".into()), "{body}");
    let asked = asked.killed(&directory);
    let (status, body) = asked.post(&check, &right);
    assert_eq!((status, &body["code"]), (404, &20404.into()), "{body}");
}
