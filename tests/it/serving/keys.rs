//! `countersign keys`, as operators use it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, complaint, run, stdout_of};

fn keys_of(data: &Path) -> Vec<(u64, String)> {
    let listed: Value = serde_json::from_str(&stdout_of(data, &["keys", "list", "--json"])).unwrap();
    let keys = listed["data_keys"].as_array().unwrap().iter();
    keys.map(|key| {
        (
            key["number"].as_u64().unwrap(),
            key["state"].as_str().unwrap().to_owned(),
        )
    })
    .collect()
}

fn active(number: u64) -> (u64, String) {
    (number, "active".to_owned())
}

/// Made, used and taken away, beside a server and without one; the server starts without the old ones.
#[test]
fn data_keys_change_with_a_server_and_without_one() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let mut server = Process::start(&data);
    let (account, _) = server.credentials();
    assert_eq!(keys_of(&data), [active(1)]);
    let line = complaint(&run(&data, &["keys", "retire", "1"]), 1);
    assert!(
        line.contains("it is the active key: make another one with `countersign keys rotate`"),
        "{line}"
    );
    let line = complaint(&run(&data, &["keys", "retire", "7"]), 1);
    assert!(line.contains("the store has no data key 7"), "{line}");

    let said = stdout_of(&data, &["keys", "rotate"]);
    assert!(said.starts_with("data key 2 is the active one\n"), "{said}");
    assert!(
        said.contains("data key 1  reading  since ") && said.contains("; done\n"),
        "{said}"
    );
    stdout_of(&data, &["account", "create", "--name", "of the new key"]);
    let said = stdout_of(&data, &["keys", "retire", "1"]);
    assert!(
        said.starts_with("data key 1 is to go\n") && !said.contains("data key 1  "),
        "{said}"
    );
    assert_eq!(keys_of(&data), [active(2)]);
    server.rest_after_sigterm();

    // Nobody serves: the command does it all.
    stdout_of(&data, &["keys", "rotate"]);
    stdout_of(&data, &["keys", "retire", "2"]);
    assert_eq!(keys_of(&data), [active(3)]);
    let checked = stdout_of(&data, &["store", "check"]);
    assert!(checked.contains(" of data key 3, active since "), "{checked}");
    assert!(
        !checked.contains("data key 2") && checked.ends_with(" all sound\n"),
        "{checked}"
    );
    let told = stdout_of(&data, &["audit", "list", "--account", "none", "--json"]);
    for what in ["data key 2 was made", "data key 1 is to go", "data key 2 is gone"] {
        assert!(told.contains(what), "{what} is not in {told}");
    }
    let server = Process::start(&data);
    assert!(stdout_of(&data, &["account", "list"]).contains(&account));
    assert_eq!(server.rest_after_sigterm(), "");
}

/// An export of before a change is whole by itself.
#[test]
fn an_older_export_keeps_its_own_keys() {
    let directory = TempDir::new().unwrap();
    let [data, copy, file] = ["data", "copy", "export"].map(|name| directory.path().join(name));
    let file = file.to_str().unwrap();
    stdout_of(&data, &["account", "create", "--name", "one"]);
    stdout_of(&data, &["store", "export", "--to", file]);
    stdout_of(&data, &["keys", "rotate"]);
    stdout_of(&data, &["keys", "retire", "1"]);
    fs::create_dir(&copy).unwrap();
    fs::copy(data.join("master.key"), copy.join("master.key")).unwrap();
    stdout_of(&copy, &["store", "import", "--from", file]);
    assert_eq!(keys_of(&copy), [active(1)]);
    assert!(stdout_of(&copy, &["store", "check"]).ends_with(" all sound\n"));
}

#[test]
fn the_master_key_is_changed_and_the_old_one_opens_nothing() {
    let directory = TempDir::new().unwrap();
    let [data, new] = ["data", "new.key"].map(|name| directory.path().join(name));
    let server = Process::start(&data);
    let new_key = new.to_str().unwrap();
    let with_file = ["keys", "rotate", "--master", "--new-master-key-file", new_key];
    let line = complaint(&run(&data, &with_file), 1);
    assert!(line.contains("make a master key with: "), "{line}");
    fs::write(&new, "0123456789abcdef".repeat(4)).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    let said = stdout_of(&data, &with_file);
    assert!(
        said.contains("opens the store, too") && said.matches("master key ").count() > 2,
        "{said}"
    );
    let line = complaint(&run(&data, &["keys", "rotate"]), 1);
    assert!(line.contains("two master keys open the store"), "{line}");
    drop(server);
    let old = directory.path().join("old.key");
    fs::rename(data.join("master.key"), &old).unwrap();
    let file = ["--master-key-file", new_key];
    let said = stdout_of(&data, &[&["keys", "retire", "--master"][..], &file].concat());
    assert!(
        said.starts_with("only master key ") && said.matches("\nmaster key ").count() == 1,
        "{said}"
    );
    let with_old = ["store", "check", "--master-key-file", old.to_str().unwrap()];
    let line = complaint(&run(&data, &with_old), 1);
    assert!(line.contains("sealed under another master key"), "{line}");
    stdout_of(&data, &[&["keys", "rotate"][..], &file].concat());
    let checked = stdout_of(&data, &[&["store", "check"][..], &file].concat());
    assert!(checked.ends_with(" all sound\n"), "{checked}");
}
