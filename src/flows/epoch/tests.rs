//! Epochs in a database that several processes share.

use super::*;
use crate::domain::time::SystemClock;
use crate::doubles::TestParts;
use crate::flows::store_format;
use crate::postgres_server::{Cluster, Database};
use crate::store::postgres::{PostgresAddress, PostgresOptions, PostgresStore};

async fn node_on(database: &Database) -> App {
    let address = PostgresAddress::parse(&database.url(), None).unwrap();
    PostgresStore::migrate(&address).await.unwrap();
    let store = PostgresStore::open(&PostgresOptions::new(address), Arc::new(SystemClock)).await;
    let parts = TestParts {
        store: Arc::new(store.unwrap()),
        ..TestParts::default()
    };
    let app = parts.wire();
    store_format::check(&app).await.unwrap();
    app
}

fn number(app: &App) -> u32 {
    app.memory.epoch.get().unwrap().0.number
}

/// A second standby that was behind may have lost what the first one had: what was void must not be good again, though nobody
/// was acknowledged anything since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_is_forgotten_is_begun_anew() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = tokio::task::block_in_place(|| cluster.database());
    let app = node_on(&database).await;
    let epoch = "FROM countersign_entries WHERE key = 'd~'";
    let forgotten = database.psql(&format!("SELECT version {epoch}"));
    app.store.report_loss();
    begin_after_loss(&app).await.unwrap();
    assert_eq!(number(&app), 1);
    for (known, forget) in [
        (
            1,
            format!(
                "UPDATE countersign_entries SET version = {} WHERE key = 'd~'",
                forgotten.trim()
            ),
        ),
        (2, format!("DELETE {epoch}")),
    ] {
        assert_eq!(number(&app), known);
        database.psql(&forget);
        let refused = learn(&app).await;
        assert!(matches!(refused, Err(Fault::Unavailable(_))), "{refused:?}");
        assert_eq!(number(&app), known, "what is void stays void");
        assert!(app.store.has_lost_commits());
        begin_after_loss(&app).await.unwrap();
        assert_eq!(number(&app), known + 1);
        assert!(!app.store.has_lost_commits());
    }
}
