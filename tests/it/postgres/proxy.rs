//! Each fault of the proxy does what it says, and no other.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::wire::{Wire, copied, execute, execute_prepared, parse, query, sync};
use crate::postgres_server::{Cluster, Database, Proxy};

/// A database with an empty table, and a proxy in front of it.
struct Fixture {
    proxy: Proxy,
    direct: Database,
    proxied: Database,
}

impl Fixture {
    fn new() -> Option<Self> {
        let direct = Cluster::shared()?.database();
        direct.psql("CREATE TABLE t (n int)");
        let proxy = Proxy::start(direct.address());
        let proxied = direct.at(proxy.address());
        Some(Self {
            proxy,
            direct,
            proxied,
        })
    }

    fn wire(&self) -> Wire {
        Wire::connect(&self.proxied)
    }

    /// What is in the table.
    fn rows(&self) -> String {
        self.direct
            .psql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM t")
    }
}

#[test]
fn without_faults_everything_passes_and_is_counted() {
    let Some(fixture) = Fixture::new() else { return };
    let proxy = &fixture.proxy;
    fixture.proxied.psql("INSERT INTO t VALUES (1); SELECT n FROM t");
    assert_eq!(
        (proxy.connections(), proxy.round_trips(), proxy.statements()),
        (1, 2, 2)
    );
    let mut wire = fixture.wire();
    assert_eq!(proxy.round_trips(), 2, "a login is none");
    let prepared = [parse("insert", "INSERT INTO t VALUES (2)"), sync()];
    assert_eq!(wire.ask(&prepared), "1 ZI");
    assert_eq!(wire.ask(&[execute_prepared("insert"), sync()]), "2 C ZI");
    assert_eq!((proxy.round_trips(), proxy.statements()), (4, 3));
    // Of several at once each is one.
    wire.send(&[execute("SELECT n FROM t"), sync(), query("SELECT 1; SELECT 2")]);
    assert_eq!(wire.answers(2), "1 2 D D C ZI T D C T D C ZI");
    assert_eq!((proxy.round_trips(), proxy.statements()), (6, 6));
    // The server answers no Sync while it is copied to.
    let copy = [execute("COPY t FROM STDIN"), sync(), copied("3\n"), sync()];
    assert_eq!(wire.ask(&copy), "1 2 G C ZI");
    assert_eq!(wire.ask(&[query("COPY t FROM STDIN"), copied("4\n")]), "G C ZI");
    assert_eq!(wire.ask(&[query("SELECT 1")]), "T D C ZI");
    assert_eq!(proxy.round_trips(), 9);
    assert_eq!(fixture.rows(), "1 2 3 4");
    assert_eq!((proxy.cuts_at_commits(), proxy.failures()), (0, 0));
}

#[test]
fn a_statement_can_be_cancelled() {
    let Some(fixture) = Fixture::new() else { return };
    let mut wire = fixture.wire();
    // The first answer shows that the second has begun, or will before the server hears of anything else.
    wire.send(&[query("SELECT 1"), query("SELECT pg_sleep(600)")]);
    assert_eq!(wire.answers(1), "T D C ZI");
    fixture.direct.psql(
        "DO $$ BEGIN
           WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()
                             AND pid <> pg_backend_pid()) LOOP
             PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
           END LOOP;
         END $$",
    );
    wire.cancel(fixture.proxy.address());
    assert_eq!(wire.answers(1), "T E57014 ZI");
}

#[test]
fn all_connections_are_cut() {
    let Some(fixture) = Fixture::new() else { return };
    let (mut busy, mut idle) = (fixture.wire(), fixture.wire());
    busy.send(&[query("SELECT 1"), query("SELECT pg_sleep(600)")]);
    assert_eq!(busy.answers(1), "T D C ZI");
    fixture.proxy.cut();
    assert_eq!(busy.answers(1), "EOF");
    assert_eq!(idle.answers(1), "EOF");
    assert_eq!(fixture.wire().ask(&[query("SELECT 1")]), "T D C ZI");
}

