//! Clients that share no code with this server, and the commands that play clients, against the real binary.

mod watch;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// Twilio's own library runs all operations.
#[test]
fn twilio_from_pypi_runs_every_operation() {
    run_script("twilio_operations.py", &["twilio", "pyotp", "cryptography"], &[]);
}

/// The same library creates, changes and deletes the keys of push providers.
#[test]
fn twilio_from_pypi_manages_credentials() {
    run_script("credentials.py", &["twilio", "cryptography"], &[]);
}

/// A device written from the protocol alone.
#[test]
fn a_device_in_python_enrols_answers_and_is_held_to_its_own() {
    run_script("device.py", &["jwt", "requests", "cryptography"], &[]);
}

/// Codes of two other programs, for every hash, length and step.
#[test]
fn codes_of_pyotp_and_oathtool_are_approved() {
    run_script("codes.py", &["pyotp", "requests"], &["oathtool"]);
}

#[test]
fn device_commands_enrol_list_answer_and_remove() {
    let server = Server::start();
    let phone = Phone::enroll(&server, "user-0001");
    assert_eq!(phone.run("list", &[]), "");
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
    assert_eq!(phone.run("list", &[]).lines().count(), 3);
    assert_eq!(phone.run("list", &["--limit", "1"]).lines().count(), 1);

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

/// The binary under test, serving an empty store; it is killed when this is dropped.
struct Server {
    process: Child,
    url: String,
    /// What it logs, codes included: nothing is configured to send them.
    log: PathBuf,
    _data: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let log = data.path().join("log");
        let mut process = countersign()
            .arg("serve")
            .arg("--data")
            .arg(data.path().join("data"))
            .args(["--listen", "127.0.0.1:0"])
            .env("COUNTERSIGN_BOOTSTRAP", format!("{ACCOUNT}:{TOKEN}"))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).expect("a file"))
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("text");
        let url = first
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("the first line is {first:?}"))
            .to_owned();
        // Whatever else it prints must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            url,
            log,
            _data: data,
        }
    }

    /// A call with the account's credentials that must succeed.
    fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let request = client().post(format!("{}/v2/{path}", self.url)).form(form);
        Self::send(path, request)
    }

    /// A resource, with the account's credentials.
    fn get(&self, path: &str) -> Value {
        Self::send(path, client().get(format!("{}/v2/{path}", self.url)))
    }

    fn send(path: &str, request: reqwest::RequestBuilder) -> Value {
        let request = request.basic_auth(ACCOUNT, Some(TOKEN));
        block_on(async {
            let response = request.send().await.expect("an answer");
            let status = response.status();
            let body = response.text().await.expect("a body");
            assert!(status.is_success(), "{path}: {status}: {body}");
            serde_json::from_str(&body).expect("JSON")
        })
    }

    fn bench(&self, command: &str, more: &[&str]) -> Value {
        let output = countersign()
            .args(["bench", command, "--url", &self.url])
            .args(["--connections", "8", "--seconds", "2", "--json"])
            .args(more)
            .env("COUNTERSIGN_ACCOUNT", format!("{ACCOUNT}:{TOKEN}"))
            .output()
            .expect("the benchmark runs");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is gone already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A device of the `device` commands.
struct Phone<'a> {
    server: &'a Server,
    service: String,
    identity: String,
    state: PathBuf,
    _directory: tempfile::TempDir,
}

impl<'a> Phone<'a> {
    fn enroll(server: &'a Server, identity: &str) -> Self {
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

    fn command(&self, name: &str, more: &[&str]) -> Command {
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

    fn challenge(&self, message: &str) -> String {
        text(&self.create_challenge(message, &[]), "/sid").to_owned()
    }

    /// The SID of a challenge that asks for a number, and the number that the login page shows.
    fn number_challenge(&self, digits: &str) -> (String, String) {
        let created = self.create_challenge("Log in?", &[("Details.NumberMatching", digits)]);
        let part = |pointer| text(&created, pointer).to_owned();
        (part("/sid"), part("/number_matching/number"))
    }

    fn create_challenge(&self, message: &str, more: &[(&str, &str)]) -> Value {
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

/// Runs a Python script against a fresh server. When something is not installed it says so on one line and is skipped,
/// unless `COUNTERSIGN_TEST_ALL=1`.
fn run_script(script: &str, modules: &[&str], programs: &[&str]) {
    let Some(mut command) = python_script(script, modules, programs) else {
        return;
    };
    let server = Server::start();
    let output = command
        .env("COUNTERSIGN_TEST_URL", &server.url)
        .env("COUNTERSIGN_TEST_ACCOUNT", ACCOUNT)
        .env("COUNTERSIGN_TEST_TOKEN", TOKEN)
        .env("COUNTERSIGN_TEST_LOG", &server.log)
        .env_remove("TWILIO_EDGE")
        .env_remove("TWILIO_REGION")
        .output()
        .expect("the script runs");
    assert!(
        output.status.success(),
        "{script}:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The command that runs a Python script; none, and one line, if something is not installed.
pub(crate) fn python_script(script: &str, modules: &[&str], programs: &[&str]) -> Option<Command> {
    let python = std::env::var_os("COUNTERSIGN_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python");
    let imports = Command::new(&python)
        .args(["-c", &format!("import {}", modules.join(", "))])
        .output();
    let mut missing = Vec::new();
    if !imports.is_ok_and(|output| output.status.success()) {
        missing.push("python3 with `pip install -r tests/it/python/requirements.txt` (COUNTERSIGN_TEST_PYTHON names another interpreter)".to_owned());
    }
    for program in programs {
        if Command::new(program).arg("--version").output().is_err() {
            missing.push(format!("{program} (`apt-get install {program}`)"));
        }
    }
    if !missing.is_empty() {
        report_missing(script, &missing.join(" and "));
        return None;
    }
    let mut command = Command::new(python);
    command.arg("-B").arg(directory.join(script));
    Some(command)
}

/// Says on one line what is to be installed for `script`; fails if everything is to be run.
pub(crate) fn report_missing(script: &str, what: &str) {
    let line = format!("{script} is not run: install {what}");
    assert!(
        std::env::var_os("COUNTERSIGN_TEST_ALL").is_none_or(|all| all != "1"),
        "{line}"
    );
    // Past the test harness, which shows what a passing test prints to nobody.
    writeln!(std::io::stderr().lock(), "{line}").expect("standard error");
}

fn totp(args: &[&str], input: &str) -> String {
    let mut command = countersign();
    command.arg("totp").args(args);
    let output = with_input(command, input);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

pub(crate) fn with_input(mut command: Command, input: &str) -> Output {
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = process.stdin.take().expect("piped");
    // A command that does not read its input may have closed it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    process.wait_with_output().expect("it ends")
}

fn countersign() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for name in std::env::vars_os().map(|(name, _)| name) {
        let text = name.to_string_lossy();
        if text.starts_with("COUNTERSIGN_") && !text.starts_with("COUNTERSIGN_TEST_") {
            command.env_remove(&name);
        }
    }
    command
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

fn client() -> reqwest::Client {
    // The provider of the process may be installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .tls_certs_only([])
        .build()
        .expect("an HTTP client")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "a-token-that-only-these-tests-know";
