//! The master key from a command: whatever needs the key asks it, and whatever else it does refuses the start.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::process::{Process, command, complaint, run};
use crate::doubles::watch;

const KEY: &str = "yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc=";

/// Runs a command that gets its key from `line`.
fn run_with(data: &Path, arguments: &[&str], line: &str) -> Output {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--master-key-command", line]);
    run(data, &arguments)
}

/// What the program at `path` would do, and a note of each time that it is run.
fn script(path: &Path, text: &str) -> String {
    fs::write(
        path,
        format!("#!/bin/sh\necho run >>{}.runs\n{text}\n", path.display()),
    )
    .unwrap();
    format!("sh {}", path.display())
}

fn runs(path: &Path) -> usize {
    let runs = fs::read_to_string(format!("{}.runs", path.display())).unwrap_or_default();
    runs.lines().count()
}

#[test]
fn whatever_needs_the_key_asks_the_command_once() {
    watch::secret(KEY);
    let directory = TempDir::new().unwrap();
    let (data, restored) = (directory.path().join("data"), directory.path().join("restored"));
    let path = directory.path().join("kms");
    let line = script(&path, &format!("echo {KEY}"));
    let server = Process::start_with(&data, &["--master-key-command", &line], &[]);
    assert_eq!(runs(&path), 1);
    assert!(!data.join("master.key").exists());
    let backup = directory.path().join("backup");
    let to = backup.to_str().unwrap();
    for (arguments, asks) in [
        (&["backup", "create", "--to", to][..], 1),
        // The running server has the key.
        (&["account", "create"], 0),
        (&["store", "export", "--to", "-"], 0),
        (&["backup", "verify", "--from", to], 1),
    ] {
        let before = runs(&path);
        let done = if arguments[0] == "account" {
            run(&data, arguments)
        } else {
            run_with(&data, arguments, &line)
        };
        assert!(done.status.success(), "{arguments:?}: {done:?}");
        assert_eq!(runs(&path) - before, asks, "{arguments:?}");
    }
    assert!(server.rest_after_sigterm().contains("Auth token"));
    for (data, arguments) in [
        (&data, &["store", "check"][..]),
        (&data, &["store", "export", "--to", "-"]),
        (&data, &["backup", "create", "--to", "-"]),
        (&restored, &["backup", "restore", "--from", to]),
    ] {
        let before = runs(&path);
        let done = run_with(data, arguments, &line);
        assert!(done.status.success(), "{arguments:?}: {done:?}");
        assert_eq!(runs(&path) - before, 1, "{arguments:?}");
    }
    // From the environment, as from the file.
    let mut checked = command(&restored, &["store", "check"]);
    assert!(
        checked
            .env("COUNTERSIGN_MASTER_KEY_COMMAND", &line)
            .status()
            .unwrap()
            .success()
    );
    // The key of another store is refused as it is from a file.
    let other = script(&path, &format!("echo {}", "07".repeat(32)));
    let refused = complaint(&run_with(&data, &["store", "check"], &other), 1);
    assert!(
        refused.contains("its keys are sealed under another master key"),
        "{refused}"
    );
}

#[test]
fn a_command_that_fails_refuses_the_start_and_says_why() {
    watch::secret(KEY);
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    for (line, wanted) in [
        (
            "sh -c 'echo AccessDenied >&2; exit 254'",
            "failed (exit status: 254); it said: AccessDenied",
        ),
        ("true", "printed nothing"),
        ("sh -c 'yes | head -c 100000'", "prints more than 4096 bytes"),
        ("echo hunter2", "bytes that are no master key"),
        ("/nowhere/kms decrypt", "cannot be started"),
    ] {
        let refused = complaint(&run_with(&data, &["serve"], line), 1);
        assert!(
            refused.contains(wanted) && !refused.contains("hunter2"),
            "{line}: {refused}"
        );
        assert!(
            !data.join("store").exists(),
            "{line}: nothing is begun without its key"
        );
    }
    let file = directory.path().join("key");
    let file = file.to_str().unwrap();
    let two = ["serve", "--master-key-command", "true", "--master-key-file", file];
    let refused = complaint(&run(&data, &two), 2);
    assert!(
        refused.starts_with("master_key_command must not be given together with master_key_file"),
        "{refused}"
    );
    let mut two = command(&data, &["serve", "--master-key-command", "true"]);
    let refused = complaint(&two.env("COUNTERSIGN_MASTER_KEY", KEY).output().unwrap(), 2);
    assert!(
        refused.contains("together with COUNTERSIGN_MASTER_KEY"),
        "{refused}"
    );
}

