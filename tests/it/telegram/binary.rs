//! The binary: its listener, and the key that clients are given.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::server::{key, key_text};
use crate::serving::process::{Process, command};

/// What `countersign telegram key` prints.
fn printed(data: &TempDir, file: Option<&str>) -> Result<String, String> {
    let mut command = command(data.path(), &["telegram", "key"]);
    command.envs(file.map(|file| ("COUNTERSIGN_TELEGRAM_RSA_KEY_FILE", file)));
    let output = command.output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn the_first_start_makes_a_key_which_later_ones_and_commands_know() {
    let data = TempDir::new().unwrap();
    let absent = printed(&data, None).unwrap_err();
    assert!(absent.contains("telegram_listen"), "{absent}");
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut server = Process::start_with(data.path(), &["--telegram-listen", "127.0.0.1:0"], &[]);
        let lines = server.read_lines_until(|line| line.starts_with("listening on mtproto://127.0.0.1:"));
        assert_eq!(lines.len(), 1, "it is the second line");
        keys.push(printed(&data, None).unwrap());
        let file = data.path().join("telegram.pem");
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(
        keys[0].starts_with("-----BEGIN RSA PUBLIC KEY-----\n"),
        "{}",
        keys[0]
    );
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn a_key_elsewhere_must_be_there() {
    let data = TempDir::new().unwrap();
    let file = data.path().join("other.pem");
    let name = file.to_str().unwrap();
    let absent = printed(&data, Some(name)).unwrap_err();
    assert!(absent.contains("other.pem"), "{absent}");
    fs::write(&file, key_text()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(printed(&data, Some(name)).unwrap(), key().public_pem());
}

#[test]
fn whoever_starts_it_is_told_that_no_account_is_named() {
    let data = TempDir::new().unwrap();
    let listen = ["--telegram-listen", "127.0.0.1:0"];
    let only = Process::start_with(data.path(), &listen, &[]);
    let log = only.log_until("codes are written to this log").join("\n");
    assert!(!log.contains("telegram_account"), "{log}");
    drop(only);
    let created = command(data.path(), &["account", "create", "--name", "Owl Shop"])
        .output()
        .unwrap();
    assert!(created.status.success());
    let created = String::from_utf8(created.stdout).unwrap();
    let account = &created[created.find("AC").unwrap()..][..34];
    let several = Process::start_with(data.path(), &listen, &[]);
    several.wait_for_log("say in telegram_account which one clients log in for");
    drop(several);
    let named = Process::start_with(data.path(), &listen, &[("COUNTERSIGN_TELEGRAM_ACCOUNT", account)]);
    let log = named.log_until("codes are written to this log").join("\n");
    assert!(!log.contains("telegram_account"), "{log}");
}
