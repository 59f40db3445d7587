//! Tries, leases, pauses.

use std::sync::Arc;
use std::time::Duration;

use countersign::delivery::DeliveryOutcome;
use countersign::domain::events::OutboxRow;
use countersign::domain::outbox::DeadLetter;
use countersign::flows::deliveries::Deliveries;
use countersign::flows::outbox::worker::Worker;
use countersign::store::memory::MemoryStore;
use countersign::store::records::{ChallengeTimer, Purge, Record as _};
use tempfile::TempDir;

use super::{names, subscribe};
use crate::support::credentials::{create_credential, fcm_form};
use crate::support::scripted::{Receivers, retry, retry_after};
use crate::support::stores::sled_in;
use crate::support::world::sid_of;
use crate::support::{Client, TestApp, User};

/// A webhook and one event for it.
async fn one_event(client: &Client<'_>) -> (User, String) {
    let user = User::create(client).await;
    let webhook = subscribe(client, &user, &["factor.created"]).await;
    user.unverified_totp(client, "one", &[]).await;
    (user, webhook)
}

async fn only_row(server: &TestApp) -> OutboxRow {
    let mut rows = server.outbox().await;
    assert_eq!(rows.len(), 1);
    rows.pop().unwrap()
}

/// A process that is killed between the commit and the answer of the receiver.
async fn crash_while_delivering(server: &TestApp) {
    let hanging = Receivers::that(|_| None);
    let mut worker = hanging.worker(&server.app);
    let cut_off = async {
        while hanging.tried().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = worker.run_due() => panic!("it hangs"),
        () = cut_off => {}
    }
}

#[tokio::test]
async fn what_a_crash_cut_off_is_delivered_when_its_lease_ends() {
    let server = TestApp::on(Arc::new(MemoryStore::new())).await;
    one_event(&server.client()).await;
    crash_while_delivering(&server).await;
    let until = only_row(&server).await.lease.unwrap();
    let receivers = Receivers::good();
    // The store is one that others might use, too.
    let mut worker = receivers.worker(&server.app);
    worker.run_due().await;
    assert_eq!(receivers.tried().len(), 0, "somebody else has it");
    server.clock.set(until);
    worker.run_due().await;
    assert_eq!(names(&receivers.delivered()), ["factor.created"]);
    assert_eq!(server.outbox().await.len(), 0);
}

#[tokio::test]
async fn what_a_crash_cut_off_is_delivered_at_once_by_whoever_has_the_store_to_himself() {
    let directory = TempDir::new().unwrap();
    let server = TestApp::on(sled_in(directory.path())).await;
    one_event(&server.client()).await;
    crash_while_delivering(&server).await;
    server.app.store.close().await.unwrap();
    let server = server.restarted(sled_in(directory.path()));
    assert!(only_row(&server).await.lease.is_some());
    let receivers = Receivers::good();
    receivers.worker(&server.app).run_due().await;
    assert_eq!(names(&receivers.delivered()), ["factor.created"]);
}

