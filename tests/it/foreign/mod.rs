//! Clients that share no code with this server, and the commands that play clients, against the real binary.

mod clients;
mod commands;
mod cost;
mod device;
mod fill;
mod programs;
mod raw;
mod watch;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

pub(crate) use self::programs::{node, python, python_with_vonage, require};

/// The binary under test, serving an empty store; it is killed when this is dropped.
struct Server {
    process: Child,
    url: String,
    /// What it logs, codes included: nothing is configured to send them.
    log: PathBuf,
    data: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::start_with(&[("COUNTERSIGN_LOG", "trace")])
    }

    /// One as the page on performance wants it: it says little, and sends as many codes as anybody likes.
    fn start_for_load() -> Self {
        Self::start_with(&[
            ("COUNTERSIGN_LOG", "warn"),
            ("COUNTERSIGN_CODES_SENDS_PER_PREFIX_PER_HOUR", "none"),
            ("COUNTERSIGN_CODES_SENDS_PER_PREFIX_PER_DAY", "none"),
        ])
    }

    fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary directory"), variables)
    }

    /// With the data directory `data` in this one.
    fn start_in(data: tempfile::TempDir, variables: &[(&str, &str)]) -> Self {
        let log = data.path().join("log");
        let mut process = countersign()
            .arg("serve")
            .arg("--data")
            .arg(data.path().join("data"))
            .args(["--listen", "127.0.0.1:0"])
            .env("COUNTERSIGN_BOOTSTRAP", format!("{ACCOUNT}:{TOKEN}"))
            // The libraries' own examples write in its name.
            .env("COUNTERSIGN_CODES_EMAIL_FROM", "foo@example.com")
            .envs(variables.iter().copied())
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
            data,
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

    /// What callers of Signal's registration service show.
    fn new_signal_token(&self) -> String {
        let output = countersign()
            .args(["token", "create", "--signal", "--data"])
            .arg(self.data.path().join("data"))
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
        let token = String::from_utf8(output.stdout).expect("text").trim().to_owned();
        crate::doubles::watch::secret(&token);
        token
    }

    fn pid(&self) -> String {
        self.process.id().to_string()
    }

    fn bench(&self, command: &str, more: &[&str]) -> Value {
        self.bench_as(ACCOUNT_AND_TOKEN, command, more)
    }

    /// How many services the account has.
    fn services(&self) -> usize {
        self.get("Services")["services"].as_array().expect("a list").len()
    }

    fn bench_as(&self, credentials: &str, command: &str, more: &[&str]) -> Value {
        let output = self.bench_output(credentials, command, more);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    fn bench_output(&self, credentials: &str, command: &str, more: &[&str]) -> Output {
        countersign()
            .args(["bench", command, "--url", &self.url])
            .args(["--connections", "8", "--seconds", "2", "--json"])
            .args(more)
            .env("COUNTERSIGN_ACCOUNT", credentials)
            .output()
            .expect("the benchmark runs")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is gone already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
        crate::support::look_through(&self.log);
    }
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
const ACCOUNT_AND_TOKEN: &str = "AC0123456789abcdef0123456789abcdef:a-token-that-only-these-tests-know";
