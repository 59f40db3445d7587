//! What reaches a device, and what its push service learns.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::app::Policy;
use countersign::domain::time::Clock as _;
use countersign::store::memory::MemoryStore;
use serde_json::{Value, json};

use super::push_service::Reply;
use super::user_agent::vapid_claims;
use super::{DELIVERED, PushService, Subscribed, connected, is_refused};
use crate::foreign::{python, with_input};
use crate::support::TestApp;
use crate::support::world::sid_of;

#[tokio::test]
async fn a_device_is_told_which_challenge_waits_and_by_whom() {
    told().await;
}

/// By code that knows the RFCs and nothing of this program.
#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn python_reads_what_a_device_is_told() {
    let (question, expected) = told().await;
    let output = with_input(
        python("web_push.py", &["cryptography", "jwt"]),
        &question.to_string(),
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read, expected);
}

/// Delivers a message and checks it; all that is needed to read it, and what must be read.
async fn told() -> (Value, Value) {
    let server = TestApp::new().await;
    let service = PushService::saying(&[Reply::Status(201)]).await;
    let subscribed = Subscribed::to(&server, &service.endpoint()).await;
    let mut app = connected(&server);
    app.policy = Policy {
        webpush_contact: Some("mailto:ops@owlbank.example".to_owned()),
        ..crate::doubles::policy()
    };
    let challenge = subscribed
        .user
        .push_challenge(&server.client(), &subscribed.device)
        .await;
    server.wait(100);
    assert_eq!(subscribed.deliver(&app, &challenge).await, DELIVERED);

    let messages = service.messages();
    let [message] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    assert_eq!(
        (message.method.as_str(), message.path.as_str()),
        ("POST", "/push/a-secret-path?and=query")
    );
    let header = |name: &str| message.headers[name].as_str();
    assert_eq!(header("content-encoding"), "aes128gcm");
    assert_eq!(header("urgency"), "high");
    assert_eq!(header("ttl"), "200", "a challenge lives 300 seconds");
    let topic = header("topic");
    let base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    assert!(
        topic.len() <= 32 && !topic.is_empty() && topic.chars().all(base64url),
        "{topic}"
    );

    let expected = json!({
        "type": "verify_push_challenge",
        "challenge_sid": sid_of(&challenge),
        "factor_sid": subscribed.device.factor,
        "message": "Log in?",
    });
    assert_eq!(subscribed.agent.read(&message.body), expected);

    let (claims, key) = vapid_claims(header("authorization"));
    let expected_claims = json!({
        "aud": service.origin,
        "exp": server.seconds() + 12 * 3600,
        "sub": "mailto:ops@owlbank.example",
    });
    assert_eq!(claims, expected_claims);
    let shown = server.client().get(&subscribed.user.service.path).await;
    assert_eq!(shown.ok()["push"]["vapid_public_key"], key.as_str());

    let question = json!({
        "private_key": URL_SAFE_NO_PAD.encode(subscribed.agent.private_bytes()),
        "auth": URL_SAFE_NO_PAD.encode(subscribed.agent.auth),
        "body": URL_SAFE_NO_PAD.encode(&message.body),
        "authorization": header("authorization"),
        "now": server.seconds(),
    });
    let read = json!({"message": expected, "claims": expected_claims, "key": key});
    (question, read)
}

#[tokio::test]
async fn notifications_of_one_challenge_share_a_topic_and_those_of_another_do_not() {
    let server = TestApp::new().await;
    let service = PushService::saying(&[Reply::Status(201)]).await;
    let subscribed = Subscribed::to(&server, &service.endpoint()).await;
    let app = connected(&server);
    let client = server.client();
    let first = subscribed.user.push_challenge(&client, &subscribed.device).await;
    let second = subscribed.user.push_challenge(&client, &subscribed.device).await;
    for challenge in [&first, &first, &second] {
        assert_eq!(subscribed.deliver(&app, challenge).await, DELIVERED);
    }
    let messages = service.messages();
    let topic = |index: usize| &messages[index].headers["topic"];
    assert_eq!(topic(0), topic(1));
    assert_ne!(topic(0), topic(2));
    // Each message has a key of its own, and all of one origin the same token.
    assert_ne!(messages[0].body[21..86], messages[1].body[21..86]);
    assert_eq!(
        messages[0].headers["authorization"],
        messages[2].headers["authorization"]
    );
    server.wait(6 * 3600);
    subscribed.deliver(&app, &first).await;
    assert_ne!(
        messages[0].headers["authorization"],
        service.messages()[3].headers["authorization"]
    );
}

/// A message of one letter and one of 200 look alike to the push service; the longest still fits.
#[tokio::test]
async fn lengths_of_messages_are_hidden_and_the_longest_fits() {
    let server = TestApp::new().await;
    let service = PushService::saying(&[Reply::Status(201)]).await;
    let subscribed = Subscribed::to(&server, &service.endpoint()).await;
    let app = connected(&server);
    let texts = ["?".to_owned(), "?".repeat(200), "\u{1f989}".repeat(256)];
    for text in &texts {
        let form = [
            ("FactorSid", subscribed.device.factor.as_str()),
            ("Details.Message", text),
        ];
        let path = format!("{}/Challenges", subscribed.user.path);
        let created = server.client().post(&path, &form).await;
        let challenge = format!("{path}/{}", created.text("sid"));
        assert_eq!(subscribed.deliver(&app, &challenge).await, DELIVERED);
    }
    let bodies: Vec<Vec<u8>> = service
        .messages()
        .into_iter()
        .map(|message| message.body)
        .collect();
    assert_eq!(bodies[0].len(), bodies[1].len());
    assert!(bodies[2].len() <= 4096, "{}", bodies[2].len());
    for (body, text) in bodies.iter().zip(&texts) {
        assert_eq!(subscribed.agent.read(body)["message"], Value::from(text.as_str()));
    }
}

/// The default reaches nothing that is not public: whoever forgets to configure it is safe.
#[tokio::test]
async fn a_server_that_nobody_configured_calls_no_inner_address() {
    let server = TestApp::new().await;
    let service = PushService::saying(&[Reply::Status(201)]).await;
    let subscribed = Subscribed::to(&server, &service.endpoint()).await;
    let challenge = subscribed
        .user
        .push_challenge(&server.client(), &subscribed.device)
        .await;
    let sent = subscribed.deliver(&server.app, &challenge).await;
    assert!(is_refused(&sent), "{sent:?}");
    assert!(service.messages().is_empty());
}

/// The clock of one of them is five minutes behind.
#[tokio::test]
async fn notifications_of_a_challenge_are_in_order_whichever_process_asks_for_them() {
    let store = Arc::new(MemoryStore::new());
    let fast = TestApp::on(store.clone()).await;
    let slow = fast.restarted(store);
    slow.set_clock(-300);
    let subscribed = Subscribed::to(&fast, "https://push.example/p").await;
    let challenge = subscribed
        .user
        .push_challenge(&fast.client(), &subscribed.device)
        .await;
    for (server, ttl) in [(&slow, "10"), (&fast, "20")] {
        let path = format!("{challenge}/Notifications");
        server.client().post(path, &[("Ttl", ttl)]).await.ok();
    }
    let ends: Vec<_> = fast
        .outbox()
        .await
        .iter()
        .map(|row| row.message.expires_at().unwrap())
        .collect();
    let (fast, slow) = (fast.clock.now(), slow.clock.now());
    let expected = [(fast, 300), (slow, 10), (fast, 20)];
    assert_eq!(
        ends,
        expected.map(|(now, seconds)| now + Duration::from_secs(seconds))
    );
}
