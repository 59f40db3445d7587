//! `countersign device`, which plays a phone, against the real server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::{Server, countersign, text, with_input};

#[test]
fn device_commands_enrol_list_answer_and_remove() {
    let server = Server::start();
    let phone = Phone::enroll(&server, "user-0001");
    assert_eq!(phone.run("list", &[]), "No challenges.\n");
    assert!(
        phone.fails("approve", &[]).contains("no challenge is pending"),
        "nothing to approve"
    );

    let first = phone.challenge("Log in?");
    let listed = phone.run("list", &["--status", "pending"]);
    assert!(
        listed.contains(&first) && listed.contains("pending") && listed.contains("Log in?"),
        "{listed}"
    );
    assert_eq!(phone.run("approve", &[]), format!("{first} approved\n"));
    assert_eq!(phone.status_of(&first), "approved");
    assert!(phone.fails("deny", &[&first]).contains("approved"), "too late");

    let second = phone.challenge("Pay?");
    let third = phone.challenge("Pay again?");
    let question = phone.fails("deny", &[]);
    assert!(
        question.contains(&second) && question.contains(&third),
        "{question}"
    );
    assert_eq!(phone.run("deny", &[&second]), format!("{second} denied\n"));
    assert_eq!(phone.run("approve", &[&third]), format!("{third} approved\n"));
    assert_eq!(phone.run("list", &[]).lines().count(), 4);
    assert_eq!(phone.run("list", &["--limit", "1"]).lines().count(), 2);

    let removed = phone.run("remove", &[]);
    assert!(removed.starts_with("removed YF"), "{removed}");
    assert!(!phone.state.exists());
}

#[test]
fn device_commands_type_numbers_and_report() {
    let server = Server::start();
    let phone = Phone::enroll(&server, "user-0001");
    let (sid, number) = phone.number_challenge("2");
    let listed = phone.run("list", &[]);
    assert!(listed.contains("asks for the 2-digit number"), "{listed}");
    assert!(!listed.contains(&format!(" {number} ")), "{listed}");
    let missing = with_input(phone.command("approve", &[]), &number);
    assert!(!missing.status.success(), "no terminal, no number");
    let told = String::from_utf8(missing.stderr).expect("text");
    assert!(told.contains("--number"), "{told}");
    assert!(phone.fails("approve", &["--number", "1"]).contains("60324"));
    let approved = phone.run("approve", &[&sid, "--number", &number]);
    assert_eq!(approved, format!("{sid} approved\n"));

    let (sid, number) = phone.number_challenge("3");
    let wrong = if number == "000" { "001" } else { "000" };
    let told = phone.fails("approve", &["--number", wrong]);
    assert!(told.contains("the number was wrong"), "{told}");
    assert_eq!(phone.status_of(&sid), "denied");

    let plain = phone.challenge("Log in?");
    let told = phone.fails("approve", &["--number", "47"]);
    assert!(told.contains("leave --number out"), "{told}");
    let reported = phone.run("deny", &["--reason", "not-me"]);
    assert_eq!(reported, format!("{plain} denied\n"));
    let factor = server.get(&format!("{}/Factors/{}", phone.entity(), phone.factor_sid()));
    assert!(factor.pointer("/config/push_paused_until").is_some(), "{factor}");
}

