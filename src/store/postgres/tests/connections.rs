//! Connections that break, or hang, and transactions that fail: what clients were told is how it is.

use std::sync::atomic::AtomicBool;

use tokio::time::timeout;

use super::*;

const MANY_AT_ONCE: Workload = Workload {
    clients: 24,
    attempts: 12,
    counters: 12,
    deletes: false,
};

const ONE_AT_A_TIME: Workload = Workload {
    clients: 1,
    attempts: 40,
    counters: 1,
    deletes: false,
};

/// Runs each workload, with deletes and without, and cuts a connection at every fourth attempt of the first client.
async fn cut_at_commits(cut: impl Fn(&Proxy) + Send + Sync + Copy + 'static) {
    for workload in [MANY_AT_ONCE, ONE_AT_A_TIME] {
        for deletes in [false, true] {
            let behind = or_return!(BehindProxy::new(PostgresBounds::default()).await);
            let proxy = Arc::new(behind.proxy);
            let workload = Workload { deletes, ..workload };
            let cutting = Arc::clone(&proxy);
            let before = move |client: usize, attempt: usize| {
                if client == 0 && attempt % 4 == 3 {
                    cut(&cutting);
                }
            };
            let history = workload.run(&behind.store, before).await;
            history.check_without_errors(&behind.store).await;
            assert!(proxy.cuts_at_commits() > 2, "{}", proxy.cuts_at_commits());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_before_a_commit_is_no_error() {
    cut_at_commits(Proxy::cut_before_commit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_after_a_commit_is_no_error() {
    cut_at_commits(Proxy::cut_after_commit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_lost_is_no_error() {
    let behind = or_return!(BehindProxy::new(PostgresBounds::default()).await);
    let proxy = Arc::new(behind.proxy);
    let cutting = Arc::clone(&proxy);
    let before = move |client: usize, attempt: usize| {
        if client == 0 && attempt % 4 == 3 {
            cutting.cut();
        }
    };
    let history = MANY_AT_ONCE.run(&behind.store, before).await;
    history.check_without_errors(&behind.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serialization_failures_are_nobodys_errors() {
    for deletes in [false, true] {
        let behind = or_return!(BehindProxy::new(PostgresBounds::default()).await);
        behind.proxy.fail_one_statement_in(10);
        behind.proxy.fail_one_commit_in(10);
        // The quicker the database, the more commits go in one statement: enough of them for many statements all the same.
        let workload = Workload {
            deletes,
            attempts: 4 * MANY_AT_ONCE.attempts,
            ..MANY_AT_ONCE
        };
        let history = workload.run(&behind.store, |_, _| ()).await;
        history.check_without_errors(&behind.store).await;
        assert!(behind.proxy.failures() > 10, "{}", behind.proxy.failures());
    }
}

/// A node starts while others do, and while transactions fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_start_at_once() {
    let database = or_return!(new_database().await);
    let proxy = Proxy::start(database.address());
    proxy.fail_one_statement_in(7);
    let url = database.at(proxy.address()).url();
    let opened = join_all((0..8).map(|_| open(&url))).await;
    for store in opened {
        store.unwrap().commit(put("key", "")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_answers_are_found_out_about() {
    let behind = or_return!(BehindProxy::new(short_bounds()).await);
    let proxy = Arc::new(behind.proxy);
    let delaying = Arc::clone(&proxy);
    let before = move |client: usize, attempt: usize| match (client, attempt) {
        (0, 3) => delaying.delay_answers(Duration::from_millis(1300)),
        (0, 5) => delaying.delay_answers(Duration::ZERO),
        _ => {}
    };
    let workload = Workload {
        attempts: 6,
        deletes: true,
        ..MANY_AT_ONCE
    };
    let history = workload.run(&behind.store, before).await;
    proxy.delay_answers(Duration::ZERO);
    history.check(&behind.store).await;
    behind.store.commit(put("key", "")).await.unwrap();
}

/// The other end is gone and nobody says so. What is asked meanwhile fails within its bounds; once the network is back, all
/// goes on, on new connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hangs_is_given_up_within_its_bounds() {
    let behind = or_return!(BehindProxy::new(short_bounds()).await);
    let store = &behind.store;
    store.commit(put("key", "1")).await.unwrap();
    join_all((0..4).map(|_| store.get(b"key"))).await;
    behind.proxy.freeze();
    let bounds = short_bounds();
    let slack = Duration::from_secs(5);
    let begun = Instant::now();
    let (read, committed) = tokio::join!(store.get(b"key"), store.commit(put("key", "2")));
    assert!(begun.elapsed() < bounds.commit + bounds.statement + slack);
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert!(matches!(committed, Err(CommitError::Store(_))), "{committed:?}");
    behind.proxy.cut();
    behind.proxy.thaw();
    assert!(store.get(b"key").await.unwrap().is_some());
    store.commit(put("key", "3")).await.unwrap();
    assert_eq!(value(store, "key").await.as_deref(), Some("3"));
}

/// The connections that are there hang, as behind a router that forgot them; new ones do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_hang_are_replaced() {
    let behind = or_return!(BehindProxy::new(short_bounds()).await);
    let store = &behind.store;
    store.commit(put("key", "1")).await.unwrap();
    join_all((0..4).map(|_| store.get(b"key"))).await;
    let connections = behind.proxy.connections();
    behind.proxy.freeze();
    let asked = {
        let store = Arc::clone(store);
        tokio::spawn(async move { tokio::join!(store.get(b"key"), store.commit(put("key", "2"))) })
    };
    // They have given up those that hang when they make others.
    while behind.proxy.connections() < connections + 2 {
        tokio::task::yield_now().await;
    }
    behind.proxy.thaw();
    let (read, committed) = asked.await.unwrap();
    assert!(read.unwrap().is_some());
    committed.unwrap();
    assert_eq!(value(store, "key").await.as_deref(), Some("2"));
}

/// Two reads are under way and are answered late. What comes then goes on another connection, and does not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_take_long_hold_no_other_read_up() {
    let behind = or_return!(BehindProxy::new(PostgresBounds::default()).await);
    let store = &behind.store;
    store.commit(put("key", "1")).await.unwrap();
    // Each on a connection of its own, which is there then and knows the statement.
    behind.proxy.delay_answers(Duration::from_millis(200));
    let keys = vec![entry_key(b"key")];
    let parameters: [&(dyn ToSql + Sync); 1] = [&keys];
    join_all((0..4).map(|_| store.pool.query(read_groups::GET_MANY, &parameters))).await;
    let late = Duration::from_secs(2);
    behind.proxy.delay_answers(late);
    let begun = Instant::now();
    let mut reads = Vec::new();
    for _ in 0..4 {
        let store = Arc::clone(store);
        reads.push(tokio::spawn(async move { store.get(b"key").await }));
        sleep(Duration::from_millis(5)).await;
    }
    for read in reads {
        assert!(read.await.unwrap().unwrap().is_some());
    }
    // One after the other on two connections they take twice as long.
    assert!(begun.elapsed() < late * 2, "{:?}", begun.elapsed());
    behind.proxy.delay_answers(Duration::ZERO);
}

/// A host that takes connections and says nothing must not keep from the one behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_says_nothing_is_passed_over() {
    let database = or_return!(new_database().await);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/{}",
        silent.local_addr().unwrap().port(),
        database.address().port(),
        database.name()
    );
    let store = open(&url).await.unwrap();
    store.commit(put("key", "")).await.unwrap();
    assert!(store.get(b"key").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_waits_for_is_done_all_the_same() {
    let behind = or_return!(BehindProxy::new(PostgresBounds::default()).await);
    let store = &behind.store;
    store.commit(put("key", "1")).await.unwrap();
    behind.proxy.freeze();
    // Polled once, it is in the queue.
    let dropped = timeout(Duration::ZERO, store.commit(put("key", "2"))).await;
    assert!(dropped.is_err());
    behind.proxy.thaw();
    let version = version(store, "key").await;
    // What comes behind it in the line of its key sees it done.
    let stale = store
        .commit(put("key", "3").assert_at(b"key".to_vec(), version))
        .await;
    assert!(
        stale.is_ok() || matches!(stale, Err(CommitError::Conflict)),
        "{stale:?}"
    );
    store.commit(put("other", "")).await.unwrap();
    let expected = if stale.is_ok() { "3" } else { "2" };
    assert_eq!(value(store, "key").await.as_deref(), Some(expected));
    assert_eq!(store.statistics().commits, if stale.is_ok() { 4 } else { 3 });
}

/// A clock that panics when it is told to, as any defect in a writer would.
#[derive(Debug, Default)]
struct BrokenClock(AtomicBool);

impl Clock for BrokenClock {
    fn now(&self) -> Timestamp {
        assert!(!self.0.load(Ordering::SeqCst), "the clock is broken");
        SystemClock.now()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_panics_fails_its_group_and_goes_on() {
    let database = or_return!(new_database().await);
    let clock = Arc::new(BrokenClock::default());
    let options = PostgresOptions {
        writers: 1,
        ..PostgresOptions::new(address(&database.url()))
    };
    let store = PostgresStore::open(&options, Arc::clone(&clock) as Arc<dyn Clock>);
    let store = store.await.unwrap();
    store.commit(put("key", "1")).await.unwrap();
    clock.0.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let failed = store.commit(put("key", "2")).await.unwrap_err().to_string();
        assert!(failed.contains("a writer stopped"), "{failed}");
    }
    clock.0.store(false, Ordering::SeqCst);
    store.commit(put("key", "3")).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_is_one_round_trip() {
    let database = or_return!(new_database().await);
    let proxy = Proxy::start(database.address());
    let options = PostgresOptions {
        writers: 1,
        ..PostgresOptions::new(address(&database.at(proxy.address()).url()))
    };
    let store = PostgresStore::open(&options, Arc::new(SystemClock))
        .await
        .unwrap();
    let all = Scan {
        prefix: vec![],
        after: None,
        order: Order::Ascending,
        limit: 10,
    };
    // Statements are prepared once on a connection: the second time is what counts.
    let mut requests = [0; 5];
    for _ in 0..2 {
        let mut before = proxy.round_trips();
        let mut count = || {
            let now = proxy.round_trips();
            now - std::mem::replace(&mut before, now)
        };
        store.get(b"key").await.unwrap();
        requests[0] = count();
        store
            .get_many(&[b"key".to_vec(), b"other".to_vec()])
            .await
            .unwrap();
        requests[1] = count();
        store.scan(all.clone()).await.unwrap();
        requests[2] = count();
        store.commit(put("key", "")).await.unwrap();
        requests[3] = count();
        store
            .commit(put("key", "").delete(b"other".to_vec()))
            .await
            .unwrap();
        requests[4] = count();
    }
    // With deletes four requests go together: begin, put, delete, commit.
    assert_eq!(requests, [1, 1, 1, 1, 4]);
}

/// Reads of many keys at once, a third of which nobody waits for in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_reads_at_once_gets_its_own() {
    let one = or_return!(EmptyStore::new().await);
    for number in (0..200).step_by(2) {
        let text = number.to_string();
        one.store.commit(put(&text, &text)).await.unwrap();
    }
    let reads = (0..600).map(|number| {
        let store = &one.store;
        async move {
            let key = (number % 200).to_string();
            let read = value(store, &key);
            if number % 3 == 0 {
                let _dropped = timeout(Duration::ZERO, read).await;
                return;
            }
            assert_eq!(read.await, (number % 2 == 0).then_some(key));
        }
    });
    join_all(reads).await;
    let keys: Vec<Vec<u8>> = ["4", "none", "2", "4"].map(Into::into).into();
    let found = one.store.get_many(&keys).await.unwrap();
    let values: Vec<_> = found
        .iter()
        .map(|entry| entry.as_ref().map(|entry| entry.value.as_slice()))
        .collect();
    assert_eq!(values, [Some(b"4".as_slice()), None, Some(b"2"), Some(b"4")]);
}
