//! Apple Push Notification service: the request as Apple documents it, and each of its answers.

use countersign::delivery::DeliveryOutcome;
use countersign::delivery::push::apns::ApnsAccess;
use countersign::delivery::push::{PushMessage, PushOutcome, PushProvider as _};
use countersign::domain::sid::{ChallengeSid, EventSid, FactorSid};
use countersign::domain::text::{ApnsIdentifier, NotificationToken};
use countersign::domain::time::Timestamp;
use serde_json::json;

use super::{Notified, assert_refused, assert_retry};
use crate::support::credentials::{KEY_ID, TEAM_ID, p256};
use crate::support::push_provider::{PushProvider, Received, Reply};
use crate::support::world::sid_of;

async fn start() -> (PushProvider, Notified) {
    let apple = PushProvider::start().await;
    let notified = Notified::new("apn", apple.senders(None)).await;
    (apple, notified)
}

fn token(request: &Received) -> &str {
    request.header("authorization").strip_prefix("bearer ").unwrap()
}

#[tokio::test]
async fn a_notification_is_the_request_that_apple_documents() {
    let (apple, notified) = start().await;
    let (challenge, row) = notified.challenge().await;
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Delivered);
    let requests = apple.received();
    let [request] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert_eq!(request.path, format!("/3/device/{}", notified.token));
    let now = notified.server.seconds();
    let sid = sid_of(&challenge);
    for (name, value) in [
        ("apns-topic", "com.owlbank.app"),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-expiration", &(now + 300).to_string()),
        ("apns-collapse-id", sid),
        ("content-type", "application/json"),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
    let id = request.header("apns-id");
    assert_eq!(id.len(), 36);
    assert_eq!(id.replace('-', ""), row.sid.to_string()[2..]);
    let (header, claims) = p256().read(token(request));
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID}));
    assert_eq!(claims, json!({"iss": TEAM_ID, "iat": now}));
    let payload = json!({
        "aps": {
            "alert": "Log in?",
            "category": "verify_push_challenge",
            "mutable-content": 1,
            "sound": "default",
        },
        "type": "verify_push_challenge",
        "challenge_sid": sid,
        "factor_sid": notified.device.factor,
        "message": "Log in?",
    });
    assert_eq!(request.json(), payload);
}

#[tokio::test]
async fn a_credential_says_which_app_and_which_environment() {
    let apple = PushProvider::start().await;
    let more = [("Topic", "com.owlbank.other"), ("Sandbox", "true")];
    let notified = Notified::with("apn", &more, apple.senders(None)).await;
    assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
    let request = apple.received().remove(0);
    assert_eq!(request.path, format!("/sandbox/3/device/{}", notified.token));
    assert_eq!(request.header("apns-topic"), "com.owlbank.other");
}

/// One connection and one token serve many notifications; a token is renewed between 20 and 60 minutes.
#[tokio::test]
async fn connections_and_tokens_are_used_again() {
    let (apple, notified) = start().await;
    let mut tokens = Vec::new();
    for minutes in [0, 20, 19, 1, 20] {
        notified.server.wait(minutes * 60);
        assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
        tokens.push(token(&apple.received()[0]).to_owned());
    }
    assert_eq!(apple.connections(), 1);
    assert!(tokens[0] == tokens[1] && tokens[1] == tokens[2], "39 minutes");
    assert!(tokens[2] != tokens[3] && tokens[3] == tokens[4], "40 minutes");
    // Another key is another token at once.
    let form = [("TeamId", "ZZZZZZZZZZ")];
    let path = format!("/v1/Credentials/{}", notified.credential);
    notified.server.client().post(path, &form).await.ok();
    assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
    let (_, claims) = p256().read(token(&apple.received()[0]));
    assert_eq!(claims["iss"], "ZZZZZZZZZZ");
}

#[tokio::test]
async fn each_answer_of_apple_has_its_outcome() {
    let (apple, notified) = start().await;
    for (reply, words, wait) in [
        (
            Reply::apns(403, "InvalidProviderToken"),
            "403 InvalidProviderToken; check the APNs credential",
            None,
        ),
        (Reply::apns(403, "Forbidden"), "403 Forbidden", None),
        (
            Reply::apns(429, "TooManyRequests").after("7"),
            "429 TooManyRequests",
            Some(7),
        ),
        (
            Reply::apns(429, "TooManyProviderTokenUpdates"),
            "429 TooMany",
            None,
        ),
        (Reply::apns(500, "InternalServerError"), "500 Internal", None),
        (
            Reply::apns(503, "ServiceUnavailable").after("120"),
            "503 Service",
            Some(120),
        ),
        (Reply::apns(503, "Shutdown").after("soon"), "503 Shutdown", None),
        (
            Reply::Status(400, None, "<html>".to_owned()),
            "400 without a reason",
            None,
        ),
        (
            Reply::Status(404, None, "{".to_owned()),
            "404 without a reason",
            None,
        ),
        (Reply::Status(302, None, String::new()), "302", None),
        (Reply::Status(204, None, "\0\u{1}".to_owned()), "204", None),
        (
            Reply::Status(500, None, "x".repeat(1_000_000)),
            "500 without a reason",
            None,
        ),
    ] {
        apple.reply([reply]);
        assert_retry(&notified.push().await, words, wait);
    }
    for (reply, words) in [
        (Reply::apns(400, "BadTopic"), "400 BadTopic"),
        (Reply::apns(404, "BadPath"), "404 BadPath"),
        (Reply::apns(405, "MethodNotAllowed"), "405 Method"),
        (Reply::apns(413, "PayloadTooLarge"), "413 Payload"),
        (Reply::Status(413, None, "?".to_owned()), "413"),
    ] {
        apple.reply([reply]);
        assert_refused(&notified.push().await, words);
    }
    apple.reply([Reply::Status(200, None, "garbage".to_owned())]);
    assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
    assert!(
        notified
            .config(&notified.device)
            .await
            .get("notification_status")
            .is_none()
    );
}

