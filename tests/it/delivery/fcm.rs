//! Firebase Cloud Messaging: the requests as Google documents them, and each of their answers.

use countersign::delivery::DeliveryOutcome;
use countersign::flows::push::deliver_push;
use serde_json::{Value, json};

use super::{Notified, assert_refused, assert_retry};
use crate::support::all_at_once;
use crate::support::credentials::{CLIENT_EMAIL, rsa2048};
use crate::support::push_provider::{PushProvider, Received, Reply};
use crate::support::world::sid_of;

async fn start() -> (PushProvider, Notified) {
    let google = PushProvider::start().await;
    let notified = Notified::new("fcm", google.senders(None)).await;
    (google, notified)
}

/// How often each path was asked for: tokens, messages.
fn counts(requests: &[Received]) -> (usize, usize) {
    let tokens = requests.iter().filter(|request| request.path == "/token").count();
    (tokens, requests.len() - tokens)
}

#[tokio::test]
async fn a_message_is_the_requests_that_google_documents() {
    let (google, notified) = start().await;
    let (challenge, row) = notified.challenge().await;
    notified.server.wait(10);
    assert_eq!(notified.deliver(&row).await, DeliveryOutcome::Delivered);
    let requests = google.received();
    let [token, message] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert_eq!(token.path, "/token");
    assert_eq!(token.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(
        token.form("grant_type"),
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let (header, claims) = rsa2048().read(&token.form("assertion"));
    assert_eq!(
        header,
        json!({"alg": "RS256", "typ": "JWT", "kid": "0123456789abcdef"})
    );
    let now = notified.server.seconds();
    assert_eq!(claims["iss"], CLIENT_EMAIL);
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/firebase.messaging"
    );
    assert!(claims["aud"].as_str().unwrap().ends_with("/token"));
    assert_eq!(
        (&claims["iat"], &claims["exp"]),
        (&json!(now), &json!(now + 3600))
    );

    assert_eq!(message.path, "/v1/projects/owl-bank/messages:send");
    assert_eq!(message.header("authorization"), "Bearer ya29.1");
    assert_eq!(message.header("content-type"), "application/json");
    let sid = sid_of(&challenge);
    let body = json!({"message": {
        "token": notified.token,
        "data": {
            "type": "verify_push_challenge",
            "challenge_sid": sid,
            "factor_sid": notified.device.factor,
            "message": "Log in?",
        },
        "android": {"priority": "HIGH", "ttl": "290s", "collapse_key": "verify_push_challenge_0"},
    }});
    assert_eq!(message.json(), body);
}

/// A token is asked for once, however many messages wait for it, and used until a minute before its end.
#[tokio::test]
async fn a_token_is_asked_for_once() {
    let (google, notified) = start().await;
    let mut rows = Vec::new();
    for _ in 0..8 {
        rows.push(notified.challenge().await.1);
    }
    let sending = rows.into_iter().map(|row| {
        let app = notified.server.app.clone();
        async move { deliver_push(&app, &row).await }
    });
    for outcome in all_at_once(sending).await {
        assert_eq!(outcome, DeliveryOutcome::Delivered);
    }
    assert_eq!(counts(&google.received()), (1, 8));
    for (seconds, expected) in [(3599 - 60 - 1, (0, 1)), (1, (1, 1))] {
        notified.server.wait(seconds);
        assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
        assert_eq!(counts(&google.received()), expected, "{seconds}");
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (google, notified) = start().await;
    let refused = || Reply::fcm(401, "UNAUTHENTICATED", "UNAUTHENTICATED", "Invalid credentials.");
    google.reply([refused()]);
    assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
    let requests = google.received();
    assert_eq!(counts(&requests), (2, 2));
    assert_eq!(requests[3].header("authorization"), "Bearer ya29.2");
    google.reply([refused(), refused(), refused()]);
    assert_retry(&notified.push().await, "refuses a new access token", None);
    assert_eq!(counts(&google.received()), (1, 2), "tried twice, not for ever");
}

#[tokio::test]
async fn each_answer_of_google_has_its_outcome() {
    let (google, notified) = start().await;
    let plain = |status, body: &str| Reply::Status(status, None, body.to_owned());
    for (reply, words, wait) in [
        (
            Reply::fcm(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Slow down").after("60"),
            "429 QUOTA_EXCEEDED",
            Some(60),
        ),
        (
            Reply::fcm(503, "UNAVAILABLE", "UNAVAILABLE", "").after("9"),
            "503 UNAVAILABLE",
            Some(9),
        ),
        (Reply::fcm(500, "INTERNAL", "INTERNAL", ""), "500 INTERNAL", None),
        (
            Reply::fcm(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", ""),
            "THIRD_PARTY_AUTH_ERROR; check the APNs or Web Push key",
            None,
        ),
        (
            Reply::fcm(403, "PERMISSION_DENIED", "PERMISSION_DENIED", "API is disabled"),
            "API is disabled; check that the service account",
            None,
        ),
        (plain(200, "garbage"), "no message", None),
        (plain(200, "{}"), "no message", None),
        (plain(400, "<html>"), "400 without a code", None),
        (plain(404, "{\"error\":\"x\"}"), "404 without a code", None),
        (plain(410, ""), "410", None),
        (plain(302, ""), "302", None),
        (plain(500, &"x".repeat(1_000_000)), "500 without a code", None),
    ] {
        google.reply([reply]);
        assert_retry(&notified.push().await, words, wait);
    }
    for (reply, words) in [
        (
            Reply::fcm(
                400,
                "INVALID_ARGUMENT",
                "INVALID_ARGUMENT",
                "Invalid value at 'message.data'",
            ),
            "400 INVALID_ARGUMENT Invalid value",
        ),
        (
            plain(
                404,
                &json!({"error": {"code": 404, "status": "NOT_FOUND"}}).to_string(),
            ),
            "404 NOT_FOUND",
        ),
        (plain(413, "too large"), "413"),
    ] {
        google.reply([reply]);
        assert_refused(&notified.push().await, words);
    }
    assert!(
        notified
            .config(&notified.device)
            .await
            .get("notification_status")
            .is_none()
    );
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_asked_again_later() {
    let (google, notified) = start().await;
    let plain = |status, body: &str| Reply::Status(status, None, body.to_owned());
    let grant = json!({"error": "invalid_grant", "error_description": "Invalid JWT\nSignature."});
    for (reply, words, wait) in [
        (
            plain(400, &grant.to_string()),
            "400 invalid_grant Invalid JWTSignature.; check",
            None,
        ),
        (plain(401, "garbage"), "401 without a reason", None),
        (plain(429, "").after("30"), "429", Some(30)),
        (plain(500, ""), "500", None),
        (plain(200, "garbage"), "cannot be read", None),
        (plain(200, "{\"access_token\":\"a\\nb\"}"), "cannot be read", None),
        (plain(302, ""), "302", None),
    ] {
        google.reply_to_tokens([reply]);
        assert_retry(&notified.push().await, words, wait);
        assert_eq!(counts(&google.received()), (1, 0));
    }
    assert_eq!(notified.push().await, DeliveryOutcome::Delivered);
}

#[tokio::test]
async fn a_token_that_google_does_not_know_is_noted_in_the_factor() {
    let violation = json!({"error": {
        "code": 400,
        "message": "Request contains an invalid argument.",
        "status": "INVALID_ARGUMENT",
        "details": [{
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "message.token", "description": "Invalid registration token"}],
        }],
    }});
    let sentence = "The registration token is not a valid FCM registration token";
    for (reply, reason) in [
        (
            Reply::fcm(
                404,
                "NOT_FOUND",
                "UNREGISTERED",
                "Requested entity was not found.",
            ),
            "UNREGISTERED",
        ),
        (
            Reply::fcm(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", ""),
            "SENDER_ID_MISMATCH",
        ),
        (
            Reply::fcm(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", sentence),
            "INVALID_ARGUMENT",
        ),
        (
            Reply::Status(400, None, violation.to_string()),
            "INVALID_ARGUMENT",
        ),
    ] {
        let (google, notified) = start().await;
        google.reply([reply]);
        assert_eq!(notified.push().await, DeliveryOutcome::Obsolete, "{reason}");
        let config = notified.config(&notified.device).await;
        assert_eq!(config["notification_status"], "unreachable");
        assert_eq!(config["notification_error"], reason);
    }
}

/// The extension is two members, which the SDKs do not know and do not mind.
#[tokio::test]
async fn a_device_is_shown_that_it_is_unreachable_and_nothing_secret() {
    let (google, notified) = start().await;
    google.reply([Reply::fcm(404, "NOT_FOUND", "UNREGISTERED", "")]);
    notified.push().await;
    let shown = notified
        .device
        .on(&notified.server)
        .get(notified.device.path())
        .await
        .ok();
    let text = shown.to_string();
    assert!(!text.contains("ya29") && !text.contains("PRIVATE"), "{text}");
    let members: Vec<&Value> = shown["config"].as_object().unwrap().values().collect();
    assert_eq!(members.len(), 7);
}
