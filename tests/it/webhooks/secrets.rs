//! The account's webhook signing secret: sealed, replaced with and without an overlap.

use std::time::Duration;

use super::{one_row, server_on_loopback};
use crate::support::receiver::{OK, Received};
use crate::support::{Credentials, Receiver, TestApp};
use countersign::crypto::webhook_secret::WebhookSecret;
use countersign::delivery::DeliveryOutcome;
use countersign::domain::sid::AccountSid;
use countersign::domain::text::FriendlyName;
use countersign::domain::time::Timestamp;
use countersign::flows::event::deliver_webhook;
use countersign::flows::{account, webhook_secret};
use countersign::store::{keys, records};

const HOUR: Duration = Duration::from_hours(1);

fn account(server: &TestApp) -> AccountSid {
    server.account.user.parse().unwrap()
}

/// Which of `secrets` made the Twilio signature, and which made the others, in their order.
fn signers(sent: &Received, secrets: &[&WebhookSecret]) -> (usize, Vec<usize>) {
    let url = sent.url();
    let twilio = sent.header("x-twilio-signature");
    let (id, timestamp) = (sent.header("webhook-id"), sent.header("webhook-timestamp"));
    let timestamp = timestamp.parse().unwrap();
    let by = |signature: &str, sign: &dyn Fn(&WebhookSecret) -> String| {
        let found = secrets.iter().position(|secret| sign(secret) == signature);
        found.expect("one of the secrets made it")
    };
    let standard = sent.header("webhook-signature").split(' ');
    (
        by(twilio, &|secret| secret.sign_sha1(&url)),
        standard
            .map(|signature| {
                by(signature, &|secret| {
                    secret.sign_standard(id, timestamp, &sent.body)
                })
            })
            .collect(),
    )
}

async fn rotate(server: &TestApp, overlap: Duration) -> WebhookSecret {
    let rotated = webhook_secret::rotate(&server.app, account(server), overlap).await;
    rotated.unwrap().0
}

#[tokio::test]
async fn the_old_secret_signs_beside_the_new_one_for_as_long_as_it_was_said() {
    let server = server_on_loopback().await;
    let receiver = Receiver::answering(OK).await;
    let row = one_row(&server, &receiver.url("/")).await;
    let sent = async || {
        assert_eq!(
            deliver_webhook(&server.app, &row).await,
            DeliveryOutcome::Delivered
        );
        receiver.requests().pop().unwrap()
    };
    let first = rotate(&server, Duration::ZERO).await;
    assert_eq!(signers(&sent().await, &[&first]), (0, vec![0]));

    let (second, alone_from) = webhook_secret::rotate(&server.app, account(&server), HOUR)
        .await
        .unwrap();
    assert_eq!(alone_from.map(Timestamp::seconds), Some(server.seconds() + 3600));
    let both = [&first, &second];
    assert_eq!(signers(&sent().await, &both), (0, vec![1, 0]));
    server.wait(3599);
    assert_eq!(signers(&sent().await, &both), (0, vec![1, 0]));
    server.wait(1);
    assert_eq!(signers(&sent().await, &both), (1, vec![1]));

    let third = rotate(&server, HOUR).await;
    let fourth = rotate(&server, Duration::ZERO).await;
    assert_eq!(signers(&sent().await, &[&second, &third, &fourth]), (2, vec![2]));
}

/// A secret that nobody was shown can be in nobody's receiver: the first rotation counts at once.
#[tokio::test]
async fn the_first_rotation_of_a_secret_that_nobody_saw_counts_at_once() {
    let mut server = server_on_loopback().await;
    let sid = AccountSid::from_bytes([0xab; 16]);
    let name = FriendlyName::parse("bootstrap").unwrap();
    account::create_as(&server.app, sid, "a-token-of-our-own", name)
        .await
        .unwrap();
    server.account = Credentials::new(&sid, "a-token-of-our-own");
    let receiver = Receiver::answering(OK).await;
    let row = one_row(&server, &receiver.url("/")).await;
    assert_eq!(
        deliver_webhook(&server.app, &row).await,
        DeliveryOutcome::Delivered
    );
    let secret = rotate(&server, HOUR).await;
    assert_eq!(
        deliver_webhook(&server.app, &row).await,
        DeliveryOutcome::Delivered
    );
    let sent = receiver.requests();
    assert_ne!(
        sent[0].header("x-twilio-signature"),
        sent[1].header("x-twilio-signature")
    );
    assert_eq!(signers(&sent[1], &[&secret]), (0, vec![0]));
}

#[tokio::test]
async fn neither_the_store_nor_debug_shows_a_secret() {
    let server = server_on_loopback().await;
    let secret = rotate(&server, HOUR).await;
    let text = secret.reveal();
    for (key, entry) in server.dump().await {
        for hidden in [
            secret.as_bytes().as_slice(),
            text.as_bytes(),
            &text.as_bytes()[6..],
        ] {
            let shown = entry.value.windows(hidden.len()).any(|window| window == hidden);
            assert!(!shown, "{}", key.escape_ascii());
        }
    }
    let key = keys::account(account(&server));
    let record = records::read(server.app.store.as_ref(), &key)
        .await
        .unwrap()
        .unwrap()
        .record;
    let debugged = format!("{record:?} {secret:?} {:?}", server.app);
    assert!(!debugged.contains(text.as_str()), "{debugged}");
}

#[tokio::test]
async fn rotating_the_secret_of_nobody_is_refused() {
    let server = TestApp::new().await;
    let nobody = AccountSid::from_bytes([0xee; 16]);
    let refused = webhook_secret::rotate(&server.app, nobody, HOUR).await;
    assert!(refused.unwrap_err().to_string().contains("not"));
}
