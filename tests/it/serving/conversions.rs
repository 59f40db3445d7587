//! `countersign store convert` between data directories.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use super::process::{Process, complaint, lasting, program, run, stdout_of};

fn convert(from: &Path, to: &Path) -> Output {
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    program(&["store", "convert", "--from", from, "--to", to])
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    // There is no terminal, so nobody is told of progress.
    assert_eq!(str::from_utf8(&output.stderr).unwrap(), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_converted_store_is_served_with_the_key_that_came_along() {
    let directory = TempDir::new().unwrap();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    let key = new.join("master.key");
    assert_eq!(
        said(&convert(&old, &new)),
        format!(
            "5 entries copied to {} and verified\nthe master key is in {}\n",
            new.display(),
            key.canonicalize().unwrap().display()
        )
    );
    assert_eq!(fs::read(&key).unwrap(), fs::read(old.join("master.key")).unwrap());
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    for (data, other) in [
        (&old, format!("(to {})", new.display())),
        (&new, format!("(from {})", old.display())),
    ] {
        let acts = stdout_of(data, &["audit", "list", "--account", "none"]);
        assert_eq!(acts.lines().count(), 2, "{acts}");
        assert!(
            acts.contains(&other) && acts.contains(" convert ") && acts.contains("operator"),
            "{acts}"
        );
    }
    let export = ["store", "export", "--to", "-"];
    assert_eq!(
        lasting(&stdout_of(&new, &export)),
        lasting(&stdout_of(&old, &export))
    );
    let server = Process::start(&new);
    let line = complaint(&convert(&new, &directory.path().join("third")), 1);
    assert!(
        line.starts_with("another countersign uses the data directory "),
        "{line}"
    );
    let line = complaint(&convert(&old, &new), 1);
    assert!(
        line.starts_with("another countersign uses the data directory "),
        "{line}"
    );
    assert_eq!(server.rest_after_sigterm(), "");
    let line = complaint(&convert(&old, &new), 1);
    assert!(line.contains("already holds entries"), "{line}");
    assert_eq!(
        lasting(&stdout_of(&new, &export)),
        lasting(&stdout_of(&old, &export))
    );
}

#[test]
fn a_key_that_is_kept_elsewhere_stays_there() {
    let directory = TempDir::new().unwrap();
    let (old, new, key) = (
        directory.path().join("old"),
        directory.path().join("new"),
        directory.path().join("key"),
    );
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    fs::rename(old.join("master.key"), &key).unwrap();
    let told = said(&convert(&old, &new));
    assert!(
        told.ends_with("start the server with the same master key\n"),
        "{told}"
    );
    assert!(!new.join("master.key").exists());
    let list = ["account", "list", "--master-key-file", key.to_str().unwrap()];
    assert_eq!(stdout_of(&new, &list), stdout_of(&old, &list));
}

#[test]
fn another_key_is_neither_replaced_nor_left_beside_the_store() {
    let directory = TempDir::new().unwrap();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    let text = |data: &Path| fs::read_to_string(data.join("master.key")).unwrap();
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    stdout_of(&new, &["account", "create", "--name", "Another"]);
    fs::remove_dir_all(new.join("store")).unwrap();
    let kept = text(&new);
    let line = complaint(&convert(&old, &new), 1);
    assert!(
        line.starts_with("the master key in ") && line.ends_with("put it aside"),
        "{line}"
    );
    assert!(text(&new) == kept && !new.join("store").exists());
}

#[test]
fn what_is_no_store_is_not_converted_and_nothing_is_made() {
    let directory = TempDir::new().unwrap();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    let line = complaint(&convert(&old, &new), 1);
    assert!(line.starts_with("there is no store in "), "{line}");
    assert!(!old.exists() && !new.exists());
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    let same = old.join(".");
    let line = complaint(&convert(&old, &same), 2);
    assert!(line.contains("the same directory"), "{line}");
    let line = complaint(&convert(&old, Path::new("mysql://localhost/countersign")), 2);
    assert!(line.contains("must be a data directory"), "{line}");
    // The source is as good as before.
    assert_eq!(run(&old, &["account", "list"]).status.code(), Some(0));
}
