//! The process that keeps a server, and outlives the test process just long enough to remove it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

use super::programs::Programs;

/// A shell that runs as the server's owner, in the cluster's directory, until it is dropped or this process is gone.
#[derive(Debug)]
pub(super) struct Keeper {
    shell: Child,
    answers: BufReader<ChildStdout>,
    /// As this process reaches it.
    directory: PathBuf,
    /// Where others see nothing, if it is a disk of its own.
    mounted_on: Option<PathBuf>,
    programs: &'static Programs,
}

impl Keeper {
    pub(super) fn new(programs: &'static Programs) -> Self {
        Self::with(programs, None)
    }

    /// One whose directory is a disk of its own, which holds so much. Needs root.
    pub(super) fn on_small_disk(programs: &'static Programs, megabytes: u32) -> Self {
        Self::with(programs, Some(megabytes))
    }

    fn with(programs: &'static Programs, megabytes: Option<u32>) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("countersign-postgres-")
            .tempdir()
            .unwrap();
        let mut command = match megabytes {
            None => Programs::command("sh"),
            // Nobody else sees the disk, and it is gone with the last who does.
            Some(megabytes) => {
                let owner = programs.owner().expect("root");
                let mut command = Programs::command("unshare");
                command.args(["--mount", "sh", "-c", SMALL_DISK, "small-disk"]);
                command.arg(directory.path());
                command.args([megabytes, owner.user, owner.group].map(|number| number.to_string()));
                command
            }
        };
        command
            .args(["-c", include_str!("keeper.sh"), "keeper"])
            .args([directory.path(), programs.directory()])
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What interrupts the tests on a terminal does not interrupt this.
            .process_group(0);
        if let Some(owner) = programs.owner() {
            chown(directory.path(), Some(owner.user), Some(owner.group)).unwrap();
            if megabytes.is_none() {
                command.uid(owner.user).gid(owner.group);
            }
        }
        let mut shell = command.spawn().unwrap();
        let answers = BufReader::new(shell.stdout.take().unwrap());
        // From here on the shell removes it.
        let directory = directory.keep();
        let mut keeper = Self {
            directory: match megabytes {
                None => directory.clone(),
                Some(_) => format!("/proc/{}/root{}", shell.id(), directory.display()).into(),
            },
            shell,
            answers,
            mounted_on: megabytes.map(|_| directory),
            programs,
        };
        // Once it answers, the disk is there.
        keeper.run("true");
        keeper
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a file that the owner alone can read.
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.directory.join(path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        if let Some(owner) = self.programs.owner() {
            chown(&path, Some(owner.user), Some(owner.group)).unwrap();
        }
    }

    /// Runs a command of the shell; on failure what it said, with the end of the server's log.
    pub(super) fn attempt(&mut self, command: &str) -> Result<(), String> {
        assert!(!command.contains('\n'), "one line is one command: {command}");
        let orders = self.shell.stdin.as_mut().unwrap();
        writeln!(orders, "{command}").unwrap();
        let mut status = String::new();
        self.answers.read_line(&mut status).unwrap();
        if status.trim() == "0" {
            return Ok(());
        }
        let text = |name: &str| fs::read(self.directory.join(name)).unwrap_or_default();
        let (output, log) = (text("output"), text("log"));
        let log = &log[log.len().saturating_sub(4000)..];
        Err(format!(
            "{command}: {}{}\n{}",
            status.trim(),
            String::from_utf8_lossy(&output),
            String::from_utf8_lossy(log)
        ))
    }

    pub(super) fn run(&mut self, command: &str) {
        if let Err(problem) = self.attempt(command) {
            panic!("{problem}");
        }
    }
}

impl Drop for Keeper {
    /// Waits until the server and its directory are gone.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _status = self.shell.wait();
        if let Some(directory) = &self.mounted_on {
            let _empty = fs::remove_dir(directory);
        }
    }
}

/// Mounts the disk on `$1`, of `$2` megabytes that belong to `$3:$4`, and runs the rest as that user.
const SMALL_DISK: &str = r#"
    mount -t tmpfs -o "size=$2m,uid=$3,gid=$4,mode=700" tmpfs "$1" && cd "$1" || exit
    user=$3 group=$4
    shift 4
    exec setpriv --reuid "$user" --regid "$group" --clear-groups sh "$@"
"#;

/// The word as the shell takes it for itself.
pub(super) fn quoted(word: impl AsRef<Path>) -> String {
    format!("'{}'", word.as_ref().to_str().unwrap().replace('\'', r"'\''"))
}
