//! What follows from each answer of a push service.

use std::time::Duration;

use countersign::app::App;
use countersign::delivery::DeliveryOutcome;
use countersign::delivery::push::PushOutcome;
use countersign::domain::circuit::FailureScope;
use countersign::domain::events::{OutboxMessage, OutboxRow};
use countersign::domain::sid::CredentialSid;
use countersign::flows::push::deliver_push;
use countersign::store::{Order, Scan, keys, records};

use super::push_service::{Reply, garbage, nobody};
use super::{DELIVERED, PushService, Subscribed, connected, is_refused, retried};
use crate::support::TestApp;

/// What came of a notification to a push service that says this, and what the service got.
async fn sent_to(replies: &[Reply]) -> (PushOutcome, PushService, Subscribed) {
    let server = TestApp::new().await;
    let service = PushService::saying(replies).await;
    let subscribed = Subscribed::to(&server, &service.endpoint()).await;
    let challenge = subscribed
        .user
        .push_challenge(&server.client(), &subscribed.device)
        .await;
    let sent = subscribed.deliver(&connected(&server), &challenge).await;
    (sent, service, subscribed)
}

/// The reason, which must name the push service but not the capability in the endpoint's path.
fn reason<'a>(sent: &'a PushOutcome, service: &PushService) -> &'a str {
    let why = match sent {
        PushOutcome::Unregistered { why }
        | PushOutcome::Settled(DeliveryOutcome::Retry { why, .. } | DeliveryOutcome::Refused { why }) => why,
        PushOutcome::Settled(other) => panic!("{other:?}"),
    };
    assert!(why.contains(&service.origin), "{why}");
    assert!(!why.contains("secret"), "{why}");
    why
}

#[tokio::test]
async fn a_message_that_was_taken_is_delivered() {
    for status in [200, 201, 202, 204] {
        let (sent, service, _) = sent_to(&[Reply::Status(status)]).await;
        assert_eq!(sent, DELIVERED, "{status}");
        assert_eq!(service.messages().len(), 1);
    }
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_gone() {
    for status in [404, 410] {
        let (sent, service, _) = sent_to(&[Reply::Status(status)]).await;
        assert!(matches!(sent, PushOutcome::Unregistered { .. }), "{sent:?}");
        assert!(reason(&sent, &service).contains(&status.to_string()));
    }
}

#[tokio::test]
async fn what_is_too_large_is_sent_again_without_the_message() {
    let (sent, service, subscribed) = sent_to(&[Reply::Status(413), Reply::Status(201)]).await;
    assert_eq!(sent, DELIVERED);
    let messages = service.messages();
    assert_eq!(messages.len(), 2);
    let mut whole = subscribed.agent.read(&messages[0].body);
    whole.as_object_mut().unwrap().remove("message").unwrap();
    assert_eq!(subscribed.agent.read(&messages[1].body), whole);
}

#[tokio::test]
async fn what_is_too_large_even_so_is_refused() {
    let (sent, service, _) = sent_to(&[Reply::Status(413)]).await;
    assert!(is_refused(&sent), "{sent:?}");
    assert!(reason(&sent, &service).contains("413"));
    assert_eq!(service.messages().len(), 2, "no third try");
}

#[tokio::test]
async fn a_busy_push_service_is_left_alone_for_as_long_as_it_asks() {
    for (reply, wait) in [
        (Reply::RetryAfter(429, "17"), Some(17)),
        (Reply::RetryAfter(503, "0"), Some(0)),
        // The test's clock shows 2027-01-15T08:00:00Z.
        (Reply::RetryAfter(503, "Fri, 15 Jan 2027 08:01:30 GMT"), Some(90)),
        (Reply::RetryAfter(429, "soon"), None),
        (Reply::Status(429), None),
        (Reply::Status(503), None),
        (Reply::Status(500), None),
        (Reply::Status(418), None),
    ] {
        let (sent, service, _) = sent_to(&[reply]).await;
        reason(&sent, &service);
        assert_eq!(retried(&sent), Some(wait.map(Duration::from_secs)), "{reply:?}");
    }
}

#[tokio::test]
async fn a_refused_key_is_named_as_the_reason() {
    for status in [401, 403] {
        let (sent, service, _) = sent_to(&[Reply::Status(status)]).await;
        assert!(retried(&sent).is_some(), "{sent:?}");
        assert!(reason(&sent, &service).contains("VAPID"));
    }
}

#[tokio::test]
async fn redirects_are_refused_and_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let (sent, service, _) = sent_to(&[Reply::Redirect(status), Reply::Status(201)]).await;
        assert!(is_refused(&sent), "{sent:?}");
        assert!(reason(&sent, &service).contains("redirect"));
        assert_eq!(service.messages().len(), 1, "it was followed");
    }
}

#[tokio::test]
async fn a_request_that_is_wrong_is_not_sent_again() {
    let (sent, service, _) = sent_to(&[Reply::Status(400)]).await;
    assert!(is_refused(&sent), "{sent:?}");
    assert!(reason(&sent, &service).contains("400"));
}

#[tokio::test]
async fn silence_garbage_and_absence_are_tried_again() {
    let (sent, service, _) = sent_to(&[Reply::Never]).await;
    assert!(retried(&sent) == Some(None), "{sent:?}");
    reason(&sent, &service);
    let server = TestApp::new().await;
    for endpoint in [garbage().await, nobody().await] {
        let subscribed = Subscribed::to(&server, &endpoint).await;
        let challenge = subscribed
            .user
            .push_challenge(&server.client(), &subscribed.device)
            .await;
        let sent = subscribed.deliver(&connected(&server), &challenge).await;
        assert!(retried(&sent) == Some(None), "{sent:?}");
    }
}

/// A device can change its transport while pushes wait in the lane of the provider that it was reached by.
#[tokio::test]
async fn what_a_devices_own_service_answers_is_not_held_against_a_provider() {
    let server = TestApp::new().await;
    let service = PushService::saying(&[Reply::Status(500), Reply::Status(500)]).await;
    let subscribed = Subscribed::to(&server, &service.endpoint()).await;
    let app = connected(&server);
    subscribed
        .user
        .push_challenge(&server.client(), &subscribed.device)
        .await;
    let mut row = waiting_push(&app).await;
    let about = async |row: &OutboxRow| deliver_push(&app, row).await.scope();
    assert_eq!(about(&row).await, Some(FailureScope::Sender), "its own lane");
    let OutboxMessage::Push { credential, .. } = &mut row.message else {
        panic!("{row:?}");
    };
    *credential = Some(CredentialSid::from_bytes([7; 16]));
    assert_eq!(about(&row).await, Some(FailureScope::Recipient { status: 0 }));
}

async fn waiting_push(app: &App) -> OutboxRow {
    let scan = Scan {
        prefix: keys::lanes(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let rows = app.store.scan(scan).await.unwrap();
    let mut rows = rows
        .iter()
        .map(|(_, entry)| records::decode::<OutboxRow>(&entry.value).unwrap());
    let push = rows.find(|row| matches!(row.message, OutboxMessage::Push { .. }));
    push.unwrap()
}