#[test]
fn a_state_file_is_private_and_an_enrolment_that_fails_leaves_none() {
    let server = Server::start();
    let phone = Phone::enroll(&server, "user-0001");
    let state = std::fs::read_to_string(&phone.state).expect("a state file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&phone.state)
            .expect("a state file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let token = phone.access_token();
    let refused = phone.enroll_with(&phone.state, &token);
    assert!(!refused.status.success(), "it was overwritten");
    assert_eq!(
        std::fs::read_to_string(&phone.state).expect("a state file"),
        state
    );

    let other = phone.state.with_extension("other");
    let refused = phone.enroll_with(&other, "made up");
    assert!(!refused.status.success() && !other.exists(), "{refused:?}");
    // A token that an enrolment refused by its own file was never sent: it is still good.
    let enrolled = phone.enroll_with(&other, &token);
    assert!(enrolled.status.success(), "{enrolled:?}");
}

/// A device of the `device` commands.
pub(super) struct Phone<'a> {
    pub(super) server: &'a Server,
    service: String,
    identity: String,
    pub(super) state: PathBuf,
    _directory: tempfile::TempDir,
}

impl<'a> Phone<'a> {
    pub(super) fn enroll(server: &'a Server, identity: &str) -> Self {
        let service = server.post("Services", &[("FriendlyName", "Owl")]);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let phone = Self {
            server,
            service: text(&service, "/sid").to_owned(),
            identity: identity.to_owned(),
            state: directory.path().join("phone.json"),
            _directory: directory,
        };
        let output = phone.enroll_with(&phone.state, &phone.access_token());
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).expect("text");
        assert!(printed.starts_with("enrolled YF"), "{printed}");
        phone
    }

    fn access_token(&self) -> String {
        let path = format!("Services/{}/AccessTokens", self.service);
        let form = [("Identity", self.identity.as_str()), ("FactorType", "push")];
        text(&self.server.post(&path, &form), "/token").to_owned()
    }

    fn enroll_with(&self, state: &Path, token: &str) -> Output {
        let mut command = countersign();
        command
            .args(["device", "enroll", "--url", &self.server.url])
            .args(["--service", &self.service, "--identity", &self.identity])
            .args(["--access-token", "-", "--name", "Jane's phone", "--state"])
            .arg(state);
        with_input(command, token)
    }

    pub(super) fn command(&self, name: &str, more: &[&str]) -> Command {
        let mut command = countersign();
        command
            .args(["device", name, "--state"])
            .arg(&self.state)
            .args(more);
        command
    }

    /// What a command prints; it must succeed.
    fn run(&self, name: &str, more: &[&str]) -> String {
        let output = self.command(name, more).output().expect("it runs");
        assert!(output.status.success(), "{name}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a command complains of; it must fail.
    fn fails(&self, name: &str, more: &[&str]) -> String {
        let output = self.command(name, more).output().expect("it runs");
        assert!(!output.status.success(), "{name}: {output:?}");
        String::from_utf8(output.stderr).expect("text")
    }

    pub(super) fn challenge(&self, message: &str) -> String {
        text(&self.create_challenge(message, &[]), "/sid").to_owned()
    }

    /// The SID of a challenge that asks for a number, and the number that the login page shows.
    fn number_challenge(&self, digits: &str) -> (String, String) {
        let created = self.create_challenge("Log in?", &[("Details.NumberMatching", digits)]);
        let part = |pointer| text(&created, pointer).to_owned();
        (part("/sid"), part("/number_matching/number"))
    }

    pub(super) fn create_challenge(&self, message: &str, more: &[(&str, &str)]) -> Value {
        let factor = self.factor_sid();
        let form = [("FactorSid", factor.as_str()), ("Details.Message", message)];
        let path = format!("{}/Challenges", self.entity());
        self.server.post(&path, &[&form, more].concat())
    }

    fn entity(&self) -> String {
        format!("Services/{}/Entities/{}", self.service, self.identity)
    }

    fn factor_sid(&self) -> String {
        let state = std::fs::read_to_string(&self.state).expect("a state file");
        let state: Value = serde_json::from_str(&state).expect("JSON");
        text(&state, "/factor_sid").to_owned()
    }

    fn status_of(&self, challenge: &str) -> String {
        let listed = self.run("list", &[]);
        let line = listed.lines().find(|line| line.starts_with(challenge));
        let status = line.and_then(|line| line.split_whitespace().nth(1));
        status.expect("a listed challenge").to_owned()
    }
}
