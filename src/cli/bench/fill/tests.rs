//! What is filled is what the API's requests leave, on every engine.

use tempfile::TempDir;

use super::*;
use crate::domain::time::{SystemClock, Timestamp};
use crate::doubles::TestParts;
use crate::flows::page::{Cursor, PageRequest};
use crate::flows::store_format;
use crate::postgres_server::Cluster;
use crate::store::postgres::{PostgresAddress, PostgresOptions, PostgresStore};
use crate::store::sled::{Options, SledStore};
use crate::store::{Order, Scan, Store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_filled_is_what_each_enrolment_by_itself_leaves_on_sled() {
    let directory = TempDir::new().unwrap();
    let options = Options {
        cache_bytes: 8 * 1024 * 1024,
        ..Options::new(directory.path())
    };
    let store = SledStore::open(&options).unwrap();
    what_is_filled_is_what_each_enrolment_by_itself_leaves(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_filled_is_what_each_enrolment_by_itself_leaves_on_postgres() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = tokio::task::block_in_place(|| cluster.database());
    let address = PostgresAddress::parse(&database.url(), None).unwrap();
    PostgresStore::migrate(&address).await.unwrap();
    let store = PostgresStore::open(&PostgresOptions::new(address), Arc::new(SystemClock)).await;
    what_is_filled_is_what_each_enrolment_by_itself_leaves(Arc::new(store.unwrap())).await;
}

/// Both draw the same random bytes, so that what they seal is equal, too.
async fn what_is_filled_is_what_each_enrolment_by_itself_leaves(store: Arc<dyn Store>) {
    let population = Population::of("a seed");
    let filled = app_with(Arc::clone(&store)).await;
    let fill = of(&filled, &population);
    assert_eq!(fill.up_to(3, &mut |_| {}).await.unwrap(), 3);
    assert_eq!(fill.up_to(5, &mut |_| {}).await.unwrap(), 5);
    let commits = store.statistics().commits;
    assert_eq!(
        fill.up_to(4, &mut |_| {}).await.unwrap(),
        5,
        "there are more already"
    );
    assert_eq!(store.statistics().commits, commits);

    let singly = TestParts::default().wire();
    store_format::check(&singly).await.unwrap();
    let one_by_one = of(&singly, &population);
    let turn = Arc::new(EnrolmentTurn::new(population.clone()));
    one_by_one.prepare(&turn).await.unwrap();
    let app = one_by_one.app_of(&turn);
    for number in 1..=5 {
        turn.begin(number);
        one_by_one.enrol(&app, number).await.unwrap();
    }
    assert_eq!(all_of(&filled).await, all_of(&singly).await);

    let name = fill.name(5).unwrap();
    let all = PageRequest {
        size: 10,
        cursor: Cursor::Start,
        order: Order::Ascending,
    };
    let listed = flows::factor::list(&filled, population.account(), &name, all).await;
    let sids: Vec<FactorSid> = listed.unwrap().1.items.iter().map(|factor| factor.sid).collect();
    assert_eq!(sids, [population.factor(5)]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_store_with_other_accounts_is_left_alone_unless_it_is_meant() {
    let app = TestParts::default().wire();
    store_format::check(&app).await.unwrap();
    let name = FriendlyName::parse("Owl Bank").unwrap();
    flows::account::create(&app, name).await.unwrap();
    let before = all_of(&app).await;
    let population = Population::of("a seed");
    let refused = of(&app, &population).up_to(2, &mut |_| {}).await;
    assert!(matches!(refused, Err(NotFilled::OtherAccounts(1))), "{refused:?}");
    assert_eq!(all_of(&app).await, before);
    let meant = Fill {
        beside_others: true,
        ..of(&app, &population)
    };
    assert_eq!(meant.up_to(2, &mut |_| {}).await.unwrap(), 2);
    let other_seed = Population::of("another seed");
    let refused = of(&app, &other_seed).up_to(2, &mut |_| {}).await;
    assert!(matches!(refused, Err(NotFilled::OtherAccounts(2))), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_changes_what_a_fill_rests_on_stops_it() {
    let app = TestParts::default().wire();
    store_format::check(&app).await.unwrap();
    let population = Population::of("a seed");
    let fill = of(&app, &population);
    assert_eq!(fill.up_to(1, &mut |_| {}).await.unwrap(), 1);
    // Another process has filled the next one, which this one does not look for.
    let other = fill.app_of(&Arc::new(EnrolmentTurn::new(population.clone())));
    flows::entity::create(&other, population.account(), &fill.name(1001).unwrap())
        .await
        .unwrap();
    let stopped = fill.up_to(2500, &mut |_| {}).await;
    assert!(matches!(stopped, Err(NotFilled::Busy)), "{stopped:?}");
}

fn of<'a>(app: &'a App, population: &'a Population) -> Fill<'a> {
    Fill {
        app,
        population,
        beside_others: false,
    }
}

async fn app_with(store: Arc<dyn Store>) -> App {
    let parts = TestParts {
        store,
        ..TestParts::default()
    };
    let app = parts.wire();
    store_format::check(&app).await.unwrap();
    app
}

/// Everything but the versions, which are each engine's own.
async fn all_of(app: &App) -> Vec<(Vec<u8>, Vec<u8>, Option<Timestamp>)> {
    let scan = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let entries = app.store.scan(scan).await.unwrap();
    let unversioned = entries
        .into_iter()
        .map(|(key, entry)| (key, entry.value, entry.expires_at));
    unversioned.collect()
}