#[test]
fn a_connection_that_is_cut_before_it_commits_has_changed_nothing() {
    let Some(fixture) = Fixture::new() else { return };
    for (index, (change, _)) in changes().into_iter().enumerate() {
        let mut wire = fixture.wire();
        fixture.proxy.cut_before_commit();
        // What changes nothing is none of its business.
        assert_eq!(wire.ask(&[query("SELECT n FROM t")]), "T C ZI");
        assert_eq!(wire.ask(&[execute("SELECT n FROM t"), sync()]), "1 2 C ZI");
        assert_eq!(fixture.proxy.cuts_at_commits(), index);
        wire.send(&change);
        assert!(wire.answers(9).ends_with("EOF"));
        assert_eq!(fixture.proxy.cuts_at_commits(), index + 1);
        // Only once.
        assert_eq!(fixture.wire().ask(&[query("DELETE FROM t")]), "C ZI");
        assert_eq!(fixture.rows(), "");
    }
    let problem = {
        fixture.proxy.cut_before_commit();
        fixture.proxied.try_psql("INSERT INTO t VALUES (1)").unwrap_err()
    };
    assert!(problem.contains("server closed the connection"), "{problem}");
}

#[test]
fn a_connection_that_is_cut_after_it_committed_has_changed_something_and_not_heard_of_it() {
    let Some(fixture) = Fixture::new() else { return };
    for (index, (change, answers)) in changes().into_iter().enumerate() {
        let mut wire = fixture.wire();
        fixture.proxy.cut_after_commit();
        // The answers to what came before are passed on.
        wire.send(&[execute("SELECT n FROM t"), sync(), change.concat()]);
        assert_eq!(wire.answers(9), format!("1 2 C ZI {answers}EOF"));
        assert_eq!(fixture.proxy.cuts_at_commits(), index + 1);
        assert_eq!(fixture.rows(), "1");
        fixture.direct.psql("DELETE FROM t");
    }
}

