//! Servers that go, come back, or hand over.

use tokio::sync::oneshot;
use tokio::task::block_in_place;
use tokio::time::timeout;

use super::*;
use crate::postgres_server::{ClusterOptions, Replication};

const LOAD: Workload = Workload {
    clients: 16,
    attempts: 60,
    counters: 16,
    deletes: true,
};

const DURABLE: ClusterOptions = ClusterOptions {
    disk: None,
    fsync: true,
    password: None,
    settings: "",
    tls: false,
};

/// A new database on this server.
async fn database_on(cluster: &Cluster) -> Database {
    let database = block_in_place(|| cluster.database());
    PostgresStore::migrate(&address(&database.url())).await.unwrap();
    database
}

/// The address of a database that has a standby.
fn url_of_both(database: &Database, standby: &Cluster) -> String {
    let (first, second) = (database.address().port(), standby.address().port());
    format!(
        "postgres://postgres@127.0.0.1:{first},127.0.0.1:{second}/{}",
        database.name()
    )
}

/// Waits until a query has a row. The server asks itself.
fn wait_until(database: &Database, query: &str) {
    database.psql(&format!(
        "DO $$ BEGIN
           FOR attempt IN 1..3000 LOOP
             IF EXISTS ({query}) THEN RETURN; END IF;
             PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
           END LOOP;
           RAISE 'not within 30 s';
         END $$"
    ));
}

