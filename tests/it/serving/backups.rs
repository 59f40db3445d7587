//! `countersign backup`, as operators use it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use tempfile::TempDir;

use super::database::Servers;
use super::process::{Process, command, complaint, run, stdout_of};
use crate::postgres_server::Cluster;

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_running_server_is_backed_up_and_the_backup_restored_elsewhere() {
    let directory = TempDir::new().unwrap();
    let [old, new, file] = ["old", "new", "backup.age"].map(|name| directory.path().join(name));
    let to = file.to_str().unwrap();
    let mut server = Process::start(&old);
    let (account, _) = server.credentials();
    let key = stdout_of(&old, &["key", "create", "--name", "Till \"7\""]);
    let key = key
        .split_whitespace()
        .find(|word| word.starts_with("SK"))
        .unwrap()
        .to_owned();
    let token = stdout_of(&old, &["token", "create", "--signal"]);
    let said = stdout_of(&old, &["backup", "create", "--to", to]);
    assert!(said.contains(" entries backed up to "), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(&directory), ["backup.age", "old"]);
    let before = fs::read(&file).unwrap();
    let line = complaint(&run(&old, &["backup", "create", "--to", to]), 1);
    assert!(line.contains("exists"), "{line}");
    assert!(fs::read(&file).unwrap() == before);
    // To standard output, and nothing else there.
    let piped = run(&old, &["backup", "create", "--to", "-"]);
    assert!(piped.status.success() && piped.stdout.starts_with(b"age-encryption.org/v1\n"));
    let verified = stdout_of(&old, &["backup", "verify", "--from", to]);
    assert!(verified.ends_with(" entries, all sound\n"), "{verified}");
    // Revoked after the backup.
    stdout_of(&old, &["key", "revoke", &key]);
    drop(server);

    fs::create_dir(&new).unwrap();
    let line = complaint(&run(&new, &["backup", "restore", "--from", to]), 1);
    assert!(line.contains("there is no master key in "), "{line}");
    fs::copy(old.join("master.key"), new.join("master.key")).unwrap();
    let said = stdout_of(&new, &["backup", "restore", "--from", to, "--factors"]);
    let token = token.trim_end().split('.').next().unwrap();
    for part in [
        " entries restored; ",
        &format!("countersign account rotate-token {account}\n"),
        &format!("API key \"Till \\\"7\\\"\" of {account}: countersign key revoke {key}\n"),
        &format!("countersign token revoke {}", &token[..34]),
        "0 devices and 0 authenticator apps are back\n",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let line = complaint(&run(&new, &["backup", "restore", "--from", to]), 1);
    assert!(line.contains("the store already holds entries"), "{line}");
    let checked = stdout_of(&new, &["store", "check"]);
    assert!(checked.ends_with(" all sound\n"), "{checked}");
    stdout_of(&new, &["key", "revoke", &key]);
    assert_eq!(Process::start(&new).rest_after_sigterm(), "");
}

#[test]
fn nothing_is_left_of_a_backup_that_failed_and_nothing_of_a_restore_that_is_refused() {
    let directory = TempDir::new().unwrap();
    let [old, new, file] = ["old", "new", "backup.age"].map(|name| directory.path().join(name));
    let to = file.to_str().unwrap();
    let line = complaint(&run(&old, &["backup", "create", "--to", to]), 1);
    assert!(line.contains("there is no master key in "), "{line}");
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    let line = complaint(&run(&old, &["backup", "create", "--to", "nowhere/backup"]), 1);
    assert!(
        line.starts_with("cannot write the backup to nowhere/backup: "),
        "{line}"
    );
    // Nobody takes what is written.
    let mut closed = command(&old, &["backup", "create", "--to", "-"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let full = closed.stdout(Stdio::from(full)).output().unwrap();
    assert_eq!(full.status.code(), Some(1));
    stdout_of(&old, &["backup", "create", "--to", to]);
    let whole = fs::read(&file).unwrap();
    let half = directory.path().join("half");
    fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    fs::create_dir(&new).unwrap();
    fs::copy(old.join("master.key"), new.join("master.key")).unwrap();
    for command in ["verify", "restore"] {
        let line = complaint(
            &run(&new, &["backup", command, "--from", half.to_str().unwrap()]),
            1,
        );
        assert!(
            line.contains("its end is missing") || line.contains("was changed"),
            "{line}"
        );
    }
    let said = stdout_of(&new, &["backup", "restore", "--from", to]);
    assert!(said.contains(" entries restored; "), "{said}");
}

#[test]
fn a_backup_for_a_recipient_needs_its_identity() {
    let directory = TempDir::new().unwrap();
    let [old, new, file] = ["old", "new", "backup.age"].map(|name| directory.path().join(name));
    let (to, identity) = (file.to_str().unwrap(), directory.path().join("identity"));
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    let recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    fs::write(
        &identity,
        "# created: today\nAGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n",
    )
    .unwrap();
    stdout_of(&old, &["backup", "create", "--to", to, "--recipient", recipient]);
    let line = complaint(&run(&old, &["backup", "verify", "--from", to]), 1);
    assert!(line.contains("it is sealed for another key"), "{line}");
    let identity = identity.to_str().unwrap();
    let verify = ["backup", "verify", "--from", to, "--identity", identity];
    assert!(stdout_of(&old, &verify).ends_with(" all sound\n"));
    fs::create_dir(&new).unwrap();
    fs::copy(old.join("master.key"), new.join("master.key")).unwrap();
    let restore = ["backup", "restore", "--from", to, "--identity", identity];
    assert!(stdout_of(&new, &restore).contains(" entries restored; "));
    let line = complaint(
        &run(&old, &["backup", "create", "--to", "-", "--recipient", "age1x"]),
        2,
    );
    assert!(line.contains("must be a recipient of age"), "{line}");
}

#[test]
fn a_backup_of_a_directory_is_restored_into_a_database() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let data = servers.data("data", 1);
    let file = data.with_file_name("backup.age");
    let to = file.to_str().unwrap();
    stdout_of(&data, &["account", "create", "--name", "Shop"]);
    stdout_of(&data, &["backup", "create", "--to", to]);
    stdout_of(&data, &["store", "migrate", "--store", &servers.url]);
    let restored = stdout_of(
        &data,
        &["backup", "restore", "--from", to, "--store", &servers.url],
    );
    assert!(restored.contains("account \"Shop\", active: "), "{restored}");
    let checked = stdout_of(&data, &["store", "check", "--store", &servers.url]);
    assert!(checked.ends_with(" all sound\n"), "{checked}");
}
