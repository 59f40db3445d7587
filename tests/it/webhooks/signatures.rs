//! Signatures (SECURITY, row 33): what receives them checks them with code that is not ours.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{deliver_all, server_on_loopback, subscribe};
use crate::foreign::{node, python, with_input};
use crate::support::receiver::OK;
use crate::support::{Receiver, TestApp, User};
use countersign::delivery::DeliveryOutcome;
use countersign::flows::webhook_secret;

/// Paths and queries that a receiver may have.
const TARGETS: [&str; 8] = [
    "",
    "/",
    "/hook",
    "/hook?a=1&b=2",
    "/hook?",
    "/hook?q=%20a+b%2F%C3%A9&empty=",
    "/a%20b/c;d=1,2?x[]=1&x[]=2",
    "/hook?z=1&a='quoted'",
];

/// One message of each version to each of the targets, of a factor and of a challenge; what was received, in JSON, and the
/// secrets that signed it.
async fn received(server: &TestApp) -> Value {
    let account = server.account.user.parse().unwrap();
    let mut secrets = Vec::new();
    for overlap in [0, 3600] {
        let overlap = std::time::Duration::from_secs(overlap);
        let (secret, _) = webhook_secret::rotate(&server.app, account, overlap)
            .await
            .unwrap();
        secrets.push(secret.reveal().to_string());
    }
    let client = server.client();
    let receiver = Receiver::answering(OK).await;
    let user = User::create(&client).await;
    for target in TARGETS {
        for version in ["v1", "v2"] {
            subscribe(&client, &user, &receiver.url(target), "*", version).await;
        }
    }
    let device = user.device(server, &client).await;
    let challenge = user.push_challenge(&client, &device).await;
    device.answer(server, &challenge, "approved").await.ok();
    let outcomes = deliver_all(server, server.outbox().await).await;
    assert_eq!(outcomes, vec![DeliveryOutcome::Delivered; 3 * 2 * TARGETS.len()]);
    let requests = receiver.requests().into_iter().map(|request| {
        assert_eq!(request.method, "POST");
        let headers: serde_json::Map<_, _> = request
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        json!({"url": request.url(), "headers": headers, "body": STANDARD.encode(&request.body)})
    });
    json!({
        "secrets": secrets,
        "now": server.seconds(),
        "account": server.account.user,
        "service": user.service.sid,
        "identity": user.identity,
        "factor": device.factor,
        "challenge": crate::support::world::sid_of(&challenge),
        "requests": requests.collect::<Vec<_>>(),
    })
}

fn accept(command: Command, received: &Value) {
    let output = with_input(command, &received.to_string());
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = format!("{} requests hold", 3 * 2 * TARGETS.len());
    assert!(printed.contains(&expected), "{printed}");
}

/// Twilio's own validator for Python; and what Standard Webhooks asks for, by Python's own HMAC.
#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn twilio_from_pypi_accepts_the_signatures() {
    let command = python("webhooks.py", &["twilio"]);
    let server = server_on_loopback().await;
    accept(command, &received(&server).await);
}

/// Twilio's own validators for Node.js.
#[tokio::test]
#[ignore = "needs node with `npm install twilio@6.2.0` (NODE_PATH names the node_modules); run with --include-ignored"]
async fn twilio_from_npm_accepts_the_signatures() {
    let command = node("webhooks.js", "twilio");
    let server = server_on_loopback().await;
    accept(command, &received(&server).await);
}

/// Every time it is sent, a message is the same one, signed anew.
#[tokio::test]
async fn a_message_sent_again_has_its_identifier_and_a_new_time() {
    let server = server_on_loopback().await;
    let receiver = Receiver::answering(OK).await;
    let row = super::one_row(&server, &receiver.url("/")).await;
    for _ in 0..2 {
        deliver_all(&server, vec![row.clone()]).await;
        server.wait(100);
    }
    let [first, second] = &receiver.requests()[..] else {
        panic!("two requests")
    };
    assert_eq!(first.body, second.body);
    let id = first.header("webhook-id");
    assert_eq!(id.replace('-', ""), row.sid.to_string()[2..]);
    assert_eq!(id, first.header("i-twilio-idempotency-token"));
    assert_eq!(id, second.header("webhook-id"));
    let time = |header: &str| header.parse::<u64>().unwrap();
    assert_eq!(
        time(second.header("webhook-timestamp")) - time(first.header("webhook-timestamp")),
        100
    );
    assert_ne!(
        first.header("webhook-signature"),
        second.header("webhook-signature")
    );
    assert!(first.header("user-agent").starts_with("countersign/"));
}
