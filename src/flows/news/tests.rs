//! Processes on one database that wake each other's waiters.

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::domain::entity::EntityScope;
use crate::domain::sid::{AccountSid, EntitySid, ServiceSid};
use crate::domain::text::Identity;
use crate::domain::time::SystemClock;
use crate::doubles::TestParts;
use crate::memory::waiters::{Interest, Waiter};
use crate::postgres_server::{Cluster, Database};
use crate::store::postgres::{PostgresAddress, PostgresOptions, PostgresStore};
use crate::store::sled::{Options, SledStore};

struct WaitingNode {
    app: Arc<App>,
    task: JoinHandle<Infallible>,
}

impl WaitingNode {
    async fn on(database: &Database) -> Self {
        let address = PostgresAddress::parse(&database.url(), None).unwrap();
        PostgresStore::migrate(&address).await.unwrap();
        let store = PostgresStore::open(&PostgresOptions::new(address), Arc::new(SystemClock)).await;
        let parts = TestParts {
            store: Arc::new(store.unwrap()),
            ..TestParts::default()
        };
        let app = Arc::new(parts.wire());
        Self {
            task: tokio::spawn(keep_up(Arc::clone(&app))),
            app,
        }
    }

    fn waiter(&self, number: u8) -> Waiter {
        let waiters = &self.app.memory.waiters;
        waiters.register(&scope(number), Interest::Entity, 100).unwrap()
    }
}

impl Drop for WaitingNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn scope(number: u8) -> EntityScope {
    EntityScope {
        account: AccountSid::from_bytes([number; 16]),
        service: ServiceSid::from_bytes([number; 16]),
        identity: Identity::parse("user-0001").unwrap(),
        entity: EntitySid::from_bytes([number; 16]),
    }
}

/// Whether the waiter is woken, for whatever reason, before others could have woken it by polling.
async fn is_woken(waiter: &Waiter) -> bool {
    timeout(Duration::from_secs(5), waiter.woken()).await.is_ok()
}

/// Returns when the node hears what others tell: its waiter was woken by that, and not only because it began to listen.
async fn until_it_hears(node: &WaitingNode, other: &WaitingNode) {
    let waiter = node.waiter(99);
    for _ in 0..100 {
        other.app.memory.waiters.entity_changed(scope(99).entity);
        // The first time it may be woken because it begins to listen; then the pass over all is over, too.
        if timeout(Duration::from_millis(100), waiter.woken()).await.is_ok()
            && timeout(Duration::from_millis(50), waiter.woken()).await.is_err()
        {
            return;
        }
    }
    panic!("it hears nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_at_one_node_wakes_whom_it_concerns_at_the_other() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let (one, other) = (WaitingNode::on(&database).await, WaitingNode::on(&database).await);
    until_it_hears(&other, &one).await;
    let (concerned, not_concerned) = (other.waiter(1), other.waiter(2));
    let changes: [fn(&App); 3] = [
        |app| app.memory.waiters.entity_changed(scope(1).entity),
        |app| app.memory.waiters.service_changed(scope(1).service),
        |app| app.memory.waiters.account_changed(scope(1).account),
    ];
    for change in changes {
        change(&one.app);
        assert!(is_woken(&concerned).await);
    }
    let not_woken = timeout(Duration::ZERO, not_concerned.woken()).await;
    assert!(not_woken.is_err(), "whom it does not concern sleeps on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_could_not_hear_has_everybody_look() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let (one, other) = (WaitingNode::on(&database).await, WaitingNode::on(&database).await);
    until_it_hears(&other, &one).await;
    let waiter = other.waiter(1);
    database.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND query = 'LISTEN countersign'",
    );
    assert!(is_woken(&waiter).await, "something may have been missed");
    until_it_hears(&other, &one).await;
}

#[test]
fn a_store_of_one_process_has_nobody_to_tell() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(&Options::new(directory.path())).unwrap();
    assert!(crate::store::Store::announcements(&store).is_none());
}