/// How a row is inserted, outside of transactions and within, in the simple protocol and the extended one; with the answers
/// to what comes before the commit.
fn changes() -> [(Vec<Vec<u8>>, &'static str); 5] {
    let insert = "INSERT INTO t VALUES (1)";
    [
        (vec![query(insert)], ""),
        (vec![execute(insert), sync()], ""),
        (
            vec![
                parse("insert", insert),
                sync(),
                execute_prepared("insert"),
                sync(),
            ],
            "1 ZI ",
        ),
        (vec![query("BEGIN"), query(insert), query("COMMIT")], "C ZT C ZT "),
        (
            vec![
                execute("BEGIN"),
                sync(),
                execute(insert),
                sync(),
                execute("COMMIT"),
                sync(),
            ],
            "1 2 C ZT 1 2 C ZT ",
        ),
    ]
}

#[test]
fn answers_are_late_by_the_same_however_many_there_are() {
    let Some(fixture) = Fixture::new() else { return };
    let mut wire = fixture.wire();
    let delay = Duration::from_millis(400);
    fixture.proxy.delay_answers(delay);
    let requests = 40;
    let start = Instant::now();
    for _ in 0..requests {
        wire.send(&[query("SELECT 1")]);
    }
    wire.answers(1);
    assert!(start.elapsed() >= delay);
    wire.answers(requests - 1);
    assert!(start.elapsed() < delay * u32::try_from(requests).unwrap());
    fixture.proxy.delay_answers(Duration::ZERO);
    assert_eq!(wire.ask(&[query("SELECT 1")]), "T D C ZI");
}

#[test]
fn a_frozen_connection_is_silent_and_open() {
    let Some(fixture) = Fixture::new() else { return };
    let mut wire = fixture.wire();
    fixture.proxy.freeze();
    wire.wait_at_most(Duration::from_millis(300));
    assert_eq!(wire.ask(&[query("INSERT INTO t VALUES (1)")]), "silence");
    assert_eq!(fixture.rows(), "");
    // Nobody can log in either.
    let late = std::thread::spawn({
        let proxied = fixture.proxied.clone();
        move || Wire::connect(&proxied).ask(&[query("SELECT 1")])
    });
    assert_eq!(wire.answers(1), "silence");
    assert!(!late.is_finished());
    fixture.proxy.thaw();
    assert_eq!(late.join().unwrap(), "T D C ZI");
    wire.wait_at_most(Duration::from_mins(1));
    assert_eq!(wire.answers(1), "C ZI");
    assert_eq!(fixture.rows(), "1");
}

#[test]
fn new_connections_are_refused_and_old_ones_are_not() {
    let Some(fixture) = Fixture::new() else { return };
    let mut wire = fixture.wire();
    fixture.proxy.refuse_connections(true);
    assert!(Wire::try_connect(&fixture.proxied).is_err());
    assert_eq!(wire.ask(&[query("SELECT 1")]), "T D C ZI");
    assert_eq!(fixture.proxy.connections(), 1);
    fixture.proxy.refuse_connections(false);
    fixture.wire();
}

#[test]
fn new_connections_go_where_the_proxy_is_told() {
    let Some(fixture) = Fixture::new() else { return };
    let nobody: SocketAddr = (Ipv4Addr::LOCALHOST, 1).into();
    fixture.proxy.redirect(nobody);
    assert!(Wire::try_connect(&fixture.proxied).is_err());
    fixture.proxy.redirect(fixture.direct.address());
    assert_eq!(fixture.wire().ask(&[query("SELECT 1")]), "T D C ZI");
}

#[test]
fn one_statement_in_so_many_fails_as_one_that_could_not_be_serialized() {
    let Some(fixture) = Fixture::new() else { return };
    let mut wire = fixture.wire();
    fixture.proxy.fail_one_statement_in(3);
    let mut failed = Vec::new();
    for n in 0..9 {
        let insert = format!("INSERT INTO t VALUES ({n})");
        let answer = if n % 2 == 0 {
            wire.ask(&[execute(&insert), sync()])
        } else {
            wire.ask(&[query(&insert)])
        };
        match answer.as_str() {
            "1 2 C ZI" | "C ZI" => {}
            "1 2 E40001 ZI" | "E40001 ZI" => failed.push(n),
            other => panic!("{other}"),
        }
    }
    assert_eq!(failed, [2, 5, 8]);
    assert_eq!(fixture.rows(), "0 1 3 4 6 7");
    assert_eq!((fixture.proxy.failures(), fixture.proxy.statements()), (3, 9));
    fixture.proxy.fail_one_statement_in(1);
    let problem = fixture.proxied.try_psql("SELECT 1").unwrap_err();
    assert!(problem.contains("40001: could not serialize access"), "{problem}");
    fixture.proxy.fail_one_statement_in(0);
    assert_eq!(fixture.proxied.psql("SELECT 1"), "1");
}

#[test]
fn a_statement_that_fails_takes_its_transaction_with_it() {
    let Some(fixture) = Fixture::new() else { return };
    let mut wire = fixture.wire();
    let insert = |n: i32| execute(&format!("INSERT INTO t VALUES ({n})"));
    // Several before one Sync are one transaction; what follows the failure is not done, and the next is not concerned.
    fixture.proxy.fail_one_statement_in(2);
    wire.send(&[insert(1), insert(2), insert(3), sync(), insert(4), sync()]);
    assert_eq!(wire.answers(2), "1 2 C 1 2 E40001 ZI 1 2 C ZI");
    assert_eq!(fixture.rows(), "4");

    fixture.proxy.fail_one_statement_in(2);
    assert_eq!(wire.ask(&[query("BEGIN")]), "C ZT");
    assert_eq!(wire.ask(&[insert(5), sync()]), "1 2 C ZT");
    assert_eq!(wire.ask(&[insert(6), sync()]), "1 2 E40001 ZE");
    assert_eq!(wire.ask(&[query("SELECT 1")]), "E25P02 ZE");
    assert_eq!(wire.ask(&[query("ROLLBACK")]), "C ZI");
    assert_eq!(wire.ask(&[insert(7), sync()]), "1 2 C ZI");
    assert_eq!(fixture.rows(), "4 7");
}

#[test]
fn one_commit_in_so_many_fails_after_its_statements_were_answered() {
    let Some(fixture) = Fixture::new() else { return };
    let mut wire = fixture.wire();
    fixture.proxy.fail_one_commit_in(2);
    let insert = "INSERT INTO t VALUES (1)";
    assert_eq!(wire.ask(&[execute(insert), sync()]), "1 2 C ZI");
    assert_eq!(wire.ask(&[execute("SELECT n FROM t"), sync()]), "1 2 D C ZI");
    assert_eq!(wire.ask(&[execute(insert), sync()]), "1 2 C E40001 ZI");
    assert_eq!(wire.ask(&[query(insert)]), "C ZI");
    assert_eq!(wire.ask(&[query(insert)]), "C E40001 ZI");
    assert_eq!(fixture.rows(), "1 1");
    assert_eq!(fixture.proxy.failures(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_test_may_stop_time_and_block() {
    let Some(fixture) = Fixture::new() else { return };
    assert_eq!(fixture.proxied.psql("SELECT 1"), "1");
}
