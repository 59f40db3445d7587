//! What was allowed when a challenge was created must still be when it is answered (CVE-2026-16103, Keycloak: lockout was
//! looked at in the beginning only).

use crate::support::world::{Totp, answer};
use crate::support::{Answer, Device, TestApp, User};
use countersign::flows::{account, api_key};

struct Waiting {
    server: TestApp,
    user: User,
    totp: Totp,
    device: Device,
    totp_challenge: String,
    push_challenge: String,
    signed: String,
}

impl Waiting {
    async fn prepare() -> Self {
        let server = TestApp::new().await;
        let client = server.client();
        let user = User::create(&client).await;
        let totp = user.totp(&server, &client).await;
        let device = user.device(&server, &client).await;
        let totp_challenge = totp.challenge(&client).await;
        let push_challenge = user.push_challenge(&client, &device).await;
        let signed = device.signed(&server, &push_challenge, "approved").await;
        Self {
            server,
            user,
            totp,
            device,
            totp_challenge,
            push_challenge,
            signed,
        }
    }

    async fn code(&self) -> Answer {
        answer(
            &self.server.client(),
            &self.totp_challenge,
            &self.totp.app.code(&self.server),
        )
        .await
    }

    async fn approval(&self) -> Answer {
        answer(&self.device.on(&self.server), &self.push_challenge, &self.signed).await
    }

    /// The device's signature, handed in by the account.
    async fn approval_by_account(&self) -> Answer {
        answer(&self.server.client(), &self.push_challenge, &self.signed).await
    }
}

#[tokio::test]
async fn a_late_answer_is_refused_after_the_factor_is_deleted() {
    let waiting = Waiting::prepare().await;
    let client = waiting.server.client();
    client.delete(&waiting.totp.path).await.ok();
    client.delete(waiting.device.path()).await.ok();
    waiting.code().await.refused(404, 20404);
    waiting.approval_by_account().await.refused(404, 20404);
    waiting.approval().await.refused(401, 20003);
    for challenge in [&waiting.totp_challenge, &waiting.push_challenge] {
        assert_eq!(client.get(challenge).await.ok()["status"], "pending");
    }
}

#[tokio::test]
async fn a_late_answer_is_refused_after_the_entity_is_deleted() {
    let waiting = Waiting::prepare().await;
    let client = waiting.server.client();
    client.delete(&waiting.user.path).await.ok();
    for again in [false, true] {
        if again {
            let entities = format!("{}/Entities", waiting.user.service.path);
            client
                .post(entities, &[("Identity", &waiting.user.identity)])
                .await
                .ok();
        }
        waiting.code().await.refused(404, 20404);
        waiting.approval_by_account().await.refused(404, 20404);
        waiting.approval().await.refused(401, 20003);
    }
}

#[tokio::test]
async fn a_late_answer_is_refused_after_the_service_is_deleted() {
    let waiting = Waiting::prepare().await;
    waiting
        .server
        .client()
        .delete(&waiting.user.service.path)
        .await
        .ok();
    waiting.code().await.refused(404, 20404);
    waiting.approval_by_account().await.refused(404, 20404);
    waiting.approval().await.refused(401, 20003);
}

#[tokio::test]
async fn a_late_answer_is_refused_after_the_challenge_expired() {
    let waiting = Waiting::prepare().await;
    waiting.server.wait(299);
    assert_eq!(
        waiting.server.client().get(&waiting.push_challenge).await.ok()["status"],
        "pending"
    );
    waiting.server.wait(1);
    waiting.code().await.refused(403, 60323);
    waiting.approval().await.refused(403, 60323);
    assert_eq!(
        waiting.server.client().get(&waiting.push_challenge).await.ok()["status"],
        "expired"
    );
}

#[tokio::test]
async fn credentials_that_were_taken_away_are_refused_from_the_next_request_on() {
    let waiting = Waiting::prepare().await;
    let (server, app) = (&waiting.server, &waiting.server.app);
    let account = server.account.user.parse().unwrap();
    let key = server.api_key().await;
    server.client_of(&key).get(&waiting.push_challenge).await.ok();

    account::suspend(app, account).await.unwrap();
    waiting.code().await.refused(401, 20003);
    waiting.approval().await.refused(401, 20003);
    server
        .client_of(&key)
        .get(&waiting.push_challenge)
        .await
        .refused(401, 20003);
    account::resume(app, account).await.unwrap();
    server.client_of(&key).get(&waiting.push_challenge).await.ok();

    api_key::revoke(app, key.user.parse().unwrap()).await.unwrap();
    server
        .client_of(&key)
        .get(&waiting.push_challenge)
        .await
        .refused(401, 20003);
    account::rotate_token(app, account).await.unwrap();
    waiting.code().await.refused(401, 20003);
    waiting.approval_by_account().await.refused(401, 20003);
    assert_eq!(
        waiting.approval().await.ok()["status"],
        "approved",
        "the device has a key of its own"
    );
}
