//! Accounts and keys, with and without a running server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, complaint, lasting, run, stdout_of};

fn json_of(data: &Path, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    serde_json::from_str(&stdout_of(data, &arguments)).unwrap()
}

/// The same commands do the same in both ways.
fn administer(data: &Path) {
    let account = json_of(data, &["account", "create", "--name", "Shop"]);
    let sid = account["sid"].as_str().unwrap();
    assert_eq!(account["secret"].as_str().unwrap().len(), 32);
    let key = json_of(data, &["key", "create", sid, "--name", "CI"]);
    let key_sid = key["sid"].as_str().unwrap();
    assert!(key_sid.starts_with("SK") && key["account_sid"] == sid, "{key}");
    let keys = json_of(data, &["key", "list", sid]);
    assert_eq!(
        (keys[0]["sid"].as_str(), keys[0]["friendly_name"].as_str()),
        (Some(key_sid), Some("CI"))
    );
    assert_eq!(
        stdout_of(data, &["key", "revoke", key_sid]),
        format!("revoked {key_sid}\n")
    );
    assert_eq!(json_of(data, &["key", "list", sid]), serde_json::json!([]));

    let rotated = json_of(data, &["account", "rotate-token", sid]);
    assert_ne!(rotated["secret"], account["secret"]);
    let signing = json_of(
        data,
        &["account", "rotate-webhook-secret", sid, "--overlap", "2d"],
    );
    let secret = signing["webhook_secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && account["webhook_secret"] != secret);
    assert!(
        signing["old_signs_until"].as_str().unwrap().ends_with('Z'),
        "{signing}"
    );
    let signing = json_of(data, &["account", "rotate-webhook-secret", sid, "--overlap", "0"]);
    assert!(signing["old_signs_until"].is_null(), "{signing}");
    let status = || {
        let accounts = json_of(data, &["account", "list"]);
        let found = accounts
            .as_array()
            .unwrap()
            .iter()
            .find(|account| account["sid"] == sid)
            .cloned();
        found.unwrap()["status"].as_str().unwrap().to_owned()
    };
    stdout_of(data, &["account", "suspend", sid]);
    assert_eq!(status(), "suspended");
    stdout_of(data, &["account", "resume", sid]);
    assert_eq!(status(), "active");

    assert_eq!(
        complaint(&run(data, &["key", "revoke", key_sid]), 1),
        "there is no such API key"
    );
}

#[test]
fn accounts_and_keys_are_administered_without_a_server() {
    let directory = TempDir::new().unwrap();
    administer(directory.path());
}

#[test]
fn accounts_and_keys_are_administered_through_a_running_server() {
    let directory = TempDir::new().unwrap();
    let _server = Process::start(directory.path());
    administer(directory.path());
}

#[test]
fn only_its_owner_can_reach_the_socket_and_a_stale_one_is_replaced() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("admin.sock");
    let killed = Process::start(directory.path());
    killed.signal("KILL");
    killed.wait();
    assert!(path.exists());
    // Nobody listens any more, so the command opens the store itself.
    stdout_of(directory.path(), &["account", "list"]);

    let _server = Process::start(directory.path());
    let metadata = path.metadata().unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    stdout_of(directory.path(), &["account", "list"]);
}

#[test]
fn nonsense_on_the_socket_is_refused() {
    let directory = TempDir::new().unwrap();
    let _server = Process::start(directory.path());
    for nonsense in [
        "{}\n".to_owned(),
        r#"{"request":"rob_bank"}"#.to_owned() + "\n",
        "x".repeat(70_000),
    ] {
        let mut stream = UnixStream::connect(directory.path().join("admin.sock")).unwrap();
        // The server may have had enough before everything is written.
        let _partly = stream.write_all(nonsense.as_bytes());
        let mut reply = String::new();
        let _reset = stream.read_to_string(&mut reply);
        assert!(
            nonsense.len() > 60_000 || reply.starts_with(r#"{"refused":"#),
            "{reply}"
        );
    }
    stdout_of(directory.path(), &["account", "list"]);
}

/// By its SID with a letter wrong, or by its name.
#[test]
fn whoever_mistypes_an_account_is_told_which_one_may_be_meant() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    let account = json_of(data, &["account", "create", "--name", "Team Ledger"]);
    let sid = account["sid"].as_str().unwrap();
    let meant = format!("; did you mean {sid} (\"Team Ledger\")?");
    let mistyped = format!("{}{}", &sid[..33], if sid.ends_with('0') { "1" } else { "0" });
    for (named, status) in [(mistyped.as_str(), 1), (&sid[..33], 2), ("team ledger", 2)] {
        for command in [
            ["account", "suspend"],
            ["key", "list"],
            ["key", "create"],
            ["token", "list"],
        ] {
            let line = complaint(&run(data, &[&command[..], &[named]].concat()), status);
            assert!(line.ends_with(&meant), "{line}");
        }
        let line = complaint(
            &run(data, &["user", "show", "user-0001", "--account", named]),
            status,
        );
        assert!(line.ends_with(&meant), "{line}");
    }
    let line = complaint(&run(data, &["account", "suspend", "quite another one"]), 2);
    assert!(!line.contains("did you mean"), "{line}");
}

#[test]
fn a_mistyped_data_directory_is_not_created() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("nowhere");
    let line = complaint(&run(&data, &["account", "list"]), 1);
    assert!(
        line.starts_with("there is no store in ") && !data.exists(),
        "{line}"
    );
}

#[test]
fn an_export_of_a_running_server_fills_a_new_data_directory() {
    let directory = TempDir::new().unwrap();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    let (by_server, by_command) = (
        directory.path().join("by-server"),
        directory.path().join("by-command"),
    );
    let server = Process::start(&old);
    let line = complaint(&run(&old, &["store", "check"]), 1);
    assert!(line.starts_with("another countersign uses"), "{line}");
    stdout_of(&old, &["store", "export", "--to", by_server.to_str().unwrap()]);
    drop(server);
    let checked = stdout_of(&old, &["store", "check"]);
    assert!(checked.ends_with("6 entries, all sound\n"), "{checked}");
    stdout_of(&old, &["store", "export", "--to", by_command.to_str().unwrap()]);
    let (from_server, from_command) = (
        fs::read_to_string(&by_server).unwrap(),
        fs::read_to_string(&by_command).unwrap(),
    );
    assert_eq!(lasting(&from_server), lasting(&from_command));
    assert_eq!(by_server.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let again = run(&old, &["store", "export", "--to", by_server.to_str().unwrap()]);
    assert!(complaint(&again, 1).starts_with("there is a file "));

    let import = ["store", "import", "--from", by_server.to_str().unwrap()];
    let line = complaint(&run(&new, &import), 1);
    assert!(line.starts_with("put the master key"), "{line}");
    fs::copy(old.join("master.key"), new.join("master.key")).unwrap();
    assert_eq!(stdout_of(&new, &import), "6 entries imported\n");
    let acts = stdout_of(&new, &["audit", "list", "--account", "none"]);
    let named: Vec<_> = acts
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    assert_eq!(named, ["export", "import"], "{acts}");
    assert_eq!(
        stdout_of(&new, &["account", "list"]),
        stdout_of(&old, &["account", "list"])
    );
    let line = complaint(&run(&new, &import), 1);
    assert!(line.contains("already holds entries"), "{line}");
}
