//! `challenge.expired`.

use super::{names, subscribe};
use crate::support::world::{answer, sid_of};
use crate::support::{TestApp, User};
use countersign::flows::challenge;

async fn timers(server: &TestApp) -> usize {
    server.scan(b"z".to_vec()).await.len()
}

#[tokio::test]
async fn a_challenge_that_nobody_answered_is_announced_once_and_final() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    subscribe(&client, &user, &["challenge.expired", "challenge.approved"]).await;
    let totp = user.totp(&server, &client).await;
    let device = user.device(&server, &client).await;
    let open = totp.challenge(&client).await;
    let push = user.push_challenge(&client, &device).await;
    let signed = device.signed(&server, &push, "approved").await;
    let wrong = totp.check(&client, "000000").await.ok()["sid"]
        .as_str()
        .unwrap()
        .to_owned();
    totp.check(&client, &totp.app.code(&server)).await.ok();
    assert_eq!(timers(&server).await, 3, "what is answered at once needs none");
    assert_eq!(names(&server.outbox().await), ["challenge.approved"]);

    let due = challenge::expire_due(&server.app).await.unwrap().unwrap();
    assert_eq!(due.since(server.app.clock.now()).as_secs(), 300);
    server.wait(299);
    challenge::expire_due(&server.app).await.unwrap();
    assert_eq!(timers(&server).await, 3);
    server.wait(1);
    assert_eq!(challenge::expire_due(&server.app).await.unwrap(), None);
    assert_eq!(challenge::expire_due(&server.app).await.unwrap(), None);
    assert_eq!(timers(&server).await, 0);
    let rows = server.outbox().await;
    assert_eq!(
        names(&rows),
        [
            "challenge.approved",
            "challenge.expired",
            "challenge.expired",
            "challenge.expired"
        ]
    );
    let pending = server
        .dump()
        .await
        .into_iter()
        .filter(|(key, _)| is_pending(key))
        .count();
    assert_eq!(pending, 0, "nothing is listed as pending");

    // No clock that is set back opens it again.
    server.set_clock(60);
    for challenge in [&open, &push, &format!("{}/Challenges/{wrong}", user.path)] {
        assert_eq!(client.get(challenge).await.text("status"), "expired");
    }
    let late = answer(&client, &open, &totp.app.code(&server)).await;
    assert_eq!(late.status, 403, "{}", late.body);
    let late = device.on(&server).post(&push, &[("AuthPayload", &signed)]).await;
    assert_eq!(late.status, 403, "{}", late.body);
    assert_eq!(client.get(&open).await.text("status"), "expired");
    assert_eq!(server.outbox().await.len(), 4);
}

fn is_pending(key: &[u8]) -> bool {
    use countersign::store::keys::KeyParts;
    matches!(KeyParts::parse(key), Some(KeyParts::Pending(..)))
}

#[tokio::test]
async fn what_was_answered_deleted_or_is_nobodys_business_is_not_announced() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    user.push_challenge(&client, &device).await;
    assert_eq!(timers(&server).await, 0, "nobody wants to hear of it");

    subscribe(&client, &user, &["challenge.expired"]).await;
    let answered = user.push_challenge(&client, &device).await;
    device.answer(&server, &answered, "approved").await.ok();
    let another = user.service.user("user-0002");
    let gone = another.device(&server, &client).await;
    another.push_challenge(&client, &gone).await;
    client.delete(gone.path()).await.ok();
    let third = user.service.user("user-0003");
    let gone = third.device(&server, &client).await;
    third.push_challenge(&client, &gone).await;
    client.delete(&third.path).await.ok();
    // The same identity again is another entity.
    third.device(&server, &client).await;
    let elsewhere = User::create(&client).await;
    subscribe(&client, &elsewhere, &["*"]).await;
    let deleted = elsewhere.device(&server, &client).await;
    elsewhere.push_challenge(&client, &deleted).await;
    let before = server.outbox().await.len();
    client.delete(&elsewhere.service.path).await.ok();
    assert_eq!(timers(&server).await, 4);

    server.wait(300);
    assert_eq!(challenge::expire_due(&server.app).await.unwrap(), None);
    assert_eq!((timers(&server).await, server.outbox().await.len()), (0, before));
    assert_eq!(client.get(&answered).await.text("status"), "approved");
    assert_eq!(sid_of(&answered).len(), 34);
}
