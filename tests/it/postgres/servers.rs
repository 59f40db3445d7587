//! The servers that the tests run on do what the tests rely on.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::postgres_server::{Cluster, ClusterOptions, Replication};

#[test]
fn each_database_is_empty_and_apart() {
    let Some(cluster) = Cluster::shared() else { return };
    let (one, other) = (cluster.database(), cluster.database());
    assert_ne!(one.name(), other.name());
    one.psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    assert_eq!(one.psql("SELECT n FROM t"), "1");
    let problem = other.try_psql("SELECT n FROM t").unwrap_err();
    assert!(problem.contains("42P01"), "{problem}");
}

#[test]
fn a_killed_server_is_gone_at_once_and_comes_back_with_what_was_committed() {
    let Some(cluster) = Cluster::own(ClusterOptions::default()) else {
        return;
    };
    let database = cluster.database();
    database.psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    let mut open = TcpStream::connect(cluster.address()).unwrap();
    for round in 2..4 {
        cluster.kill();
        assert!(TcpStream::connect(cluster.address()).is_err());
        // The process behind it is dead, too.
        assert!(!matches!(open.read(&mut [0]), Ok(1..)));
        cluster.start();
        database.psql(&format!("INSERT INTO t VALUES ({round})"));
        open = TcpStream::connect(cluster.address()).unwrap();
    }
    cluster.stop();
    assert!(TcpStream::connect(cluster.address()).is_err());
    cluster.start();
    assert_eq!(database.psql("SELECT n FROM t ORDER BY n"), "1\n2\n3");
}

#[test]
fn a_synchronous_standby_that_is_promoted_holds_what_was_committed() {
    let Some(primary) = Cluster::own(ClusterOptions::default()) else {
        return;
    };
    let database = primary.database();
    database.psql("CREATE TABLE t (n int)");
    let standby = primary.standby(Replication::Synchronous);
    for n in 0..20 {
        database.psql(&format!("INSERT INTO t VALUES ({n})"));
    }
    primary.kill();
    let behind = database.at(standby.address());
    let problem = behind.try_psql("INSERT INTO t VALUES (20)").unwrap_err();
    assert!(problem.contains("25006"), "a standby is read only: {problem}");
    standby.promote();
    behind.psql("INSERT INTO t VALUES (20)");
    assert_eq!(behind.psql("SELECT count(*) FROM t"), "21");
}

#[test]
fn an_asynchronous_standby_may_lose_what_was_committed() {
    let Some(primary) = Cluster::own(ClusterOptions::default()) else {
        return;
    };
    let standby = primary.standby(Replication::Asynchronous);
    let database = primary.database();
    database.psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    // A standby that is stopped in good order has received all of it, so this comes after it.
    standby.stop();
    database.psql("INSERT INTO t VALUES (2)");
    primary.kill();
    standby.start();
    standby.promote();
    assert_eq!(database.at(standby.address()).psql("SELECT n FROM t"), "1");
}

#[test]
fn tls_is_spoken_and_nothing_else_with_a_certificate_that_can_be_verified() {
    let options = ClusterOptions {
        tls: true,
        ..ClusterOptions::default()
    };
    let Some(cluster) = Cluster::own(options) else {
        return;
    };
    let database = cluster.database();
    let authority = cluster.authority().unwrap();
    let verified = format!("sslmode=verify-full&sslrootcert={}", authority.display());
    let question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let answer = database.psql_at(&database.url_with(&verified), question);
    assert_eq!(answer.unwrap(), "t");
    let plain = database.psql_at(&database.url_with("sslmode=disable"), question);
    assert!(plain.unwrap_err().contains("pg_hba.conf"));
    // Another authority is not this one.
    let other = Cluster::own(options).unwrap();
    let unknown = format!(
        "sslmode=verify-ca&sslrootcert={}",
        other.authority().unwrap().display()
    );
    let unknown = database.psql_at(&database.url_with(&unknown), question);
    assert!(unknown.unwrap_err().contains("SSL error"));
}

#[test]
fn a_password_is_asked_for_and_a_standby_knows_it_over_tls() {
    let options = ClusterOptions {
        password: Some("correct-horse"),
        tls: true,
        ..ClusterOptions::default()
    };
    let Some(primary) = Cluster::own(options) else {
        return;
    };
    let standby = primary.standby(Replication::Synchronous);
    let database = primary.database();
    let question = "SELECT left(rolpassword, 13) FROM pg_authid WHERE rolname = 'postgres'";
    assert_eq!(database.psql(question), "SCRAM-SHA-256");
    for (right, wrong) in [("correct-horse", "battery-staple"), (":correct-horse", "")] {
        for url in [database.url(), database.at(standby.address()).url()] {
            let refused = database.psql_at(&url.replace(right, wrong), "SELECT 1");
            assert!(refused.unwrap_err().contains("password"));
        }
    }
}

/// The owner is this test, started anew.
#[test]
fn a_server_does_not_outlive_its_owner_that_is_killed() {
    if env::var_os(OWNER).is_some() {
        let cluster = Cluster::own(ClusterOptions::default()).unwrap();
        let (address, directory) = (cluster.address(), cluster.directory());
        writeln!(io::stdout(), "\nrunning {address} {}", directory.display()).unwrap();
        std::thread::park();
        unreachable!("nobody wakes it");
    }
    if Cluster::shared().is_none() {
        return;
    }
    let mut owner = this_test("a_server_does_not_outlive_its_owner_that_is_killed")
        .env(OWNER, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let running = lines
        .map(Result::unwrap)
        .find(|line| line.starts_with("running 127"));
    let running = running.unwrap_or_else(|| panic!("{}", end_of(&mut owner)));
    let mut words = running.split(' ').skip(1);
    let (address, directory) = (words.next().unwrap(), Path::new(words.next().unwrap()));
    assert!(directory.is_dir());
    drop(TcpStream::connect(address).unwrap());

    owner.kill().unwrap();
    // Whoever keeps the server shares this pipe.
    assert_eq!(end_of(&mut owner), "");
    assert!(!directory.exists());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn without_postgresql_one_line_says_what_is_skipped() {
    let tests = |all: &str| {
        let mut tests = this_test("");
        tests.args(["postgres::servers::each", "postgres::servers::tls"]);
        let tests = tests
            .env("COUNTERSIGN_TEST_POSTGRES", "")
            .env("COUNTERSIGN_TEST_ALL", all);
        tests.output().unwrap()
    };
    let skipping = tests("0");
    assert!(skipping.status.success());
    let said = String::from_utf8(skipping.stderr).unwrap();
    assert!(
        said.starts_with("SKIPPED: ") && said.lines().count() == 1,
        "{said}"
    );
    let insisting = tests("1");
    assert!(!insisting.status.success());
    let said = String::from_utf8(insisting.stdout).unwrap();
    assert!(
        said.contains("2 failed") && said.contains("install Debian's package"),
        "{said}"
    );
}

/// A process that runs a test of this module alone, or those that it is told.
fn this_test(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    if name.is_empty() {
        return command;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    command.args(["--exact", &format!("{module}::{name}"), "--nocapture"]);
    command
}

/// What it, and all who share its standard error, say there until the last is gone.
fn end_of(process: &mut Child) -> String {
    let mut text = String::new();
    process.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    process.wait().unwrap();
    text
}

const OWNER: &str = "COUNTERSIGN_TEST_OWNER";
