//! Providers that fail: nobody who logs in ever waits for one, and one dead device is not another's.

use std::sync::Arc;
use std::time::Duration;

use super::{Notified, assert_retry};
use crate::support::Device;
use crate::support::push_provider::{Behaviour, PushProvider, Reply, misbehaving};
use countersign::delivery::DeliveryOutcome;
use countersign::domain::circuit::FailureScope;
use countersign::flows::account;
use countersign::flows::push::deliver_push;

const SHORT: Duration = Duration::from_millis(300);

/// Row 24 of the threats: 404, 410, 429, 500, a time-out, slow accepts. The challenge exists, polling works, the dead
/// token is flagged, other devices are notified, no request waits.
#[tokio::test]
async fn a_failing_provider_fails_no_request_and_no_other_device() {
    for (platform, dead, replies) in [
        ("apn", true, vec![Reply::apns(410, "Unregistered")]),
        ("apn", false, vec![Reply::apns(404, "BadPath")]),
        ("apn", false, vec![Reply::apns(429, "TooManyRequests")]),
        ("apn", false, vec![Reply::apns(500, "InternalServerError")]),
        ("apn", false, vec![Reply::Never]),
        (
            "fcm",
            true,
            vec![Reply::fcm(404, "NOT_FOUND", "UNREGISTERED", "")],
        ),
        ("fcm", false, vec![Reply::Status(410, None, String::new())]),
        (
            "fcm",
            false,
            vec![Reply::fcm(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "")],
        ),
        ("fcm", false, vec![Reply::fcm(500, "INTERNAL", "INTERNAL", "")]),
        ("fcm", false, vec![Reply::Never]),
    ] {
        let provider = PushProvider::start().await;
        let notified = Notified::new(platform, provider.senders(Some(SHORT))).await;
        let other = other_device(&notified).await;
        provider.reply(replies.clone());
        let (challenge, row) = notified.challenge().await;
        let outcome = notified.deliver(&row).await;
        assert_ne!(outcome, DeliveryOutcome::Delivered);
        assert_eq!(
            outcome == DeliveryOutcome::Obsolete,
            dead,
            "{replies:?} {outcome:?}"
        );

        let config = notified.config(&notified.device).await;
        assert_eq!(config.get("notification_status").is_some(), dead, "{replies:?}");
        let (_, row) = notified.challenge_of(&other).await;
        assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Delivered);
        assert!(notified.config(&other).await.get("notification_status").is_none());

        assert_pending_and_answered(&notified, &challenge).await;
    }
}

