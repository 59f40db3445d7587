//! A database that does not do what it is asked for: what is said, and that all is well once it does again.

use tokio::task::block_in_place;
use tokio::time::timeout;

use super::*;

/// Takes something away, and gives it back.
struct Outage {
    begin: &'static str,
    end: &'static str,
    /// What is said of it.
    said: &'static str,
    /// It is no refusal: a server that takes writes may come.
    is_tried_again: bool,
}

/// No disk is full here: a trigger says what PostgreSQL says when one is.
const DISK_FULL: Outage = Outage {
    begin: "CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
            CREATE TRIGGER disk_is_full AFTER INSERT OR UPDATE ON countersign_entries EXECUTE FUNCTION disk_is_full()",
    end: "DROP FUNCTION disk_is_full() CASCADE",
    said: "No space left on device",
    is_tried_again: false,
};

const TABLE_GONE: Outage = Outage {
    begin: "ALTER TABLE countersign_entries RENAME TO elsewhere",
    end: "ALTER TABLE elsewhere RENAME TO countersign_entries",
    said: "\"countersign_entries\" does not exist",
    is_tried_again: false,
};

const READ_ONLY: Outage = Outage {
    begin: "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$;
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()",
    end: "SET default_transaction_read_only = off;
          DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$",
    said: "database does not allow writes",
    is_tried_again: true,
};

const NO_PERMISSION: Outage = Outage {
    begin: "REVOKE INSERT ON countersign_entries FROM somebody",
    end: "GRANT INSERT ON countersign_entries TO somebody",
    said: "permission denied for table countersign_entries",
    is_tried_again: false,
};

const LOAD: Workload = Workload {
    clients: 8,
    attempts: 4,
    counters: 8,
    deletes: true,
};

async fn is_said_and_passes(outage: Outage, database: Database, user: &str) {
    let url = database.url().replacen("postgres@", &format!("{user}@"), 1);
    // Short only where it is tried until there is no more time.
    let bounds = if outage.is_tried_again {
        short_bounds()
    } else {
        PostgresBounds::default()
    };
    let store = Arc::new(open_within(&url, bounds).await.unwrap());
    store.commit(put("key", "1")).await.unwrap();
    block_in_place(|| database.psql(outage.begin));
    let attempts = if outage.is_tried_again { 1 } else { LOAD.attempts };
    let during = Workload { attempts, ..LOAD }.run(&store, |_, _| ()).await;
    let said = store.commit(put("key", "2")).await.unwrap_err().to_string();
    assert!(said.contains(outage.said), "{said}");
    assert!(during.acknowledged.is_empty(), "{during:?}");
    block_in_place(|| database.psql(outage.end));
    during.check(&store).await;
    assert_eq!(value(&store, "key").await.as_deref(), Some("1"));
    let after = Workload { clients: 16, ..LOAD };
    let noted =
        block_in_place(|| database.psql("SELECT count(*) FROM countersign_entries WHERE key LIKE 'duse/%'"));
    assert_eq!(noted, "0", "nothing was half done");
    after
        .run(&store, |_, _| ())
        .await
        .check_without_errors(&store)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_passes() {
    is_said_and_passes(DISK_FULL, or_return!(new_database().await), "postgres").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_table_is_said_and_passes() {
    is_said_and_passes(TABLE_GONE, or_return!(new_database().await), "postgres").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_is_said_and_passes() {
    is_said_and_passes(READ_ONLY, or_return!(new_database().await), "postgres").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_said_and_passes() {
    let database = or_return!(new_database().await);
    block_in_place(|| {
        database.psql(
            "DO $$ BEGIN CREATE ROLE somebody LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
             GRANT ALL ON countersign_entries, countersign_schema TO somebody",
        )
    });
    is_said_and_passes(NO_PERMISSION, database, "somebody").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_closed_within_its_bounds_whatever_the_database_does() {
    let behind = or_return!(BehindProxy::new(short_bounds()).await);
    let store = &behind.store;
    store.commit(put("key", "")).await.unwrap();
    behind.proxy.freeze();
    let keys: Vec<String> = (0..1000).map(|key| key.to_string()).collect();
    let mut commits: Vec<_> = keys.iter().map(|key| store.commit(put(key, ""))).collect();
    // Polled once, each is in the queue.
    assert!(timeout(Duration::ZERO, join_all(&mut commits)).await.is_err());
    let bounds = short_bounds();
    let closed = timeout(
        bounds.commit + bounds.statement * 4 + Duration::from_secs(5),
        async { tokio::join!(store.close(), join_all(commits)) },
    );
    let (closed, answers) = closed.await.unwrap();
    closed.unwrap();
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(CommitError::Store(_))))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_can_wait_is_refused_at_once() {
    const WAITING: usize = 20_000;
    const MORE: usize = 1_000;
    let behind = or_return!(BehindProxy::new(PostgresBounds::default()).await);
    let store = &behind.store;
    store.commit(put("key", "")).await.unwrap();
    behind.proxy.freeze();
    let notes: Vec<String> = (0..WAITING + MORE).map(|note| format!("use/{note}")).collect();
    let mut commits: Vec<_> = notes.iter().map(|note| store.commit(put(note, ""))).collect();
    let mut answers = Vec::new();
    assert!(
        timeout(Duration::ZERO, join_all(&mut commits[..WAITING]))
            .await
            .is_err()
    );
    for commit in &mut commits[WAITING..] {
        let refused = timeout(Duration::ZERO, commit).await;
        answers.extend(refused);
    }
    // The writers have taken a group each.
    assert!(answers.len() > MORE - 200, "{}", answers.len());
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap_err().to_string().contains("too many"))
    );
    behind.proxy.thaw();
    let answers = join_all(&mut commits[..WAITING]).await;
    let applied = answers.iter().filter(|answer| answer.is_ok()).count();
    store.commit(put("key", "again")).await.unwrap();
    let there: usize = store
        .scan(Scan {
            prefix: b"use/".to_vec(),
            after: None,
            order: Order::Ascending,
            limit: usize::MAX,
        })
        .await
        .unwrap()
        .len();
    assert!(
        applied > 0 && there >= applied,
        "{applied} of {WAITING} were applied, {there} are there"
    );
}
