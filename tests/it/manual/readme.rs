//! The README word for word: in an empty folder with a copy of the tree, all its commands from the first line to the last. Its Python
//! runs in `python`, for it needs what is not ours.

use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::page::{Block, Treatment, documents};
use super::server::clean;
use super::shell::{answers, marked, programs};

#[test]
fn the_readme_runs_from_its_first_line_to_its_last() {
    programs(&["bash", "curl", "tee"]);
    let readme = documents().remove(0);
    let blocks = readme.blocks().into_iter();
    let blocks: Vec<_> = blocks.filter(|block| block.language == "sh").collect();
    let place = Place::with_a_copy_of_the_tree();
    let mut running = None;
    let (first, rest) = blocks.split_first().unwrap();

    // "serve on 127.0.0.1:8080, data in ./countersign-data", and "everything that has to hold", of which this is a part.
    let lines: Vec<_> = first.text.lines().collect();
    assert!(
        matches!(lines[..], [run, test] if run.starts_with("cargo run ") && test.starts_with("cargo test ")),
        "{lines:?}"
    );
    let served = place.serve(lines[0], "first.log");
    assert!(place.directory.path().join("countersign-data").is_dir());
    // "three `curl` lines that work when pasted"
    let printed = place.read("first.log");
    let pasted: Vec<_> = printed.lines().filter(|line| line.contains("curl ")).collect();
    assert_eq!(pasted.len(), 3, "{printed}");
    let answered = place.run(&format!("set -e\n{}\n", pasted.join("\n")), "pasted");
    assert!(answered.contains(r#""status":"verified""#), "{answered}");
    drop(served);
    place.run(lines[1], "tested");

    let mut script = String::from("set -euo pipefail\n");
    let mut shown: Vec<Block> = Vec::new();
    for block in rest {
        match block.treatment {
            // "Build it and start it."
            Treatment::Leave(_) => {
                assert!(running.is_none(), "line {} starts another server", block.line);
                running = Some(place.serve(&block.text, "countersign.log"));
            }
            Treatment::Run | Treatment::Serve => {
                script.push_str(&marked(shown.len(), &block.text));
                shown.push(block.clone());
            }
        }
    }
    assert!(running.is_some() && shown.len() >= 4, "{}", shown.len());
    let printed = place.run(&script, "second");
    answers(&readme, &shown, &printed).unwrap_or_else(|failure| panic!("{failure}"));
    drop(running);
}

/// Where somebody tries the README.
struct Place {
    directory: TempDir,
    /// What `127.0.0.1:8080` is here: other tests have servers, too.
    address: String,
}

/// A server that is stopped when it is dropped, with the shell that it was started from.
struct Running(Child);

impl Place {
    fn with_a_copy_of_the_tree() -> Self {
        let directory = TempDir::new().unwrap();
        for name in ["Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "src"] {
            copy(&super::root().join(name), &directory.path().join(name));
        }
        // What building would make is there already.
        let bin = directory.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let cargo = format!(
            "#!/bin/sh\nset -e\nmkdir -p target/release\nln -sf {} target/release/countersign\ncase $1 in\nbuild|test) ;;\n\
             run) exec target/release/countersign ;;\n*) exit 101 ;;\nesac\n",
            env!("CARGO_BIN_EXE_countersign")
        );
        fs::write(bin.join("cargo"), cargo).unwrap();
        fs::set_permissions(bin.join("cargo"), Permissions::from_mode(0o755)).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        Self { directory, address }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// A shell in that place, which finds nothing of ours but what it makes.
    fn shell(&self, script: &str) -> Command {
        let directory = self.directory.path();
        let mut path = directory.join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut shell = clean(Command::new("bash"), directory);
        shell
            .env("PATH", path)
            .args(["-c", &script.replace("127.0.0.1:8080", &self.address)]);
        shell
    }

    /// Runs what ends by itself; what it printed.
    fn run(&self, script: &str, name: &str) -> String {
        let (out, err) = (format!("{name}.out"), format!("{name}.err"));
        let file = |name: &str| File::create(self.directory.path().join(name)).unwrap();
        let ended = self.shell(script).stdout(file(&out)).stderr(file(&err)).status();
        let ended = ended.unwrap();
        let (out, err) = (self.read(&out), self.read(&err));
        assert!(ended.success(), "{ended}\n{out}\n{err}");
        out
    }

    /// Starts what does not end, and waits until it serves.
    fn serve(&self, script: &str, log: &str) -> Running {
        let log = self.directory.path().join(log);
        // As `tee` does where the README has it; a log of another test's server is none of its own.
        let out = if script.contains("| tee ") {
            Stdio::null()
        } else {
            Stdio::from(File::create(&log).unwrap())
        };
        let mut running = Running(
            self.shell(script)
                .env("COUNTERSIGN_LISTEN", &self.address)
                .stdout(out)
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()
                .unwrap(),
        );
        let begun = Instant::now();
        let serves = || fs::read_to_string(&log).is_ok_and(|said| said.contains("listening on "));
        while !serves() {
            let ended = running.0.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "{script}: {ended:?} {:?}",
                fs::read_to_string(&log)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.0.id().cast_signed()) {
            let _ended_already = kill_process_group(group, Signal::TERM);
        }
        let _reaped = self.0.wait();
    }
}

const PATIENCE: Duration = Duration::from_mins(1);

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}
