//! What is over is reclaimed at least as fast as it is made: by the sweeper of `countersign serve`, with its rests, beside as many
//! commits as the store takes, or as many requests as the server does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::domain::time::{Clock as _, Timestamp};
use countersign::flows::sweep;
use countersign::store::{Batch, Store};

use crate::support::stores::sled_in;
use crate::support::{Service, TestApp, all_at_once, number_from};

const WRITERS: usize = 64;

/// Writes `count` entries of the size of a challenge that end at `until`, as many clients at once would; each is on disk before
/// its writer goes on.
async fn write(store: &Arc<dyn Store>, first: usize, count: usize, until: Timestamp) {
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(store);
        async move {
            for nth in (first + writer..first + count).step_by(WRITERS) {
                // Spread over the key map, as the entries of many users are.
                let place = (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let key = [&b"~"[..], &place.to_be_bytes(), &nth.to_be_bytes()].concat();
                let batch = Batch::new().put_until(key, vec![7; 300], until);
                store.commit(batch).await.unwrap();
            }
        }
    });
    all_at_once(writers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figures of a run by hand (`--nocapture`)")]
async fn what_is_over_is_gone_by_the_time_that_as_much_was_made_again() {
    let count = number_from("COUNTERSIGN_TEST_SWEEP", 30_000);
    let directory = tempfile::tempdir().unwrap();
    let server = TestApp::on(sled_in(directory.path())).await;
    let (store, begun) = (&server.app.store, Instant::now());
    let day = Duration::from_hours(24);
    write(store, 0, count, server.clock.now() + day).await;
    let made_in = begun.elapsed();
    server.wait(2 * 24 * 3600);
    let now = server.clock.now();
    assert!(store.expired(now, None, usize::MAX).await.unwrap().entries.len() >= count);
    let begun = Instant::now();
    let sweeping = tokio::spawn(sweep::keep_up(Arc::clone(&server.app)));
    let load = async {
        write(store, count, count, now + day).await;
        begun.elapsed()
    };
    let reclaiming = async {
        while !store.expired(now, None, 1).await.unwrap().entries.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        begun.elapsed()
    };
    let (loaded_in, reclaimed_in) = tokio::join!(load, reclaiming);
    sweeping.abort();
    println!(
        "{count} entries: made in {made_in:?}; reclaimed in {reclaimed_in:?}, beside as many that were made in {loaded_in:?}"
    );
    // Bare commits are more than requests make.
    assert!(
        reclaimed_in <= loaded_in * 3 / 2,
        "reclaimed in {reclaimed_in:?}, while as many were made in {loaded_in:?}"
    );
}

/// As many clients at once enrol a factor each, of a user each, again and again.
async fn enrol(server: &TestApp, service: &Service, first: usize, count: usize) {
    let clients = (0..WRITERS).map(|client| {
        let (server, service) = (server.clone(), service.clone());
        async move {
            let form = [("FriendlyName", "x"), ("FactorType", "totp")];
            for nth in (first + client..first + count).step_by(WRITERS) {
                let user = service.user(&format!("user-{nth:08}"));
                let factors = format!("{}/Factors", user.path);
                server.client().post(factors, &form).await.ok();
            }
        }
    });
    all_at_once(clients).await;
}

/// Factors that nobody verifies do not go alone: their entities count them, and then are over themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figures of a run by hand (`--nocapture`)")]
async fn so_are_factors_that_nobody_verifies_and_the_users_whom_they_leave() {
    let count = number_from("COUNTERSIGN_TEST_SWEEP", 30_000) / 20;
    let directory = tempfile::tempdir().unwrap();
    let server = TestApp::on(sled_in(directory.path())).await;
    let service = Service::create(&server.client()).await;
    let begun = Instant::now();
    enrol(&server, &service, 0, count).await;
    let made_in = begun.elapsed();
    let policy = server.app.policy.clone();
    for (what, retention, first) in [
        ("factors", policy.unverified_factor_retention, count),
        ("entities", policy.empty_entity_retention, 2 * count),
    ] {
        server.wait(retention.as_secs());
        let now = server.clock.now();
        let found = server
            .app
            .store
            .expired(now, None, usize::MAX)
            .await
            .unwrap()
            .entries
            .len();
        assert!(found >= count, "{found} {what}");
        let begun = Instant::now();
        let sweeping = tokio::spawn(sweep::keep_up(Arc::clone(&server.app)));
        let load = async {
            enrol(&server, &service, first, count).await;
            begun.elapsed()
        };
        let reclaiming = async {
            while !server
                .app
                .store
                .expired(now, None, 1)
                .await
                .unwrap()
                .entries
                .is_empty()
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            begun.elapsed()
        };
        let (loaded_in, reclaimed_in) = tokio::join!(load, reclaiming);
        sweeping.abort();
        println!(
            "{count} enrolments in {made_in:?}; {found} {what} reclaimed in {reclaimed_in:?}, beside as many enrolments in {loaded_in:?}"
        );
        assert!(
            reclaimed_in <= loaded_in * 3 / 2,
            "{what} reclaimed in {reclaimed_in:?}, while as many were enrolled in {loaded_in:?}"
        );
    }
}