/// What a device can bring about is not said of the provider, and what the provider says of itself is.
#[tokio::test]
async fn an_answer_tells_whom_a_failure_is_about() {
    let device = |status| FailureScope::Recipient { status };
    for (platform, reply, about) in [
        ("apn", Reply::apns(429, "TooManyRequests"), device(429)),
        ("apn", Reply::apns(500, "InternalServerError"), device(500)),
        ("apn", Reply::Never, device(0)),
        (
            "apn",
            Reply::apns(429, "TooManyProviderTokenUpdates"),
            FailureScope::Overload,
        ),
        (
            "apn",
            Reply::apns(503, "ServiceUnavailable"),
            FailureScope::Overload,
        ),
        (
            "apn",
            Reply::apns(403, "InvalidProviderToken"),
            FailureScope::Sender,
        ),
        (
            "fcm",
            Reply::fcm(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", ""),
            device(401),
        ),
        (
            "fcm",
            Reply::fcm(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", ""),
            device(429),
        ),
        ("fcm", Reply::fcm(500, "INTERNAL", "INTERNAL", ""), device(500)),
        ("fcm", Reply::Never, device(0)),
        (
            "fcm",
            Reply::fcm(503, "UNAVAILABLE", "UNAVAILABLE", ""),
            FailureScope::Overload,
        ),
        (
            "fcm",
            Reply::fcm(403, "PERMISSION_DENIED", "PERMISSION_DENIED", ""),
            FailureScope::Sender,
        ),
    ] {
        let provider = PushProvider::start().await;
        let notified = Notified::new(platform, provider.senders(Some(SHORT))).await;
        provider.reply([reply]);
        let (_, row) = notified.challenge().await;
        let outcome = notified.deliver(&row).await;
        assert_eq!(outcome.scope(), Some(about), "{outcome:?}");
    }
}

/// The same for providers that do not even speak.
#[tokio::test]
async fn a_provider_that_does_not_speak_is_given_up_in_time() {
    for platform in ["apn", "fcm"] {
        for behaviour in [
            Behaviour::Mute,
            Behaviour::Garbage,
            Behaviour::NeverAccepts,
            Behaviour::Absent,
        ] {
            let (senders, alive) = misbehaving(behaviour, SHORT).await;
            let notified = Notified::new(platform, senders).await;
            let (challenge, row) = notified.challenge().await;
            let outcome = notified.deliver(&row).await;
            let DeliveryOutcome::Retry { why, .. } = &outcome else {
                panic!("{behaviour:?}: {outcome:?}")
            };
            assert!(!why.contains(&notified.token), "{why}");
            assert!(!why.contains("127.0.0.1"), "{why}");
            assert_pending_and_answered(&notified, &challenge).await;
            drop(alive);
        }
    }
}

/// While deliveries hang, challenges are created, polled and answered: no request knows of a provider.
#[tokio::test]
async fn no_request_waits_for_a_delivery() {
    let provider = PushProvider::start().await;
    // No time-out of ours ends what hangs here: only the test does.
    let notified = Notified::new("apn", provider.senders(Some(Duration::from_hours(1)))).await;
    provider.reply(std::iter::repeat_n(Reply::Never, 50));
    let mut hanging = Vec::new();
    for _ in 0..50 {
        let (_, row) = notified.challenge().await;
        let app = Arc::clone(&notified.server.app);
        hanging.push(tokio::spawn(async move { deliver_push(&app, &row).await }));
    }
    let (challenge, _) = notified.challenge().await;
    assert_pending_and_answered(&notified, &challenge).await;
    assert!(hanging.iter().all(|delivery| !delivery.is_finished()));
    // They share one connection, which serves the next device all the same.
    while provider.received().is_empty() {
        tokio::task::yield_now().await;
    }
    for delivery in hanging {
        delivery.abort();
    }
}

/// A dead token costs nothing until the device sends a new one, or the service gets another key.
#[tokio::test]
async fn an_unreachable_device_is_not_pushed_to_until_something_changes() {
    let provider = PushProvider::start().await;
    let notified = Notified::new("fcm", provider.senders(None)).await;
    let client = notified.server.client();
    let die = async || {
        provider.reply([Reply::fcm(404, "NOT_FOUND", "UNREGISTERED", "")]);
        assert_eq!(notified.push().await, DeliveryOutcome::Obsolete);
    };
    die().await;
    let challenge = notified.user.push_challenge(&client, &notified.device).await;
    client.post(format!("{challenge}/Notifications"), &[]).await.ok();
    assert_eq!(notified.rows_of(&challenge).await.len(), 0);
    assert_pending_and_answered(&notified, &challenge).await;

    // A change of something else is no sign of life of the token.
    let form = [("FriendlyName", "Renamed")];
    notified
        .device
        .on(&notified.server)
        .post(notified.device.path(), &form)
        .await
        .ok();
    assert_eq!(
        notified.config(&notified.device).await["notification_status"],
        "unreachable"
    );
    // The same token again is.
    notified.set_token(&notified.device, &notified.token).await;
    assert!(
        notified
            .config(&notified.device)
            .await
            .get("notification_status")
            .is_none()
    );
    assert_eq!(notified.push().await, DeliveryOutcome::Delivered);

    die().await;
    let second = crate::support::credentials::fcm_form();
    let second = crate::support::credentials::create_credential(&client, &second).await;
    let form = [("Push.FcmCredentialSid", second.as_str())];
    client.post(&notified.user.service.path, &form).await.ok();
    assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
}

/// The provider's word is about the token that it was asked for.
#[tokio::test]
async fn a_token_that_came_meanwhile_is_not_blamed() {
    let provider = PushProvider::start().await;
    let notified = Notified::new("fcm", provider.senders(None)).await;
    assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
    provider.received();
    let (_, row) = notified.challenge().await;
    let gate = provider.reply_when_told(Reply::fcm(404, "NOT_FOUND", "UNREGISTERED", ""));
    let app = Arc::clone(&notified.server.app);
    let delivery = {
        let row = row.clone();
        tokio::spawn(async move { deliver_push(&app, &row).await })
    };
    while provider.received().is_empty() {
        tokio::task::yield_now().await;
    }
    let fresh = "f".repeat(64);
    notified.set_token(&notified.device, &fresh).await;
    gate.notify_one();
    assert_retry(&delivery.await.unwrap(), "replaced", None);
    assert!(
        notified
            .config(&notified.device)
            .await
            .get("notification_status")
            .is_none()
    );
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Delivered);
    let sent = provider.received().pop().unwrap().json();
    assert_eq!(sent["message"]["token"], fresh);
}

async fn other_device(notified: &Notified) -> Device {
    let device = notified
        .user
        .device(&notified.server, &notified.server.client())
        .await;
    notified.set_token(&device, &"a".repeat(64)).await;
    device
}

/// The device that asks sees the challenge, and answers it.
async fn assert_pending_and_answered(notified: &Notified, challenge: &str) {
    let device = notified.device.on(&notified.server);
    let listed = format!("{}/Challenges?Status=pending&Order=desc", notified.user.path);
    let listed = device.get(listed).await.ok();
    let sid = crate::support::world::sid_of(challenge);
    let found = listed["challenges"]
        .as_array()
        .unwrap()
        .iter()
        .any(|one| one["sid"] == sid);
    assert!(found, "{listed}");
    let answered = notified
        .device
        .answer(&notified.server, challenge, "approved")
        .await;
    answered.ok();
    let shown = notified.server.client().get(challenge).await.ok();
    assert_eq!(shown["status"], "approved");
}

/// Pushes that wait for their provider must not ring the phone of somebody who has reported one of them, nor leave in the
/// name of an account that was suspended meanwhile.
#[tokio::test]
async fn pushes_that_wait_are_dropped_after_a_report_and_for_a_suspended_account() {
    let provider = PushProvider::start().await;
    let notified = Notified::new("fcm", provider.senders(None)).await;
    let server = &notified.server;
    let account = server.account.user.parse().unwrap();
    let (reported, _) = notified.challenge().await;
    let (waiting, row) = notified.challenge().await;
    account::suspend(&server.app, account).await.unwrap();
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Obsolete);
    account::resume(&server.app, account).await.unwrap();

    notified.device.report(server, &reported).await.ok();
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Obsolete);
    let paused = server.client().get(&waiting).await.ok();
    assert_eq!(paused["status"], "pending");
    assert!(provider.received().is_empty());

    let form = [("Config.PushPaused", "false")];
    server.client().post(notified.device.path(), &form).await.ok();
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Delivered);
}
