//! What is given up can be looked at, put back and dropped.

use std::time::Duration;

use countersign::delivery::DeliveryOutcome;
use countersign::domain::outbox::DeadLetter;
use countersign::flows::outbox::dead_letters::{Disposal, decide, decide_all, list_dead_letters};
use countersign::flows::page::{Cursor, Order, PageRequest};

use super::{names, subscribe};
use crate::support::scripted::{Receivers, retry};
use crate::support::{TestApp, User};

async fn dead_letters(server: &TestApp) -> Vec<DeadLetter> {
    let request = PageRequest {
        size: 1000,
        cursor: Cursor::Start,
        order: Order::Ascending,
    };
    list_dead_letters(&server.app, request).await.unwrap().items
}

/// Two webhooks that refuse everything, and three events for each.
async fn refused(server: &TestApp) -> [String; 2] {
    let client = server.client();
    let user = User::create(&client).await;
    let webhooks = [
        subscribe(&client, &user, &["*"]).await,
        subscribe(&client, &user, &["*"]).await,
    ];
    user.totp(server, &client).await;
    user.unverified_totp(&client, "two", &[]).await;
    let receivers = Receivers::that(|_| {
        Some(DeliveryOutcome::Refused {
            why: "status 410".to_owned(),
        })
    });
    receivers.worker(&server.app).run_due().await;
    assert_eq!(server.outbox().await.len(), 0);
    assert_eq!(server.app.memory.deliveries.counts().given_up, 6);
    webhooks
}

#[tokio::test]
async fn what_a_receiver_refuses_is_a_dead_letter_at_once_and_is_delivered_when_it_is_put_back() {
    let server = TestApp::new().await;
    let [one, _] = refused(&server).await;
    let letters = dead_letters(&server).await;
    assert_eq!(letters.len(), 6);
    for letter in &letters {
        assert_eq!((letter.why.as_str(), letter.row.attempts), ("status 410", 1));
    }
    server.wait(10 * 24 * 3600);
    assert_eq!(
        decide_all(&server.app, Some(one.parse().unwrap()), Disposal::PutBack)
            .await
            .unwrap(),
        3
    );
    assert_eq!(dead_letters(&server).await.len(), 3);
    let receivers = Receivers::that(|_| Some(retry("not yet")));
    let mut worker = receivers.worker(&server.app);
    worker.run_due().await;
    assert_eq!(server.outbox().await.len(), 3, "it is as young as a new one");
    receivers.now(|_| Some(DeliveryOutcome::Delivered));
    server.wait(10);
    worker.run_due().await;
    let delivered = receivers.delivered();
    assert_eq!(delivered.len(), 3);
    let of_one_factor: Vec<_> = delivered
        .iter()
        .filter(|row| super::event(row).1 == super::event(&letters[0].row).1)
        .cloned()
        .collect();
    assert_eq!(
        names(&of_one_factor),
        ["factor.created", "factor.verified"],
        "in their old order"
    );
}

#[tokio::test]
async fn one_dead_letter_is_dropped_once() {
    let server = TestApp::new().await;
    refused(&server).await;
    let sid = dead_letters(&server).await[0].row.sid;
    decide(&server.app, sid, Disposal::Dropped).await.unwrap();
    decide(&server.app, sid, Disposal::Dropped).await.unwrap_err();
    decide(&server.app, sid, Disposal::PutBack).await.unwrap_err();
    assert_eq!(
        (dead_letters(&server).await.len(), server.outbox().await.len()),
        (5, 0)
    );
    assert_eq!(decide_all(&server.app, None, Disposal::Dropped).await.unwrap(), 5);
    assert_eq!(dead_letters(&server).await.len(), 0);
}

#[tokio::test]
async fn dead_letters_are_kept_for_a_while() {
    let server = TestApp::new().await;
    refused(&server).await;
    let kept = server.app.policy.outbox_dead_retention;
    server.clock.advance(kept.saturating_sub(Duration::from_secs(1)));
    server.sweep().await;
    assert_eq!(dead_letters(&server).await.len(), 6);
    server.wait(1);
    server.sweep().await;
    assert_eq!(dead_letters(&server).await.len(), 0);
}

/// SECURITY row 33: a receiver that is down takes neither memory nor tries without end, and its rows end as dead letters.
#[tokio::test]
async fn a_receiver_that_is_down_for_days_is_tried_seldom_and_given_up_in_time() {
    let server = TestApp::new().await;
    let client = server.client();
    let first = User::create(&client).await;
    let webhook = subscribe(&client, &first, &["factor.created"]).await;
    for number in 0..300 {
        let user = first.service.user(&format!("user-{number:04}"));
        user.unverified_totp(&client, "one", &[]).await;
    }
    let receivers = Receivers::that(|_| Some(retry("connection refused")));
    let mut worker = receivers.worker(&server.app);
    let minutes = 24 * 60;
    for _ in 0..minutes {
        worker.run_due().await;
        server.wait(60);
    }
    let tries = receivers.tried().len();
    assert!((minutes / 10..1200).contains(&tries), "{tries} tries in a day");
    assert_eq!(server.outbox().await.len(), 300, "nothing is given up in a day");

    let retention = server.app.policy.outbox_retention;
    server.clock.advance(retention);
    // The pause that it is in ends, and then it is over for all of them, tried or not.
    server.wait(300);
    worker.run_due().await;
    assert_eq!(server.outbox().await.len(), 0);
    let letters = dead_letters(&server).await;
    assert_eq!(letters.len(), 300);
    assert!(
        letters
            .iter()
            .all(|letter| letter.why.as_str() == "connection refused")
    );

    receivers.now(|_| Some(DeliveryOutcome::Delivered));
    let lane = Some(webhook.parse().unwrap());
    assert_eq!(
        decide_all(&server.app, lane, Disposal::PutBack).await.unwrap(),
        300
    );
    server.wait(300);
    worker.run_due().await;
    assert_eq!(receivers.delivered().len(), 300);
}
