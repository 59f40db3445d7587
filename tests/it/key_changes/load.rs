//! What requests of many accounts notice of the walk that writes everything anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::app::App;
use countersign::domain::key_ring::DataKeyState;
use countersign::domain::text::FriendlyName;
use countersign::flows::{account, data_keys, store_format};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use crate::support::stores::sled_in;
use crate::support::{Credentials, Service, TestApp};

/// Walks for as long as it is not stopped: whenever one has come to its end, the keys change again.
fn walk_on_and_on(app: &Arc<App>) -> JoinHandle<()> {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        loop {
            let state = data_keys::go_on(&app, Duration::from_millis(100)).await.unwrap();
            if state.is_under_way() {
                continue;
            }
            let reading = state
                .ring
                .data
                .iter()
                .find(|key| key.state == DataKeyState::Reading);
            match reading {
                Some(key) => data_keys::retire(&app, key.number).await.unwrap(),
                None => drop(data_keys::rotate(&app).await.unwrap()),
            }
        }
    })
}

/// Every account creates a user's factor and looks at its service; how long each request took.
async fn ask(server: &TestApp, accounts: &[(Credentials, Service)], round: usize) -> Vec<Duration> {
    let ask = async |(credentials, service): &(Credentials, Service)| {
        let client = server.client_of(credentials);
        let began = Instant::now();
        let user = service.user(&format!("user-{round:06}"));
        user.unverified_totp(&client, "app", &[]).await;
        let created = Instant::now();
        client.get(&service.path).await.ok();
        [created.duration_since(began), created.elapsed()]
    };
    join_all(accounts.iter().map(ask)).await.concat()
}

fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// Rounds with a walk and without one take turns, so that whatever else the machine does makes both slower.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_many_accounts_go_on_beside_a_walk() {
    const ACCOUNTS: usize = 16;
    let directory = tempfile::tempdir().unwrap();
    let server = TestApp::on(sled_in(directory.path())).await;
    store_format::check(&server.app).await.unwrap();
    let mut accounts = Vec::new();
    for _ in 0..ACCOUNTS {
        let credentials = server.another_account().await;
        let service = Service::create(&server.client_of(&credentials)).await;
        accounts.push((credentials, service));
    }
    let name = FriendlyName::parse("to be written anew").unwrap();
    for _ in 0..50 {
        for created in join_all((0..40).map(|_| account::create(&server.app, name.clone()))).await {
            created.unwrap();
        }
    }
    let [mut without, mut beside] = [Vec::new(), Vec::new()];
    for turn in 0..12 {
        let walking = (turn % 2 == 1).then(|| walk_on_and_on(&server.app));
        for round in 0..8 {
            let took = ask(&server, &accounts, turn * 8 + round).await;
            if walking.is_some() {
                &mut beside
            } else {
                &mut without
            }
            .extend(took);
        }
        if let Some(walking) = walking {
            assert!(!walking.is_finished(), "the walk failed");
            walking.abort();
            assert!(walking.await.unwrap_err().is_cancelled());
        }
    }
    let walked = data_keys::list(&server.app).await.unwrap();
    assert!(walked.ring.generation > 1, "{walked:?}");
    let (without, beside) = (p99(without), p99(beside));
    let ratio = beside.as_secs_f64() / without.as_secs_f64();
    eprintln!("p99 of requests: {beside:?} beside a walk, {without:?} without: {ratio:.2} times");
    // The walk has half of the store at the most, and each of its pages may come first.
    assert!(
        beside < without * 3 + SLACK,
        "{beside:?} beside a walk, {without:?} without"
    );
}

/// For a machine that does something else just then.
const SLACK: Duration = Duration::from_millis(100);
