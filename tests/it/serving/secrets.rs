//! The master key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::process::{Process, command, complaint, run, stdout_of};

#[test]
fn the_master_key_is_made_for_its_owner_only_and_never_made_anew() {
    let directory = TempDir::new().unwrap();
    stdout_of(directory.path(), &["account", "create"]);
    let key = directory.path().join("master.key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let kept = directory.path().join("kept");
    fs::rename(&key, &kept).unwrap();
    let line = complaint(&run(directory.path(), &["serve", "--listen", "127.0.0.1:0"]), 1);
    assert!(
        line.contains(key.to_str().unwrap()) && line.contains("--master-key-file"),
        "{line}"
    );
    assert!(!key.exists());
    stdout_of(
        directory.path(),
        &["account", "list", "--master-key-file", kept.to_str().unwrap()],
    );

    fs::set_permissions(&kept, fs::Permissions::from_mode(0o644)).unwrap();
    let line = complaint(
        &run(
            directory.path(),
            &["account", "list", "--master-key-file", kept.to_str().unwrap()],
        ),
        1,
    );
    assert!(line.contains("chmod 600 "), "{line}");
}

#[test]
fn a_store_is_refused_with_another_master_key() {
    let directory = TempDir::new().unwrap();
    let (ours, theirs) = ("11".repeat(32), "22".repeat(32));
    let list = |key: &str| {
        command(directory.path(), &["account", "list"])
            .env("COUNTERSIGN_MASTER_KEY", key)
            .output()
            .unwrap()
    };
    let server = Process::start_with(directory.path(), &[], &[("COUNTERSIGN_MASTER_KEY", &ours)]);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    assert!(!directory.path().join("master.key").exists());
    assert!(list(&ours).status.success());
    let line = complaint(&list(&theirs), 1);
    assert!(line.contains("sealed under another master key"), "{line}");
}

#[test]
fn a_master_key_file_that_is_missing_is_named() {
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("nowhere");
    let output = run(
        directory.path(),
        &["serve", "--master-key-file", missing.to_str().unwrap()],
    );
    let line = complaint(&output, 1);
    assert!(line.contains(missing.to_str().unwrap()), "{line}");
    assert!(!directory.path().join("store").exists());
}