#[tokio::test]
async fn a_try_in_vain_is_noted_and_repeated_after_a_pause_within_bounds() {
    let server = TestApp::new().await;
    one_event(&server.client()).await;
    let receivers = Receivers::that(|_| Some(retry("status 500")));
    let mut worker = receivers.worker(&server.app);
    for attempts in 1..=12 {
        worker.run_due().await;
        let row = only_row(&server).await;
        assert_eq!(
            receivers.tried().len(),
            attempts,
            "one try when it is due, not more"
        );
        assert_eq!(row.attempts, u32::try_from(attempts).unwrap());
        assert_eq!(row.last_error.unwrap().as_str(), "status 500");
        assert_eq!(row.lease, None);
        let pause = row.next_at.since(server.app.clock.now());
        let most = Duration::from_secs(1 << (attempts - 1)).min(Duration::from_mins(5));
        assert!(pause > Duration::ZERO && pause <= most, "{attempts}: {pause:?}");
        server.clock.set(row.next_at.before(Duration::from_millis(1)));
        worker.run_due().await;
        assert_eq!(receivers.tried().len(), attempts, "it is not due yet");
        // A receiver that failed often is left alone for a pause of its own, no longer than the longest one.
        server.wait(300);
    }
    receivers.now(|_| Some(DeliveryOutcome::Delivered));
    worker.run_due().await;
    assert_eq!(receivers.delivered().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it_up_to_an_hour() {
    let server = TestApp::new().await;
    one_event(&server.client()).await;
    for (asked, given) in [(120, 120), (7200, 3600)] {
        let receivers = Receivers::that(move |_| Some(retry_after(Duration::from_secs(asked))));
        let mut worker = receivers.worker(&server.app);
        worker.run_due().await;
        let row = only_row(&server).await;
        assert_eq!(
            row.next_at.since(server.app.clock.now()),
            Duration::from_secs(given)
        );
        server.wait(given);
    }
}

/// It is the server behind a webhook that asks for time, whatever event it asks at.
#[tokio::test]
async fn a_webhook_that_asks_for_time_is_not_sent_anything_else_meanwhile() {
    let server = TestApp::new().await;
    let (user, _) = one_event(&server.client()).await;
    let receivers = Receivers::that(|_| Some(retry_after(Duration::from_mins(10))));
    let mut worker = receivers.worker(&server.app);
    worker.run_due().await;
    assert_eq!(receivers.tried().len(), 1);
    user.unverified_totp(&server.client(), "two", &[]).await;
    server.wait(9 * 60);
    worker.run_due().await;
    assert_eq!(receivers.tried().len(), 1);
    receivers.now(|_| Some(DeliveryOutcome::Delivered));
    server.wait(60);
    worker.run_due().await;
    assert_eq!(receivers.delivered().len(), 2);
}

#[tokio::test]
async fn a_new_event_is_delivered_when_it_is_rung_for() {
    let server = TestApp::new().await;
    let (user, webhook) = one_event(&server.client()).await;
    let receivers = Receivers::good();
    let mut worker = receivers.worker(&server.app);
    worker.run_due().await;
    assert_eq!(receivers.delivered().len(), 1);
    server.app.memory.wakeups.take();
    user.unverified_totp(&server.client(), "two", &[]).await;
    let rung: Vec<_> = server.app.memory.wakeups.take().into_iter().collect();
    assert_eq!(rung.len(), 1);
    assert_eq!(rung[0].to_string(), webhook);
}

/// A push is of no use once its challenge is over.
#[tokio::test]
async fn a_push_that_is_too_late_is_dropped_in_silence() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let key = create_credential(&client, &fcm_form()).await;
    let form = [("Push.FcmCredentialSid", key.as_str())];
    client.post(&user.service.path, &form).await.ok();
    let token = "n".repeat(64);
    let form = [
        ("Config.NotificationPlatform", "fcm"),
        ("Config.NotificationToken", token.as_str()),
    ];
    client.post(device.path(), &form).await.ok();
    user.push_challenge(&client, &device).await;
    let row = only_row(&server).await;
    assert_eq!(row.message.receiver().to_string(), key);
    let receivers = Receivers::that(|_| Some(retry("status 503")));
    let mut worker = receivers.worker(&server.app);
    worker.run_due().await;
    assert_eq!(receivers.tried().len(), 1);
    server.wait(5 * 60);
    worker.run_due().await;
    assert_eq!(receivers.tried().len(), 1);
    assert_eq!(
        server
            .dump()
            .await
            .iter()
            .filter(|(key, _)| key[0] == DeadLetter::KIND)
            .count(),
        0
    );
    assert_eq!(server.outbox().await.len(), 0);
}

/// What was announced to a webhook or in a service that was deleted leaves nothing behind.
#[tokio::test]
async fn rows_for_nobody_are_dropped() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, webhook) = one_event(&client).await;
    let path = format!("{}/Webhooks/{webhook}", user.service.path);
    client.delete(&path).await.ok();
    let (other, _) = one_event(&client).await;
    client.delete(&other.service.path).await.ok();
    assert_eq!(server.outbox().await.len(), 2, "{}", sid_of(&path));
    Worker::new(
        server.app.clone(),
        Arc::new(Deliveries),
        countersign::flows::outbox::worker::Limits::default(),
    )
    .run_due()
    .await;
    assert_eq!(server.outbox().await.len(), 0);
    server.sweep().await;
    let left: Vec<_> = server
        .dump()
        .await
        .into_iter()
        .filter(|(key, _)| {
            [
                OutboxRow::KIND,
                DeadLetter::KIND,
                ChallengeTimer::KIND,
                Purge::KIND,
            ]
            .contains(&key[0])
        })
        .collect();
    assert_eq!(left, []);
    assert_eq!(server.app.memory.deliveries.counts().obsolete, 2);
}
