//! Rows that know how far another store has come.

use super::*;

const STORE: &str = "8badf00d8badf00d8badf00d8badf00d";

async fn empty_database() -> Option<Database> {
    tokio::task::spawn_blocking(|| Some(Cluster::shared()?.database()))
        .await
        .unwrap()
}

async fn take(url: &str, store: &str) -> Result<WitnessRow, RowFailure> {
    WitnessRow::take_within(Duration::ZERO, address(url), short_bounds(), store.to_owned()).await
}

async fn psql(database: &Database, statements: &'static str) -> String {
    let database = database.clone();
    tokio::task::spawn_blocking(move || database.psql(statements))
        .await
        .unwrap()
}

/// Ends every connection to the database but the one that does it.
const CUT: &str = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn what_was_read_is_replaced_and_nothing_else() {
    let database = or_return!(empty_database().await);
    let mut row = take(&database.url(), STORE).await.unwrap();
    row.require_writable().await.unwrap();
    assert_eq!(row.read().await.unwrap(), None, "a trial leaves nothing");
    row.replace(None, "one").await.unwrap();
    assert!(matches!(row.replace(None, "two").await, Err(RowFailure::Changed)));
    assert!(matches!(
        row.replace(Some("zero"), "two").await,
        Err(RowFailure::Changed)
    ));
    row.replace(Some("one"), "two").await.unwrap();
    row.require_writable().await.unwrap();
    assert_eq!(row.read().await.unwrap().as_deref(), Some("two"));
    // What somebody put there is no more than what can be dealt with, and gone with the next word.
    psql(
        &database,
        "UPDATE countersign_witness SET said = repeat('x', 100000)",
    )
    .await;
    let found = row.read().await.unwrap();
    assert_eq!(found.as_ref().map(String::len), Some(1000));
    row.replace(found.as_deref(), "three").await.unwrap();
    assert_eq!(row.read().await.unwrap().as_deref(), Some("three"));
    psql(&database, "DELETE FROM countersign_witness").await;
    assert!(matches!(
        row.replace(Some("three"), "four").await,
        Err(RowFailure::Changed)
    ));
}

#[tokio::test]
async fn stores_have_a_row_each_and_one_process_has_a_row() {
    let database = or_return!(empty_database().await);
    let url = database.url();
    let mut row = take(&url, STORE).await.unwrap();
    let mut other = take(&url, "0123456789abcdef0123456789abcdef").await.unwrap();
    row.replace(None, "ours").await.unwrap();
    other.replace(None, "theirs").await.unwrap();
    assert_eq!(row.read().await.unwrap().as_deref(), Some("ours"));
    assert!(matches!(take(&url, STORE).await, Err(RowFailure::Taken)));
    drop(row);
    // The database hears of it a moment later.
    let mut row = WitnessRow::take(address(&url), short_bounds(), STORE.to_owned())
        .await
        .unwrap();
    assert_eq!(row.read().await.unwrap().as_deref(), Some("ours"));
}

/// A connection that is lost is made again, with its lock; unless another process has it by then: that one's word is read, and
/// not written over.
#[tokio::test]
async fn a_connection_that_is_lost_is_made_again_and_a_lock_that_is_lost_is_not_broken() {
    let database = or_return!(empty_database().await);
    let url = database.url();
    let mut row = take(&url, STORE).await.unwrap();
    row.replace(None, "one").await.unwrap();
    psql(&database, CUT).await;
    // Whether the end was heard of by now or not.
    while row.read().await.is_err() {}
    row.replace(Some("one"), "two").await.unwrap();
    assert!(matches!(take(&url, STORE).await, Err(RowFailure::Taken)));

    psql(&database, CUT).await;
    let mut another = take(&url, STORE).await.unwrap();
    while row.read().await.is_err() {}
    assert!(matches!(
        row.replace(Some("two"), "three").await,
        Err(RowFailure::Taken)
    ));
    another.replace(Some("two"), "further").await.unwrap();
    assert_eq!(row.read().await.unwrap().as_deref(), Some("further"));
    psql(&database, CUT).await;
    drop(another);
    while row.read().await.is_err() {}
    row.replace(Some("further"), "three").await.unwrap();
}

