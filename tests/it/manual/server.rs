//! A server beside the commands of a page, as the manual tells to start it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::serving::process::get;
use crate::support::credentials::{p256, service_account};
use crate::support::look_through;

pub(super) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub(super) const TOKEN: &str = "a-token-that-only-these-tests-know";

/// A server, and the directory that it was started in.
pub(super) struct Server {
    process: Child,
    pub(super) directory: TempDir,
    /// Its address in texts is `127.0.0.1:8080`.
    address: String,
    /// Its address in texts is `127.0.0.1:9090`.
    ops: String,
}

impl Server {
    pub(super) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let log = directory.path().join("countersign.log");
        let mut process = countersign(directory.path())
            .env("COUNTERSIGN_BOOTSTRAP", format!("{ACCOUNT}:{TOKEN}"))
            .env("COUNTERSIGN_LOG", "trace")
            .env("COUNTERSIGN_LISTEN", "127.0.0.1:0")
            .env("COUNTERSIGN_OPS_LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let address =
            listening(&mut process).unwrap_or_else(|| panic!("{}", fs::read_to_string(&log).unwrap()));
        let ops = ops_listener(&log);
        Self {
            process,
            directory,
            address,
            ops,
        }
    }

    /// What `/metrics` answers once somebody has asked something.
    pub(super) fn metrics(&self) -> String {
        get(&format!("http://{}", self.address), "/");
        get(&format!("http://{}", self.ops), "/metrics")
    }

    /// The text with the addresses that this server has.
    pub(super) fn addressed(&self, text: &str) -> String {
        text.replace("127.0.0.1:8080", &self.address)
            .replace("127.0.0.1:9090", &self.ops)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
        look_through(&self.directory.path().join("countersign.log"));
    }
}

/// The binary, to be run in `directory`, with none of our variables.
pub(super) fn countersign(directory: &Path) -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_countersign")), directory)
}

/// The command in `directory`, with the binary on its path and none of our variables.
pub(super) fn clean(mut command: Command, directory: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_countersign"));
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("COUNTERSIGN_") || text.starts_with("TWILIO_") || text == "PAGER" {
            command.env_remove(&name);
        }
    }
    command
        .env("PATH", path)
        .env("HOME", directory)
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

/// Where a server listens, by what it prints first. None if it ends before it says so.
pub(super) fn listening(process: &mut Child) -> Option<String> {
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut printed = lines.by_ref().map_while(Result::ok);
    let line = printed.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned))?;
    // Whatever else it prints must not fill the pipe.
    thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some(
        line.trim_start_matches("http://")
            .trim_start_matches("https://")
            .to_owned(),
    )
}

/// What Apple and Google would hand out.
pub(super) fn put_keys_of_providers(directory: &Path) {
    fs::write(directory.join("AuthKey_ABC123DEFG.p8"), &p256().pem).unwrap();
    fs::write(
        directory.join("service-account.json"),
        service_account().to_string(),
    )
    .unwrap();
}

/// Where the paths of operators are served, as the log says it: a moment after it was so.
pub(crate) fn ops_listener(log: &Path) -> String {
    let begin = Instant::now();
    loop {
        let text = fs::read_to_string(log).unwrap();
        let said = text.split("/metrics on http://").nth(1);
        if let Some((address, _)) = said.and_then(|rest| rest.split_once('\n')) {
            return address.to_owned();
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{text}");
        thread::sleep(Duration::from_millis(5));
    }
}
