//! What counts must outlive the process: a restart that forgets failures is a new budget of guesses.

use crate::support::device::borrowed;
use crate::support::stores::StorePlace;
use crate::support::world::{answer, sid_of};
use crate::support::{Credentials, Device, TestApp, User, wrong_code};

#[tokio::test]
async fn failures_tries_and_used_codes_survive_a_restart() {
    let place = StorePlace::new().await;
    let store = place.open().await;
    let server = TestApp::on(store.clone()).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let used = totp.app.code(&server);
    totp.check(&client, &used).await.ok();
    let challenge = totp.challenge(&client).await;
    for nth in 0..4 {
        answer(&client, &challenge, &wrong_code(&server, &totp.app, nth))
            .await
            .ok();
    }
    store.close().await.unwrap();

    let store = place.open().await;
    let server = server.restarted(store.clone());
    let client = server.client();
    assert_eq!(server.factor(&totp.sid).await.failures.count(), 4);
    assert_eq!(server.challenge(sid_of(&challenge)).await.attempts, 4);
    assert_eq!(
        answer(&client, &challenge, &used).await.ok()["status"],
        "pending",
        "still used"
    );
    answer(&client, &challenge, &totp.app.code(&server))
        .await
        .refused(429, 60308);
    for nth in 0..6 {
        totp.check(&client, &wrong_code(&server, &totp.app, nth))
            .await
            .ok();
    }
    totp.check(&client, &totp.app.code(&server))
        .await
        .refused(429, 20429);
    store.close().await.unwrap();

    let store = place.open().await;
    let server = server.restarted(store.clone());
    let wait = totp
        .check(&server.client(), &totp.app.code(&server))
        .await
        .refused(429, 20429)
        .retry_after();
    assert_eq!(wait, 30);
    store.close().await.unwrap();
}

#[tokio::test]
async fn spent_access_tokens_and_answers_survive_a_restart() {
    let place = StorePlace::new().await;
    let store = place.open().await;
    let server = TestApp::on(store.clone()).await;
    let client = server.client();
    let user = User::create(&client).await;
    let form = [("Identity", user.identity.as_str()), ("FactorType", "push")];
    let token = client
        .post(format!("{}/AccessTokens", user.service.path), &form)
        .await
        .text("token");
    let enrolling = Credentials::token(&token);
    let mut device = Device::new();
    device.enrol(&server.client_of(&enrolling), &user.path).await.ok();
    device.verify(&server).await.ok();
    let challenge = user.push_challenge(&client, &device).await;
    let denial = device.signed(&server, &challenge, "denied").await;
    let approval = device.signed(&server, &challenge, "approved").await;
    answer(&device.on(&server), &challenge, &denial).await.ok();
    store.close().await.unwrap();

    let store = place.open().await;
    let server = server.restarted(store.clone());
    let form = Device::new().enrolment();
    let factors = format!("{}/Factors", user.path);
    server
        .client_of(&enrolling)
        .post(factors, &borrowed(&form))
        .await
        .refused(403, 60313);
    assert_eq!(device.on(&server).get(&challenge).await.ok()["status"], "denied");
    answer(&device.on(&server), &challenge, &approval)
        .await
        .refused(403, 60322);
    store.close().await.unwrap();
}