/// Runs the load, does `fault` in the middle of it, and looks how long it takes until the store can be used again.
async fn reconnects_under_load(store: &Arc<PostgresStore>, fault: impl FnOnce()) {
    let (begun, has_begun) = oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let before = move |client: usize, attempt: usize| {
        if client == 0 && attempt == 10 {
            let begun = begun.lock().unwrap().take();
            begun.unwrap().send(()).unwrap();
        }
    };
    let load = {
        let store = Arc::clone(store);
        tokio::spawn(async move { LOAD.run(&store, before).await })
    };
    has_begun.await.unwrap();
    block_in_place(fault);
    let (committed, read) = tokio::join!(
        timeout(RECONNECT_BOUND, store.commit(put("probe", ""))),
        timeout(RECONNECT_BOUND, store.get(b"probe")),
    );
    read.unwrap().unwrap();
    committed.unwrap().unwrap();
    let history = load.await.unwrap();
    assert!(!history.acknowledged.is_empty());
    history.check(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_started_again_has_all_that_it_acknowledged() {
    let cluster = or_return!(Cluster::own(DURABLE));
    let database = database_on(&cluster).await;
    let store = Arc::new(open(&database.url()).await.unwrap());
    reconnects_under_load(&store, || {
        cluster.kill();
        cluster.start();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_takes_over_has_all_that_was_acknowledged() {
    let primary = or_return!(Cluster::own(DURABLE));
    let database = database_on(&primary).await;
    let standby = block_in_place(|| primary.standby(Replication::Synchronous));
    let store = open(&url_of_both(&database, &standby)).await.unwrap();
    reconnects_under_load(&Arc::new(store), || {
        primary.kill();
        standby.promote();
    })
    .await;
}

/// Whoever reads on the standby then finds unused what was used. So nothing is answered at all: neither by connections that
/// write nor by those that read, asked or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_was_behind_is_not_used() {
    let primary = or_return!(Cluster::own(ClusterOptions::default()));
    let database = database_on(&primary).await;
    let standby = block_in_place(|| primary.standby(Replication::Asynchronous));
    let url = url_of_both(&database, &standby);
    let stores = join_all((0..4).map(|_| open(&url))).await;
    let stores: Vec<_> = stores.into_iter().map(Result::unwrap).collect();
    let [asked, idle, exporting, reading] = &stores[..] else {
        unreachable!();
    };
    for store in &stores {
        store.commit(put("code", "unused")).await.unwrap();
    }
    block_in_place(|| standby.stop_following(&database));
    for store in &stores {
        store.commit(put("code", "used")).await.unwrap();
    }
    block_in_place(|| standby.promote());
    // The primary is there yet, and whoever writes is connected to it.
    let connector = Connector::new(
        address(&database.at(standby.address()).url()),
        PostgresBounds::default(),
    );
    let connector = connector.unwrap();
    let exported = export::begin(&connector, &exporting.context.acknowledgements).await;
    assert_lost(exported.map(|_| ()));
    assert_lost(exporting.get(b"code").await);
    let readers = |marks: &Arc<Acknowledgements>| ReadPool::new(Arc::clone(&connector), Arc::clone(marks), 1);
    let of_a_new_process = readers(&Arc::default());
    assert!(of_a_new_process.query("SELECT 1", &[]).await.is_ok());
    let of_an_old_one = readers(&reading.context.acknowledgements);
    assert_lost(of_an_old_one.query("SELECT 1", &[]).await);
    assert_lost(
        reading
            .commit(put("other", ""))
            .await
            .map_err(|error| match error {
                CommitError::Store(error) => error,
                CommitError::Conflict => panic!("a conflict"),
            }),
    );
    block_in_place(|| primary.kill());
    assert_lost(asked.get(b"code").await);
    let committed = asked.commit(put("other", "")).await;
    assert!(committed.unwrap_err().to_string().contains("lost commits"));
    assert_lost(asked.get_many(&[]).await);
    assert_lost(asked.export().await.map(|_| ()));
    let noticed = timeout(Duration::from_secs(20), async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while idle.context.acknowledgements.check().is_ok() {
            looks.tick().await;
        }
    });
    noticed.await.unwrap();
    assert_lost(idle.get(b"code").await);
    goes_on(idle, asked, &of_a_new_process).await;
}

/// What goes on rests on nothing of before, and no version is given again.
async fn goes_on(one: &PostgresStore, other: &PostgresStore, new: &ReadPool) {
    let before = new
        .query(SCAN_UP, &[&entry_key(b"code"), &entry_key(b"codf"), &1_i64])
        .await
        .unwrap();
    let before = entry_in(&before[0], 1).unwrap().version;
    one.go_on_after_loss(b"epoch".to_vec(), &|_| Ok(b"1".to_vec()))
        .await
        .unwrap();
    assert!(!one.has_lost_commits() && other.has_lost_commits());
    let epoch = one.get(b"epoch").await.unwrap().unwrap();
    assert_eq!(epoch.value, b"1");
    assert!(epoch.version > before && epoch.version.0 > u64::from(other.node) << 32);
    assert_eq!(one.get(b"code").await.unwrap().unwrap().value, b"unused");
    one.commit(put("code", "void")).await.unwrap();
    assert!(one.get(b"code").await.unwrap().unwrap().version > epoch.version);
    assert_lost(other.get(b"code").await);
    other
        .go_on_after_loss(b"epoch".to_vec(), &|_| Ok(b"2".to_vec()))
        .await
        .unwrap();
    let second = other.get(b"epoch").await.unwrap().unwrap();
    assert!(second.version > one.get(b"code").await.unwrap().unwrap().version);
    // Whoever hears of it goes on above it.
    one.raise_versions().await.unwrap();
    one.commit(put("code", "new")).await.unwrap();
    assert!(one.get(b"code").await.unwrap().unwrap().version > second.version);
    let refused = one
        .go_on_after_loss(b"epoch".to_vec(), &|_| Ok(b"3".to_vec()))
        .await;
    assert!(refused.unwrap_err().to_string().contains("lost nothing"));
}

fn assert_lost<T: fmt::Debug>(outcome: Result<T, StoreError>) {
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("lost commits"), "{error}");
}

/// Somebody cancels the wait for the standby, or ends the session that waits. The server has the commit then, and the standby
/// does not: it is no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_not_acknowledged_before_the_standby_has_it() {
    let primary = or_return!(Cluster::own(ClusterOptions::default()));
    let database = database_on(&primary).await;
    let standby = block_in_place(|| primary.standby(Replication::Synchronous));
    // Nobody gives up while the test looks.
    let minute = Duration::from_mins(1);
    let options = PostgresOptions {
        // It has its slot, so that nothing else waits.
        writers: 1,
        bounds: PostgresBounds {
            statement: minute,
            commit: 2 * minute,
            ..PostgresBounds::default()
        },
        ..PostgresOptions::new(address(&database.url()))
    };
    let store = PostgresStore::open(&options, Arc::new(SystemClock)).await;
    let store = Arc::new(store.unwrap());
    store.commit(put("key", "0")).await.unwrap();
    let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()";
    for (function, key) in [("pg_cancel_backend", "one"), ("pg_terminate_backend", "other")] {
        block_in_place(|| standby.stop());
        let commit = {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(put(key, "")).await })
        };
        block_in_place(|| {
            wait_until(&database, &format!("SELECT {waiting}"));
            database.psql(&format!("SELECT {function}(pid) {waiting}"));
            let there = format!("SELECT FROM countersign_entries WHERE key = 'd{key}'");
            wait_until(&database, &there);
            // What is written next waits as well.
            wait_until(&database, &format!("SELECT {waiting}"));
        });
        assert!(!commit.is_finished());
        block_in_place(|| standby.start());
        commit.await.unwrap().unwrap();
        let there = format!("SELECT FROM countersign_entries WHERE key = 'd{key}'");
        block_in_place(|| wait_until(&database.at(standby.address()), &there));
    }
}

/// How soon it must be used again: 5 s, and what a machine under load adds.
const RECONNECT_BOUND: Duration = Duration::from_secs(8);
