//! Servers that share a database.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::process::{Process, complaint, lasting, program, run, stdout_of};
use crate::postgres_server::{Cluster, Database};

/// The data directories of servers on one database.
pub(super) struct Servers {
    directory: TempDir,
    pub(super) url: String,
}

impl Servers {
    pub(super) fn on(database: &Database) -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            url: database.url(),
        }
    }

    /// A data directory with a master key made of `byte`.
    pub(super) fn data(&self, name: &str, byte: u8) -> PathBuf {
        let data = self.directory.path().join(name);
        fs::create_dir(&data).unwrap();
        let key = data.join("master.key");
        fs::write(&key, STANDARD.encode([byte; 32])).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        data
    }

    fn start(&self, data: &Path) -> Process {
        Process::start_with(data, &["--store", &self.url], &[])
    }

    fn complaint(&self, data: &Path) -> String {
        complaint(
            &run(data, &["serve", "--listen", "127.0.0.1:0", "--store", &self.url]),
            1,
        )
    }
}

#[test]
fn what_one_server_made_the_other_one_has() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let (one, other) = (servers.data("one", 1), servers.data("other", 1));
    let refused = servers.complaint(&one);
    assert!(refused.contains("run `countersign store migrate`"), "{refused}");
    let made = stdout_of(&one, &["store", "migrate", "--store", &servers.url]);
    assert!(
        made.ends_with("was brought from version 0 to version 1\n"),
        "{made}"
    );
    let mut first = servers.start(&one);
    let (account, token) = first.credentials();
    let second = servers.start(&other);
    let basic = STANDARD.encode(format!("{account}:{token}"));
    let get = |server: &Process| {
        let mut stream = server.connect();
        let head = "GET /v2/Services HTTP/1.1\r\nHost: x\r\nConnection: close";
        write!(stream, "{head}\r\nAuthorization: Basic {basic}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for server in [&first, &second] {
        let answer = get(server);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    drop((first, second));
    let accounts = stdout_of(&other, &["account", "list", "--store", &servers.url]);
    assert!(accounts.contains(&account), "{accounts}");
    let checked = stdout_of(&other, &["store", "check", "--store", &servers.url]);
    assert!(checked.ends_with("all sound\n"), "{checked}");
}

#[test]
fn servers_of_one_database_have_one_master_key_and_make_none() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let one = servers.data("one", 1);
    stdout_of(&one, &["store", "migrate", "--store", &servers.url]);
    drop(servers.start(&one));
    let without = servers.directory.path().join("without");
    let refused = servers.complaint(&without);
    assert!(refused.contains("none is made there"), "{refused}");
    assert!(!without.join("master.key").exists());
    let other = servers.data("other", 2);
    let refused = servers.complaint(&other);
    assert!(refused.contains("sealed under another master key"), "{refused}");
}

#[test]
fn an_address_that_is_none_is_refused_without_showing_its_password() {
    let directory = TempDir::new().unwrap();
    for url in [
        "postgres://me:hush@/?x=1",
        "postgres://me:hush@host/app?sslmode=hush",
        "mysql://me:hush@host/app",
    ] {
        let output = run(directory.path(), &["store", "migrate", "--store", url]);
        let line = complaint(&output, 1);
        assert!(line.contains("store") && !line.contains(":hush"), "{line}");
    }
}

#[test]
fn a_store_is_moved_into_a_database_and_back() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let old = servers.directory.path().join("old");
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    stdout_of(&old, &["account", "create", "--name", "Shed"]);
    stdout_of(&old, &["store", "migrate", "--store", &servers.url]);
    let convert = |from: &str, to: &str| {
        program(&["store", "convert", "--from", from, "--to", to])
            .output()
            .unwrap()
    };
    let there = convert(&shown(&old), &servers.url);
    assert!(there.status.success(), "{there:?}");
    let said = String::from_utf8(there.stdout).unwrap();
    assert!(
        said.contains("start the server with the same master key"),
        "{said}"
    );
    let export = stdout_of(&old, &["store", "export", "--to", "-"]);
    let with_key = ["store", "export", "--to", "-", "--store", &servers.url];
    let export = lasting(&export);
    assert_eq!(lasting(&stdout_of(&old, &with_key)), export);
    // It is not filled twice, nor from itself.
    let line = complaint(&convert(&shown(&old), &servers.url), 1);
    assert!(line.contains("already holds entries"), "{line}");
    let line = complaint(&convert(&servers.url, &servers.url), 2);
    assert!(line.contains("the same database"), "{line}");
    let new = servers.directory.path().join("new");
    let back = convert(&servers.url, &shown(&new));
    assert!(back.status.success(), "{back:?}");
    fs::copy(old.join("master.key"), new.join("master.key")).unwrap();
    let export_back = stdout_of(&new, &["store", "export", "--to", "-"]);
    assert_eq!(lasting(&export_back), export);
    assert!(stdout_of(&new, &["store", "check"]).ends_with("all sound\n"));
}

#[test]
fn an_export_is_imported_into_a_database() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let old = servers.directory.path().join("old");
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    let file = shown(&servers.directory.path().join("export"));
    stdout_of(&old, &["store", "export", "--to", &file]);
    stdout_of(&old, &["store", "migrate", "--store", &servers.url]);
    stdout_of(
        &old,
        &["store", "import", "--from", &file, "--store", &servers.url],
    );
    let exported = stdout_of(&old, &["store", "export", "--to", "-", "--store", &servers.url]);
    assert_eq!(lasting(&exported), lasting(&fs::read_to_string(&file).unwrap()));
    drop(servers.start(&old));
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
