//! A slow or dead receiver delays no other, and many rows take no memory.

use std::sync::Arc;
use std::time::Duration;

use countersign::delivery::DeliveryOutcome;
use countersign::domain::outbox::Receiver;
use countersign::flows::outbox::worker::Limits;

use super::subscribe;
use crate::support::scripted::Receivers;
use crate::support::{TestApp, User};

/// All permits for more than one delivery of a receiver are taken by receivers that never answer.
#[tokio::test]
async fn receivers_that_never_answer_keep_no_other_one_from_its_events() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let mut hanging = Vec::new();
    for _ in 0..20 {
        hanging.push(subscribe(&client, &user, &["factor.created"]).await);
    }
    let good = subscribe(&client, &user, &["factor.created"]).await;
    for number in 0..10 {
        let user = user.service.user(&format!("user-{number:04}"));
        user.unverified_totp(&client, "one", &[]).await;
    }
    let good: Receiver = good.parse().unwrap();
    let receivers =
        Receivers::that(move |row| (row.message.receiver() == good).then_some(DeliveryOutcome::Delivered));
    let limits = Limits {
        extras: 16,
        ..Limits::default()
    };
    let worker = receivers.worker_with(&server.app, limits);
    let all_delivered = async {
        while receivers.delivered().len() < 10 {
            tokio::task::yield_now().await;
        }
    };
    worker.run(all_delivered, Duration::ZERO).await;
    let tried = receivers.tried();
    let under_way = tried.len() - 10;
    assert!(
        (20..=20 + 16).contains(&under_way),
        "{under_way}: each is tried, within the limit"
    );
    for webhook in hanging {
        let mine = |row: &&_| row_lane(row) == webhook;
        assert!((1..=8).contains(&tried.iter().filter(mine).count()));
    }
}

fn row_lane(row: &countersign::domain::events::OutboxRow) -> String {
    row.message.receiver().to_string()
}

#[tokio::test]
async fn a_delivery_that_takes_too_long_is_cut_off_and_tried_again() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    subscribe(&client, &user, &["factor.created"]).await;
    user.unverified_totp(&client, "one", &[]).await;
    let receivers = Receivers::that(|_| None);
    let limits = Limits {
        delivery: Duration::from_millis(20),
        ..Limits::default()
    };
    let mut worker = receivers.worker_with(&server.app, limits);
    worker.run_due().await;
    let rows = server.outbox().await;
    assert_eq!(
        rows[0].last_error.as_ref().unwrap().as_str(),
        "no answer within 20ms"
    );
    receivers.now(|_| Some(DeliveryOutcome::Delivered));
    server.wait(1);
    worker.run_due().await;
    assert_eq!(receivers.delivered().len(), 1);
}

/// A fault of one delivery is that delivery's.
#[tokio::test]
async fn a_delivery_that_panics_is_a_try_in_vain() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    subscribe(&client, &user, &["factor.created"]).await;
    user.unverified_totp(&client, "one", &[]).await;
    let receivers = Receivers::that(|_| panic!("a fault"));
    let mut worker = receivers.worker(&server.app);
    worker.run_due().await;
    assert_eq!(server.outbox().await[0].attempts, 1);
}

/// What is under way when the server stops is waited for.
#[tokio::test]
async fn a_stop_waits_for_what_is_under_way_and_begins_nothing_more() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    subscribe(&client, &user, &["*"]).await;
    user.totp(&server, &client).await;
    let receivers = Receivers::that(|_| None);
    let limits = Limits {
        delivery: Duration::from_millis(100),
        ..Limits::default()
    };
    let worker = receivers.worker_with(&server.app, limits);
    let begun = Arc::clone(&receivers);
    let stop = async move {
        while begun.tried().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    worker.run(stop, Duration::from_secs(30)).await;
    let rows = server.outbox().await;
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].attempts, rows[0].lease), (1, None), "it was settled");
    assert_eq!((rows[1].attempts, receivers.tried().len()), (0, 1));
}