/// It is given up within its bounds, and asked again once it answers.
#[tokio::test]
async fn a_database_that_hangs_is_given_up_in_time() {
    let database = or_return!(empty_database().await);
    let proxy = Proxy::start(database.address());
    let mut row = take(&database.at(proxy.address()).url(), STORE).await.unwrap();
    row.replace(None, "one").await.unwrap();
    proxy.freeze();
    let began = Instant::now();
    let failed = row.read().await.unwrap_err().to_string();
    assert!(failed.contains("no answer within 1 s"), "{failed}");
    assert!(row.replace(Some("one"), "two").await.is_err());
    assert!(began.elapsed() < Duration::from_secs(10));
    proxy.thaw();
    // The lock of the connection that was given up is free once its end has come through.
    while row.replace(Some("one"), "two").await.is_err() {}
    assert_eq!(row.read().await.unwrap().as_deref(), Some("two"));
}

#[tokio::test]
async fn whoever_may_not_make_the_table_is_told_how_it_is_made() {
    let database = or_return!(empty_database().await);
    psql(
        &database,
        "DO $$ BEGIN CREATE ROLE watched LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    .await;
    let url = database.url().replace("postgres@", "watched@");
    let failed = take(&url, STORE).await.unwrap_err().to_string();
    let (_, advice) = failed.split_once("have whoever may run: ").unwrap();
    let made = advice.replace("the user of the address", "watched");
    let made: &'static str = made.leak();
    psql(&database, made).await;
    let mut row = take(&url, STORE).await.unwrap();
    row.require_writable().await.unwrap();
    row.replace(None, "one").await.unwrap();

    psql(&database, "REVOKE UPDATE ON countersign_witness FROM watched").await;
    assert!(row.require_writable().await.is_err());
    // What failed has left no transaction behind.
    assert_eq!(row.read().await.unwrap().as_deref(), Some("one"));
}

/// As [`CUT`], of whoever has asked for nothing since it wrote the row.
const CUT_OWNER: &str = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'INSERT INTO countersign_witness%'";

/// Waits until so many connections have asked for this last.
async fn wait_for_last(database: &Database, asked: &'static str) {
    while psql(database, asked).await == "0" {}
}

/// A database that starts anew cuts all connections: whoever waits for a row that has an owner lets that one have it again.
#[tokio::test]
async fn whoever_waited_for_a_row_leaves_it_to_an_owner_that_asks_again() {
    let database = or_return!(empty_database().await);
    let url = database.url();
    for owner_asks_again in [true, false] {
        let mut row = take(&url, STORE).await.unwrap();
        psql(&database, "DELETE FROM countersign_witness").await;
        row.replace(None, "ours").await.unwrap();
        let place = (address(&url), short_bounds(), STORE.to_owned());
        let waiting = tokio::spawn(async move {
            let (address, bounds, store) = place;
            let taken = WitnessRow::take_within(Duration::from_mins(1), address, bounds, store).await;
            (taken, Instant::now())
        });
        wait_for_last(
            &database,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND query LIKE 'SELECT pg_try_advisory_lock%'",
        )
        .await;
        assert!(!waiting.is_finished());
        assert_eq!(psql(&database, CUT_OWNER).await, "1");
        // It had it, and gives it back.
        wait_for_last(
            &database,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND query LIKE 'SELECT pg_advisory_unlock%'",
        )
        .await;
        let unlocked = Instant::now();
        if owner_asks_again {
            while row.read().await.is_err() {}
            row.replace(Some("ours"), "ours again").await.unwrap();
        }
        let (taken, ended) = waiting.await.unwrap();
        // How long it leaves to the owner, who asks every two seconds; it began before that was seen.
        assert!(
            ended + Duration::from_secs(2) > unlocked + Duration::from_secs(5),
            "{:?}",
            ended.saturating_duration_since(unlocked)
        );
        if owner_asks_again {
            assert!(matches!(taken, Err(RowFailure::Taken)), "{taken:?}");
            assert_eq!(row.read().await.unwrap().as_deref(), Some("ours again"));
            psql(&database, CUT).await;
            drop(row);
        } else {
            let mut theirs = taken.unwrap();
            assert_eq!(theirs.read().await.unwrap().as_deref(), Some("ours"));
            theirs.replace(Some("ours"), "theirs").await.unwrap();
        }
    }
}
