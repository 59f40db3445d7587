//! What systemd is told, over the socket that it names.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::{Process, command};

/// A manager's side of the socket.
struct Manager(UnixDatagram);

impl Manager {
    fn listen(directory: &Path) -> Self {
        Self(UnixDatagram::bind(directory.join("notify")).unwrap())
    }

    /// What is said next within so long.
    fn next(&self, within: Duration) -> io::Result<String> {
        self.0.set_read_timeout(Some(within)).unwrap();
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes)?;
        Ok(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }

    fn wait_for(&self, said: &str) {
        let begun = Instant::now();
        while !self.next(PATIENCE).unwrap().lines().any(|line| line == said) {
            assert!(begun.elapsed() < PATIENCE, "{said}");
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn it_hears_when_the_server_serves_works_and_ends() {
    let directory = TempDir::new().unwrap();
    let manager = Manager::listen(directory.path());
    let mut serve = command(
        &directory.path().join("data"),
        &["serve", "--listen", "127.0.0.1:0"],
    );
    let key = format!("sh -c 'sleep 2; echo {}'", "ab".repeat(32));
    serve
        .args(["--master-key-command", &key])
        .env("NOTIFY_SOCKET", directory.path().join("notify"))
        .env("WATCHDOG_USEC", "1200000");
    let starting = std::thread::spawn(|| Process::begin(serve));
    // It has no key yet.
    let early = manager.next(Duration::from_secs(1));
    assert!(early.is_err(), "{early:?}");
    manager.wait_for("READY=1");
    let server = starting.join().unwrap();
    server.connect();
    let begun = Instant::now();
    for _ in 0..4 {
        manager.wait_for("WATCHDOG=1");
    }
    // Within each half of the limit; here are four of them, on a machine that others use.
    assert!(
        begun.elapsed() < Duration::from_millis(4 * 1200),
        "{:?}",
        begun.elapsed()
    );
    server.signal("TERM");
    manager.wait_for("STOPPING=1");
}

/// More time than the unit allows, if the settings have it drain for long.
#[test]
fn it_is_asked_for_more_time_while_the_server_ends() {
    let directory = TempDir::new().unwrap();
    let manager = Manager::listen(directory.path());
    let mut serve = command(
        &directory.path().join("data"),
        &["serve", "--listen", "127.0.0.1:0", "--drain-delay-seconds", "7"],
    );
    serve.env("NOTIFY_SOCKET", directory.path().join("notify"));
    let server = Process::begin(serve);
    manager.wait_for("READY=1");
    // Nothing is asked for while it serves.
    let mut said = String::new();
    while let Ok(more) = manager.next(Duration::from_secs(6)) {
        said.push_str(&more);
    }
    assert!(!said.contains("EXTEND_TIMEOUT_USEC"), "{said}");
    server.signal("TERM");
    manager.wait_for("STOPPING=1");
    for _ in 0..2 {
        manager.wait_for("EXTEND_TIMEOUT_USEC=20000000");
    }
    assert_eq!(server.wait(), Some(0));
}

/// The next start waits longer where five seconds change nothing.
#[test]
fn the_unit_waits_after_a_full_disk_and_after_nothing_else() {
    let unit = include_str!("../../../src/package/countersign.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStopPost="));
    let script = line.and_then(|line| line.strip_prefix("/bin/sh -c '"));
    let script = script.and_then(|script| script.strip_suffix('\''));
    // What systemd makes of it.
    let script = script.unwrap().replace("$$", "$");
    let directory = TempDir::new().unwrap();
    let sleep = directory.path().join("sleep");
    std::fs::write(&sleep, "#!/bin/sh\necho slept $1\n").unwrap();
    std::fs::set_permissions(&sleep, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (status, slept) in [("4", "slept 25\n"), ("1", ""), ("2", ""), ("0", ""), ("KILL", "")] {
        let ran = Command::new("/bin/sh")
            .args(["-c", &script])
            .env("PATH", directory.path())
            .env("EXIT_STATUS", status)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        assert_eq!(String::from_utf8(ran.stdout).unwrap(), slept, "{status}");
    }
}

/// The unit of the manual, as far as it can be checked where systemd does not run.
#[test]
fn systemd_takes_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        assert!(
            std::env::var_os("COUNTERSIGN_TEST_ALL").is_none(),
            "install systemd: systemd-analyze is not there"
        );
        eprintln!("not run: systemd-analyze is not there");
        return;
    }
    let directory = TempDir::new().unwrap();
    let unit = include_str!("../../../src/package/countersign.service");
    let unit = unit.replace("/usr/bin/countersign", env!("CARGO_BIN_EXE_countersign"));
    let file = directory.path().join("countersign.service");
    std::fs::write(&file, unit).unwrap();
    let checked = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(
        checked.status.success() && !said.contains("countersign"),
        "{said}"
    );
}
