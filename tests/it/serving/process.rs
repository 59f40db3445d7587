//! The real binary.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::store::keys::{self, KeyParts};
use serde_json::Value;

use crate::doubles::watch;

/// A running `countersign serve`, ended with the test.
pub(crate) struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: mpsc::Receiver<String>,
    /// Reads the log to its end.
    logged: Option<JoinHandle<()>>,
    /// The first line, behind `listening on `.
    pub(crate) url: String,
}

impl Process {
    /// Serves `data` on a free port.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[], &[])
    }

    pub(crate) fn start_with(data: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let server = Self::start_on("127.0.0.1:0", data, arguments, variables);
        assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
        server
    }

    /// Serves where `listen` says.
    pub(crate) fn start_on(
        listen: &str,
        data: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = command(data, &["serve", "--listen", listen]);
        command.args(arguments).envs(variables.iter().copied());
        Self::begin(command)
    }

    /// Runs a command that serves.
    pub(crate) fn begin(mut command: Command) -> Self {
        if command.get_envs().all(|(name, _)| name != "COUNTERSIGN_LOG") {
            // The finest lines are looked through for secrets, unless the test is about others.
            command.env("COUNTERSIGN_LOG", "trace");
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (lines, log) = mpsc::channel();
        let logged = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                watch::look("the log of the binary", &line);
                // Somebody may wait for it.
                let _nobody = lines.send(line);
            }
        });
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        let Some(url) = first.trim_end().strip_prefix("listening on ") else {
            let _ended = child.wait();
            panic!("began with {first:?}; log: {:?}", log.iter().collect::<Vec<_>>());
        };
        let url = url.to_owned();
        Self {
            child,
            stdout,
            log,
            logged: Some(logged),
            url,
        }
    }

    /// What follows the first line, up to the line that is the `last`.
    pub(crate) fn read_lines_until(&mut self, last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| last(line)) {
            let mut line = String::new();
            assert!(
                self.stdout.read_line(&mut line).unwrap() > 0,
                "ended after {lines:?}"
            );
            lines.push(line.trim_end().to_owned());
        }
        lines
    }

    /// The first account, from what is printed when it was created.
    pub(crate) fn credentials(&mut self) -> (String, String) {
        let lines = self.read_lines_until(|line| line.contains("Auth token  "));
        let value = |name| {
            lines
                .iter()
                .find_map(|line| line.trim().strip_prefix(name))
                .unwrap()
                .trim()
                .to_owned()
        };
        let token = value("Auth token");
        watch::secret(&token);
        (value("Account SID"), token)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(&self.url)
    }

    /// The answer to a GET of `path`.
    pub(crate) fn get(&self, path: &str) -> String {
        get(&self.url, path)
    }

    /// Waits for a line of the log.
    pub(crate) fn wait_for_log(&self, part: &str) -> String {
        self.log_until(part).pop().unwrap()
    }

    /// The log up to the line that holds `part`.
    pub(crate) fn log_until(&self, part: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains(part)) {
            lines.push(self.log.recv_timeout(PATIENCE).expect("the line is logged"));
        }
        lines
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").arg("-c").arg(kill).status().unwrap().success());
    }

    /// The most memory that it has had resident so far, in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The memory that it has resident now, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    fn status(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        1024 * kilobytes.parse::<u64>().unwrap()
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end; the exit status.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Waits for the end; what was written to standard output behind the first line.
    pub(crate) fn rest_after_sigterm(mut self) -> String {
        self.signal("TERM");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
        if let Some(logged) = self.logged.take() {
            logged.join().unwrap();
        }
    }
}

/// A command of the binary about the data directory `data`.
pub(crate) fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = program(arguments);
    command.arg("--data").arg(data);
    command
}

/// A command of the binary, with these arguments alone.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COUNTERSIGN_"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
pub(crate) fn run(data: &Path, arguments: &[&str]) -> Output {
    command(data, arguments).output().unwrap()
}

/// What a command that succeeds writes.
pub(crate) fn stdout_of(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line that a command writes that fails with `status`.
pub(crate) fn complaint(output: &Output, status: i32) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert_eq!((text.lines().count(), output.stdout.len()), (1, 0), "{text}");
    text.trim_end().strip_prefix("countersign: ").unwrap().to_owned()
}

pub(crate) fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(crate) fn get(url: &str, path: &str) -> String {
    let mut stream = connect(url);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of an `Authorization` header.
pub(crate) fn basic(user: &str, password: &str) -> String {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    watch::secret(password);
    watch::secret(&pair);
    format!("Basic {pair}")
}

const PATIENCE: Duration = Duration::from_secs(20);

/// The entries of an export, without those that commands that copy a store write themselves: in the audit log, and the epoch that
/// an import begins.
pub(super) fn lasting(export: &str) -> Vec<&str> {
    let lasts = |line: &&str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let key = line["key"].as_str().map(|key| STANDARD.decode(key).unwrap());
        let is_ours = |key: &Vec<u8>| {
            key == keys::store_epoch().bytes()
                || matches!(KeyParts::parse(key), Some(KeyParts::AuditEntry(..)))
        };
        key.is_some_and(|key| !is_ours(&key))
    };
    export.lines().filter(lasts).collect()
}