#[tokio::test]
async fn a_token_that_apple_does_not_know_is_noted_in_the_factor() {
    for (status, reason) in [
        (410, "Unregistered"),
        (410, "ExpiredToken"),
        (400, "BadDeviceToken"),
        (400, "DeviceTokenNotForTopic"),
    ] {
        let (apple, notified) = start().await;
        let (_, second) = notified.challenge().await;
        apple.reply([Reply::apns(status, reason)]);
        assert_eq!(notified.push().await, DeliveryOutcome::Obsolete, "{reason}");
        let config = notified.config(&notified.device).await;
        assert_eq!(config["notification_status"], "unreachable");
        assert_eq!(config["notification_error"], reason);
        assert_eq!(config["notification_token"], notified.token.as_str());
        // What waited for the same token is not even tried.
        apple.received();
        assert_eq!(notified.deliver(&second).await, DeliveryOutcome::Obsolete);
        assert_eq!(apple.received().len(), 0);
    }
}

#[tokio::test]
async fn an_expired_provider_token_is_renewed_but_never_within_twenty_minutes() {
    let (apple, notified) = start().await;
    assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
    let first = token(&apple.received()[0]).to_owned();
    let expired = || Reply::apns(403, "ExpiredProviderToken");
    // Apple wants no new token within 20 minutes, whatever it says of the old one.
    for _ in 0..3 {
        notified.server.wait(60);
        apple.reply([expired()]);
        assert_retry(&notified.push().await, "check this server's clock", None);
        let requests = apple.received();
        assert_eq!(requests.len(), 1);
        assert_eq!(token(&requests[0]), first);
    }
    notified.server.wait(17 * 60);
    apple.reply([expired()]);
    assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
    let requests = apple.received();
    assert_eq!(requests.len(), 2);
    assert_ne!(token(&requests[1]), first);
    p256().read(token(&requests[1]));
    notified.server.wait(20 * 60);
    apple.reply([expired(), expired(), expired()]);
    assert_retry(&notified.push().await, "check this server's clock", None);
    assert_eq!(apple.received().len(), 2, "tried twice, not for ever");
}

/// Apple knows teams and keys, not whose credentials hold them.
#[tokio::test]
async fn a_team_and_its_key_have_one_connection_and_one_token_whoever_owns_the_credential() {
    let apple = PushProvider::start().await;
    let senders = apple.senders(None);
    let (team, key) = (
        ApnsIdentifier::parse("TEAM123456").unwrap(),
        ApnsIdentifier::parse("KEY1234567").unwrap(),
    );
    let other = ApnsIdentifier::parse("TEAM654321").unwrap();
    let pem = p256().pem.as_str();
    let device = NotificationToken::parse(&"a".repeat(64)).unwrap();
    let now = Timestamp::from_seconds(1_800_000_000);
    let message = PushMessage {
        id: EventSid::from_bytes([1; 16]),
        challenge: ChallengeSid::from_bytes([2; 16]),
        factor: FactorSid::from_bytes([3; 16]),
        text: "",
        expires_at: now,
    };
    let rewrapped = pem.replace('\n', "\r\n");
    let push_with = async |team: &ApnsIdentifier, pem: &str| {
        let access = ApnsAccess {
            private_key: pem,
            key_id: &key,
            team_id: team,
            topic: "com.example",
            sandbox: false,
        };
        let sent = senders.push.apns.send(&access, &device, &message, now).await;
        assert_eq!(sent, PushOutcome::Settled(DeliveryOutcome::Delivered));
        token(&apple.received()[0]).to_owned()
    };
    let push = async |team| push_with(team, pem).await;
    let first = push(&team).await;
    // Another account, with another credential that holds the same.
    assert_eq!(push(&team).await, first);
    // Nor does it matter how the key's lines were broken.
    assert_eq!(push_with(&team, &rewrapped).await, first);
    assert_eq!(apple.connections(), 1);
    assert_ne!(push(&other).await, first);
    assert_eq!(apple.connections(), 2, "a team's connection is its own");
    assert_eq!(push(&team).await, first);
    assert_eq!(apple.connections(), 2);
}

#[tokio::test]
async fn what_is_over_or_gone_is_not_sent() {
    let (apple, notified) = start().await;
    let client = notified.server.client();
    let (answered, row) = notified.challenge().await;
    notified
        .device
        .answer(&notified.server, &answered, "denied")
        .await
        .ok();
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Obsolete);
    let (_, row) = notified.challenge().await;
    notified.server.wait(300);
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Obsolete);
    let (_, row) = notified.challenge().await;
    let form = [("Config.NotificationPlatform", "none")];
    notified
        .device
        .on(&notified.server)
        .post(notified.device.path(), &form)
        .await
        .ok();
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Obsolete);
    client.delete(notified.device.path()).await.ok();
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Obsolete);
    client.delete(&notified.user.path).await.ok();
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Obsolete);
    client.delete(&notified.user.service.path).await.ok();
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Obsolete);
    assert_eq!(apple.received().len(), 0);
}

#[tokio::test]
async fn without_a_credential_the_operator_is_told_what_to_do() {
    let (apple, notified) = start().await;
    let (_, row) = notified.challenge().await;
    let form = [("Push.ApnCredentialSid", "")];
    notified
        .server
        .client()
        .post(&notified.user.service.path, &form)
        .await
        .ok();
    assert_refused(&notified.deliver(&row).await, "names no APNs credential");
    assert_eq!(apple.received().len(), 0);
}
