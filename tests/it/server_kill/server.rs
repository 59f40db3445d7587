//! The server as a process, and its store when no process has it.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;

use countersign::app::App;
use countersign::config::SECTIONS;
use countersign::crypto::master_key::MasterKey;
use countersign::domain::entropy::SystemEntropy;
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::flows::{self, store_format};
use countersign::store::Store;
use countersign::store::sled::{Options, SledStore};

use super::client::Client;
use crate::doubles::{TestParts, watch};
use crate::support::look_through;

/// A server that listens.
pub(crate) struct Server {
    pub(crate) address: String,
    /// Kept open: whoever writes to a pipe that nobody reads is ended.
    _stdout: BufReader<ChildStdout>,
    _process: Process,
}

impl Server {
    /// Starts a server on `directory`; it must get as far as to listen.
    pub(crate) fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[] as &[&str], &[])
    }

    /// The same with more arguments and variables.
    pub(crate) fn start_with(
        directory: &Path,
        arguments: &[impl AsRef<OsStr>],
        variables: &[(&str, String)],
    ) -> Self {
        let mut process = spawn_with(directory, arguments, variables);
        let mut first = String::new();
        let mut stdout = BufReader::new(process.child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        let Some(address) = first.trim_end().strip_prefix("listening on http://") else {
            panic!(
                "it says {first:?}; log:\n{}",
                fs::read_to_string(directory.join(LOG)).unwrap()
            );
        };
        Self {
            address: address.to_owned(),
            _stdout: stdout,
            _process: process,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.address, CREDENTIALS)
    }
}

/// A process that is killed (with SIGKILL) when it is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        look_through(&self.log);
    }
}

/// Starts a server and does not wait for it.
pub(crate) fn spawn(directory: &Path) -> Process {
    spawn_with(directory, &[] as &[&str], &[])
}

/// The same with more arguments and variables.
pub(crate) fn spawn_with(
    directory: &Path,
    arguments: &[impl AsRef<OsStr>],
    variables: &[(&str, String)],
) -> Process {
    let log = directory.join(LOG);
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    // What is set for the tests is no setting of the server.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COUNTERSIGN_")) {
        command.env_remove(name);
    }
    let child = command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(directory.join(DATA))
        .args(arguments)
        .env("COUNTERSIGN_BOOTSTRAP", CREDENTIALS)
        .env("COUNTERSIGN_LOG", "trace")
        .envs(receivers_allowed())
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    watch::secret(TOKEN);
    Process { child, log }
}

/// Receivers of events are on this machine, which the operator has to allow, if this program can be told so.
fn receivers_allowed() -> Option<(&'static str, &'static str)> {
    const ALLOW: &str = "COUNTERSIGN_OUTBOUND_ALLOW";
    let mut settings = SECTIONS.iter().flat_map(|section| section.settings);
    let known = settings.any(|setting| setting.variable() == ALLOW);
    known.then_some((ALLOW, "127.0.0.0/8"))
}

/// What `countersign` says to this command about the data directory of a server that does not run.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> String {
    let output = output(directory, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same, whether it goes well or not.
pub(crate) fn output(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COUNTERSIGN_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .arg("--data")
        .arg(directory.join(DATA))
        .output()
        .unwrap()
}

/// Begins what `countersign` does at this command, which is killed when what is returned is dropped.
pub(crate) fn begin(directory: &Path, arguments: &[&str]) -> Process {
    let log = directory.join("command.log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COUNTERSIGN_")) {
        command.env_remove(name);
    }
    let child = command
        .args(arguments)
        .arg("--data")
        .arg(directory.join(DATA))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    Process { child, log }
}

/// Opens the store that a killed server left, and checks that everything in it fits together.
pub(crate) fn check_store(directory: &Path) {
    within(&directory.join(DATA), async |app| {
        let report = flows::check_store::check_store(app).await.unwrap();
        assert!(report.is_healthy(), "{report}");
    });
}

/// Does something with the data directory of a server that does not run, as it would.
pub(crate) fn within(data: &Path, work: impl AsyncFnOnce(&App)) {
    let store = Options::new(data.join("store"));
    within_store(data, async || Arc::new(SledStore::open(&store).unwrap()), work);
}

/// Does something with a store as a server would that has the master key of this data directory.
pub(crate) fn within_store<S: Store + 'static>(
    data: &Path,
    open: impl AsyncFnOnce() -> Arc<S>,
    work: impl AsyncFnOnce(&App),
) {
    let master = MasterKey::parse(&fs::read_to_string(data.join("master.key")).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open().await;
        let now = SystemClock.now();
        let keys = store_format::open_keys(store.as_ref(), &master, &SystemEntropy, now).await;
        let app = TestParts {
            store: store.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            vault: Arc::new(keys.unwrap().vault),
            ..TestParts::default()
        }
        .wire();
        work(&app).await;
        store.close().await.unwrap();
    });
}

/// Of the account that the first start makes.
pub(crate) const CREDENTIALS: &str = "AC0123456789abcdef0123456789abcdef:token-of-the-killed-server";
pub(crate) const TOKEN: &str = "token-of-the-killed-server";
pub(crate) const DATA: &str = "data";
const LOG: &str = "log";
