//! Platform `webpush` in the API.

use countersign::domain::events::{OutboxMessage, OutboxRow};
use countersign::store::records::decode;
use countersign::store::{Order, Scan, keys};
use serde_json::{Value, json};

use super::user_agent::UserAgent;
use super::{Subscribed, with_platform};
use crate::support::device::borrowed;
use crate::support::{Device, TestApp, User};

const ENDPOINT: &str = "https://push.example.net/p/a-secret-path";

/// The subscription as it is shown: without what is of no use.
fn shown(agent: &UserAgent) -> Value {
    let mut subscription: Value = serde_json::from_str(&agent.subscription()).unwrap();
    subscription.as_object_mut().unwrap().remove("expirationTime");
    subscription
}

fn token_of(factor: &Value) -> Value {
    serde_json::from_str(factor["config"]["notification_token"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_subscription_is_enrolled_and_shown() {
    let server = TestApp::new().await;
    let subscribed = Subscribed::to(&server, ENDPOINT).await;
    for client in [server.client(), subscribed.device.on(&server)] {
        let factor = client.get(subscribed.device.path()).await.ok();
        assert_eq!(factor["config"]["notification_platform"], "webpush");
        assert_eq!(token_of(&factor), shown(&subscribed.agent));
    }
}

#[tokio::test]
async fn a_device_changes_its_subscription_with_or_without_the_platform() {
    let server = TestApp::new().await;
    let subscribed = Subscribed::to(&server, ENDPOINT).await;
    let path = subscribed.device.path();
    for endpoint in ["https://push.example.net/p/2", "https://push.example.net/p/3"] {
        let agent = UserAgent::new(endpoint);
        let subscription = agent.subscription();
        let mut form = vec![("Config.NotificationToken", subscription.as_str())];
        if endpoint.ends_with('3') {
            form.push(("Config.NotificationPlatform", "webpush"));
        }
        let updated = subscribed.device.on(&server).post(&path, &form).await;
        assert_eq!(token_of(&updated.ok()), shown(&agent), "{endpoint}");
    }
    // The platform alone keeps the subscription; another platform forgets it.
    let client = server.client();
    let kept = client
        .post(&path, &[("Config.NotificationPlatform", "webpush")])
        .await;
    assert_eq!(token_of(&kept.ok())["endpoint"], "https://push.example.net/p/3");
    let none = client
        .post(&path, &[("Config.NotificationPlatform", "none")])
        .await;
    assert_eq!(none.ok()["config"]["notification_token"], Value::Null);
    let again = client
        .post(&path, &[("Config.NotificationPlatform", "webpush")])
        .await;
    assert_refused(&again, "is required");
}

#[tokio::test]
async fn tokens_and_platforms_must_fit() {
    let server = TestApp::new().await;
    let client = server.client();
    let subscribed = Subscribed::to(&server, ENDPOINT).await;
    let path = subscribed.device.path();
    let subscription = UserAgent::new(ENDPOINT).subscription();
    let provider = "f".repeat(64);
    for (platform, token, why) in [
        (Some("webpush"), provider.as_str(), "must be a push subscription"),
        (None, &provider, "must be the JSON of a push subscription"),
        (Some("fcm"), &subscription, "must be"),
        (Some("apn"), &subscription, "must be"),
        (Some("webpush"), "{}", "endpoint must be"),
        (None, "{}", "endpoint must be"),
    ] {
        let mut form = vec![("Config.NotificationToken", token)];
        form.extend(platform.map(|platform| ("Config.NotificationPlatform", platform)));
        assert_refused(&client.post(&path, &form).await, why);
    }
    let unchanged = client.get(&path).await;
    assert_eq!(token_of(&unchanged.ok()), shown(&subscribed.agent));

    let mut fcm = Device::new();
    let form = with_platform(&fcm, "fcm", Some(&provider));
    let created = client
        .post(format!("{}/Factors", subscribed.user.path), &borrowed(&form))
        .await;
    fcm.factor = created.text("sid");
    fcm.entity.clone_from(&subscribed.user.path);
    let form = [("Config.NotificationToken", subscription.as_str())];
    assert_refused(&client.post(fcm.path(), &form).await, "only webpush takes");
}

#[tokio::test]
async fn a_bad_subscription_enrols_nothing_and_the_field_is_named() {
    let server = TestApp::new().await;
    let user = User::create(&server.client()).await;
    let good: Value = serde_json::from_str(&UserAgent::new(ENDPOINT).subscription()).unwrap();
    for (pointer, value, why) in [
        ("/endpoint", json!("push.example.net"), "endpoint must be"),
        (
            "/endpoint",
            json!("https://me:secret@push.example.net"),
            "endpoint must be",
        ),
        ("/keys/p256dh", json!("BCVx"), "keys.p256dh must be"),
        (
            "/keys/p256dh",
            json!(format!("B{}", "A".repeat(86))),
            "keys.p256dh must be",
        ),
        ("/keys/auth", json!("AAAA"), "keys.auth must be"),
        ("/keys", Value::Null, "keys must be"),
        (
            "/endpoint",
            json!(format!("{ENDPOINT}/{}", "x".repeat(900))),
            "at most 1024 characters",
        ),
    ] {
        let mut subscription = good.clone();
        *subscription.pointer_mut(pointer).unwrap() = value;
        let form = with_platform(&Device::new(), "webpush", Some(&subscription.to_string()));
        let path = format!("{}/Factors", user.path);
        let refused = server.client().post(path, &borrowed(&form)).await;
        assert_refused(&refused, why);
        assert!(!String::from_utf8_lossy(&refused.bytes).contains("secret"));
    }
    let form = with_platform(&Device::new(), "webpush", None);
    let path = format!("{}/Factors", user.path);
    assert_refused(&server.client().post(path, &borrowed(&form)).await, "is required");
    assert_eq!(
        server.client().get(&user.path).await.status,
        404,
        "an entity was made"
    );
}

/// What a challenge leaves for the worker, although the service has no credential of anybody.
#[tokio::test]
async fn a_challenge_is_announced_without_any_credential() {
    let server = TestApp::new().await;
    let subscribed = Subscribed::to(&server, ENDPOINT).await;
    let challenge = subscribed
        .user
        .push_challenge(&server.client(), &subscribed.device)
        .await;
    let rows = Scan {
        prefix: keys::lanes(),
        after: None,
        order: Order::Ascending,
        limit: 10,
    };
    let rows = server.app.store.scan(rows).await.unwrap();
    let [(_, entry)] = rows.as_slice() else {
        panic!("{} rows", rows.len());
    };
    let row: OutboxRow = decode(&entry.value).unwrap();
    let OutboxMessage::Push {
        challenge: waiting, ..
    } = row.message
    else {
        panic!("{:?}", row.message);
    };
    assert!(challenge.ends_with(&waiting.to_string()));
}

#[tokio::test]
async fn nothing_of_a_subscription_is_printed() {
    let server = TestApp::new().await;
    let subscribed = Subscribed::to(&server, ENDPOINT).await;
    let printed = format!("{:?}", subscribed.factor(&server.app).await);
    assert!(
        printed.contains("WebPush") && !printed.contains("push.example.net"),
        "{printed}"
    );
}

fn assert_refused(answer: &crate::support::Answer, why: &str) {
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (400, &json!(60306)),
        "{}",
        answer.body
    );
    let message = answer.body["message"].as_str().unwrap();
    assert!(
        message.contains("Config.NotificationToken") && message.contains(why),
        "{message}"
    );
}
