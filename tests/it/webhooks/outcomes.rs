//! What comes of a delivery: what the receiver answers, and what became of the webhook meanwhile.

use std::time::Duration;

use super::{one_row, server_on_loopback, subscribe};
use crate::support::receiver::OK;
use crate::support::{Receiver, TestApp, User};
use countersign::delivery::DeliveryOutcome;
use countersign::domain::time::Timestamp;
use countersign::flows::account;
use countersign::flows::event::deliver_webhook;

fn answer(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n{headers}\r\n")
}

async fn outcome_of(server: &TestApp, answer: String) -> DeliveryOutcome {
    let receiver = Receiver::answering(answer).await;
    let row = one_row(server, &receiver.url("/hook")).await;
    deliver_webhook(&server.app, &row).await
}

#[tokio::test]
async fn every_success_delivers_and_everything_else_is_tried_again() {
    let server = server_on_loopback().await;
    for status in [200, 201, 202, 204, 299] {
        assert_eq!(
            outcome_of(&server, answer(status, "")).await,
            DeliveryOutcome::Delivered,
            "{status}"
        );
    }
    for status in [
        300, 304, 400, 401, 403, 404, 410, 413, 418, 422, 429, 500, 502, 503, 504, 599,
    ] {
        let DeliveryOutcome::Retry { why, after: None, .. } = outcome_of(&server, answer(status, "")).await
        else {
            panic!("{status}")
        };
        assert!(
            why.starts_with(&format!("the receiver answered {status}")),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_receiver_that_is_busy_says_for_how_long() {
    let server = server_on_loopback().await;
    let date = "retry-after: Fri, 15 Jan 2027 08:02:00 GMT\r\n";
    server.clock.set(Timestamp::from_seconds(1_800_000_000));
    for (status, header, seconds) in [
        (429, "retry-after: 120\r\n", Some(120)),
        (503, "retry-after: 0\r\n", Some(0)),
        (503, date, Some(120)),
        (429, "retry-after: Thu, 01 Jan 1970 00:00:00 GMT\r\n", Some(0)),
        // A day at the longest.
        (
            429,
            "retry-after: 99999999999999999999999999\r\n",
            Some(24 * 3600),
        ),
        (
            429,
            "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
            Some(24 * 3600),
        ),
        (429, "retry-after: soon\r\n", None),
        (429, "retry-after: -5\r\n", None),
        (429, "retry-after:\r\n", None),
        (500, "retry-after: 120\r\n", None),
    ] {
        let outcome = outcome_of(&server, answer(status, header)).await;
        let DeliveryOutcome::Retry { after, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(after, seconds.map(Duration::from_secs), "{status} {header}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again_and_its_path_is_not_told() {
    let server = server_on_loopback().await;
    let port = Receiver::answering(OK).await.port();
    // Its listener ends with it, some time soon: a port that nobody listens on is found by asking.
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let row = one_row(&server, &format!("http://127.0.0.1:{port}/secret?key=hunter2")).await;
    let DeliveryOutcome::Retry { why, after: None, .. } = deliver_webhook(&server.app, &row).await else {
        panic!("delivered to nobody")
    };
    assert!(why.contains("127.0.0.1") && why.contains("refused"), "{why}");
    assert!(!why.contains("secret") && !why.contains("hunter2"), "{why}");
}

#[tokio::test]
async fn a_webhook_counts_as_it_is_configured_when_the_event_is_sent() {
    let server = server_on_loopback().await;
    let client = server.client();
    let receiver = Receiver::answering(OK).await;
    let elsewhere = Receiver::answering(OK).await;
    let user = User::create(&client).await;
    let webhook = subscribe(&client, &user, &elsewhere.url("/"), "factor.created", "v1").await;
    user.unverified_totp(&client, "one", &[]).await;
    let row = server.outbox().await.pop().unwrap();
    let change = async |name: &str, value: &str| client.post(&webhook, &[(name, value)]).await.ok();
    let deliver = async || deliver_webhook(&server.app, &row).await;

    change("WebhookUrl", &receiver.url("/new")).await;
    change("Version", "v2").await;
    assert_eq!(deliver().await, DeliveryOutcome::Delivered);
    let sent = receiver.requests().pop().unwrap();
    assert!(sent.target.starts_with("/new?bodySHA256=") && sent.header("content-type") == "application/json");

    change("Status", "disabled").await;
    assert_eq!(deliver().await, DeliveryOutcome::Obsolete);
    change("Status", "enabled").await;
    assert_eq!(deliver().await, DeliveryOutcome::Delivered);
    change("EventTypes", "factor.deleted").await;
    assert_eq!(deliver().await, DeliveryOutcome::Obsolete);
    change("EventTypes", "*").await;
    assert_eq!(deliver().await, DeliveryOutcome::Delivered);
    client.delete(&webhook).await.ok();
    assert_eq!(deliver().await, DeliveryOutcome::Obsolete);
    assert_eq!((receiver.requests().len(), elsewhere.connections()), (3, 0));
}

#[tokio::test]
async fn what_belongs_to_a_deleted_service_is_obsolete() {
    let server = server_on_loopback().await;
    let client = server.client();
    let receiver = Receiver::answering(OK).await;
    let user = User::create(&client).await;
    subscribe(&client, &user, &receiver.url("/"), "factor.created", "v2").await;
    user.unverified_totp(&client, "one", &[]).await;
    let row = server.outbox().await.pop().unwrap();
    client.delete(&user.service.path).await.ok();
    assert_eq!(
        deliver_webhook(&server.app, &row).await,
        DeliveryOutcome::Obsolete
    );
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn nothing_leaves_in_the_name_of_a_suspended_account_and_nothing_is_lost() {
    let server = server_on_loopback().await;
    let receiver = Receiver::answering(OK).await;
    let row = one_row(&server, &receiver.url("/")).await;
    let account = server.account.user.parse().unwrap();
    account::suspend(&server.app, account).await.unwrap();
    let DeliveryOutcome::Retry { why, .. } = deliver_webhook(&server.app, &row).await else {
        panic!("it is to be tried again")
    };
    assert!(
        why.contains("suspended") && why.contains("account resume"),
        "{why}"
    );
    assert_eq!(receiver.connections(), 0);
    account::resume(&server.app, account).await.unwrap();
    assert_eq!(
        deliver_webhook(&server.app, &row).await,
        DeliveryOutcome::Delivered
    );
}