/// Nothing of what only the server needs: neither its secrets nor its input, nor its place in its group.
#[test]
fn the_command_inherits_no_secret_and_no_input() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let seen = directory.path().join("seen");
    let text = format!(
        "env >{0}; wc -c >>{0}; ls -l /proc/self/fd >>{0}; cut -d' ' -f5 /proc/$$/stat >>{0}; echo $$ >>{0}; echo {KEY}",
        seen.display()
    );
    let line = script(&directory.path().join("kms"), &text);
    let mut created = command(&data, &["account", "create"]);
    created
        .env("COUNTERSIGN_MASTER_KEY_COMMAND", &line)
        .env(
            "COUNTERSIGN_BOOTSTRAP",
            "AC0123456789abcdef0123456789abcdef:a-token-of-our-own",
        )
        .env("AWS_REGION", "eu-central-1");
    let created = created.output().unwrap();
    assert!(created.status.success(), "{created:?}");
    let seen = fs::read_to_string(&seen).unwrap();
    let lines: Vec<_> = seen.lines().map(str::trim).collect();
    assert!(
        seen.contains("AWS_REGION=eu-central-1") && !seen.contains("COUNTERSIGN_"),
        "{seen}"
    );
    assert!(
        !seen.contains("a-token-of-our-own") && lines.contains(&"0"),
        "{seen}"
    );
    assert!(
        !seen.contains(data.to_str().unwrap()),
        "no file of the server's is open in it: {seen}"
    );
    let [.., group, own] = lines[..] else {
        panic!("{seen}")
    };
    assert_eq!(group, own, "it leads a group of its own");
}

/// A server that is told to stop while the command hangs ends at once, with the command and its children, whatever these ignore.
#[test]
fn a_server_that_waits_for_its_key_can_be_stopped() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let (fifo, path) = (directory.path().join("fifo"), directory.path().join("kms"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // Whoever of them lives holds the pipe open.
    let text = format!(
        "trap '' TERM INT\nexec 9>{}\nsleep 600 &\necho ready >&9\nsleep 600",
        fifo.display()
    );
    let line = script(&path, &text);
    let mut server = command(&data, &["serve", "--master-key-command", &line]);
    let server = server.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut held = BufReader::new(File::open(&fifo).unwrap());
    let mut ready = String::new();
    held.read_line(&mut ready).unwrap();
    let kill = format!("kill -TERM {}", server.id());
    assert!(Command::new("sh").arg("-c").arg(kill).status().unwrap().success());
    let ended = server.wait_with_output().unwrap();
    let line = complaint(&ended, 1);
    assert!(
        line.contains("was ended, because the server was told to stop"),
        "{line}"
    );
    assert_eq!(
        held.read_to_string(&mut ready).unwrap(),
        0,
        "all of them are gone"
    );
}

/// A crash leaves nothing of the key in a file, and no process of the same user looks into this one; unless a developer wants it.
#[test]
fn whatever_has_the_key_leaves_no_core_dump() {
    let directory = TempDir::new().unwrap();
    let (data, seen) = (directory.path().join("data"), directory.path().join("seen"));
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // The command's parent is who asked for the key. What is in `/proc` of a process that cannot be dumped belongs to root.
    let text = format!(
        "grep '^Max core' /proc/$PPID/limits >{0}; stat -c 'owner %u' /proc/$PPID/environ >>{0}; echo {KEY}",
        seen.display()
    );
    let line = format!("sh -c {}", quoted(&text));
    for wanted in [false, true] {
        // The test may be root, from whom nothing can be kept.
        let program = env!("CARGO_BIN_EXE_countersign");
        let mut created = Command::new(program);
        created
            .args(["account", "create", "--data", data.to_str().unwrap()])
            .args(["--master-key-command", &line])
            .env("COUNTERSIGN_CORE_DUMPS", if wanted { "1" } else { "" });
        let uid = fs::metadata("/proc/self").unwrap().uid();
        let is_other = uid == 0 && may_run(program);
        if is_other {
            created.uid(NOBODY).gid(NOBODY);
        }
        let created = created.output().unwrap();
        assert!(created.status.success(), "{created:?}");
        let seen = fs::read_to_string(&seen).unwrap();
        let (limits, owner) = seen.split_once("owner ").unwrap();
        let ours = fs::read_to_string("/proc/self/limits").unwrap();
        let ours = ours.lines().find(|line| line.starts_with("Max core")).unwrap();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let none = ["1", "1"].map(str::to_owned).to_vec();
        assert_eq!(
            words(limits)[4..6],
            if wanted { words(ours)[4..6].to_vec() } else { none },
            "{seen}"
        );
        let own = if is_other { NOBODY } else { uid };
        assert_eq!(owner.trim(), if wanted { own } else { 0 }.to_string(), "{seen}");
        fs::remove_dir_all(&data).unwrap();
    }
}

/// Whether somebody without any rights can run it, wherever it was built.
fn may_run(program: &str) -> bool {
    let mut version = Command::new(program);
    version.arg("--version").uid(NOBODY).gid(NOBODY);
    version.output().is_ok_and(|output| output.status.success())
}

/// One word of a command line.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

const NOBODY: u32 = 65534;

/// A service manager or a shell may have it started with the signal ignored: then nobody learns how a child has ended. It is found
/// out at once, and says what to do.
#[test]
fn a_process_that_cannot_learn_how_its_children_end_says_so_at_once() {
    watch::secret(KEY);
    let directory = TempDir::new().unwrap();
    let line = script(&directory.path().join("kms"), &format!("echo {KEY}"));
    let data = directory.path().join("data");
    assert!(run_with(&data, &["account", "create"], &line).status.success());
    let started = command(&data, &["account", "list", "--master-key-command", &line]);
    let began = std::time::Instant::now();
    let output = Command::new("perl")
        .args(["-e", "$SIG{CHLD} = 'IGNORE'; exec @ARGV"])
        .arg(started.get_program())
        .args(started.get_args())
        .output()
        .unwrap();
    let refused = complaint(&output, 1);
    assert!(
        refused.contains("started with the signal CHLD ignored"),
        "{refused}"
    );
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}
