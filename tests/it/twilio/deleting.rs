//! Deleting: what is gone is gone at once, does not come back under the same name, and leaves nothing behind.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::operations::{Everything, samples};
use crate::support::world::sid_of;
use crate::support::{Credentials, Interleaved, Service, TestApp, wrong_code};
use countersign::domain::factor::FactorType;
use countersign::flows::challenge;
use countersign::flows::deliveries::Deliveries;
use countersign::flows::outbox::worker::{Limits, Worker};
use countersign::store::keys::KeyParts;

const DAY: u64 = 24 * 3600;

#[tokio::test]
async fn an_entity_created_anew_has_nothing_of_the_old_one() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let old = client.get(&all.user.path).await.text("sid");
    client.delete(&all.user.path).await.ok();
    client.get(&all.user.path).await.refused(404, 20404);
    all.device
        .on(&server)
        .get(&all.challenge)
        .await
        .refused(401, 20003);

    client
        .post(
            format!("{}/Entities", all.user.service.path),
            &[("Identity", "user-0001")],
        )
        .await
        .ok();
    assert_ne!(client.get(&all.user.path).await.text("sid"), old);
    for list in ["Factors", "Challenges"] {
        let listed = client.get(format!("{}/{list}", all.user.path)).await.ok();
        assert_eq!(listed[list.to_lowercase()].as_array().unwrap().len(), 0, "{list}");
    }
    for path in [&all.challenge, &all.device.path(), &all.totp.path] {
        client.get(path).await.refused(404, 20404);
    }
    all.device
        .on(&server)
        .get(&all.challenge)
        .await
        .refused(401, 20003);
    // The same app and the same phone, enrolled anew, begin anew.
    let totp = all.user.totp(&server, &client).await;
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
    let mut device = all.device.clone();
    device.enrol(&client, &all.user.path).await.ok();
    device.verify(&server).await.ok();
    all.device
        .on(&server)
        .get(device.path())
        .await
        .refused(401, 20003);
}

#[tokio::test]
async fn a_deleted_factor_frees_its_place_and_keeps_its_challenges() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let entity = client.get(&all.user.path).await.text("sid");
    assert_eq!(server.entity(&entity).await.push_factors, 1);
    client.delete(all.device.path()).await.ok();
    client.delete(all.device.path()).await.refused(404, 20404);
    let record = server.entity(&entity).await;
    assert_eq!((record.push_factors, record.totp_factors), (0, 1));
    assert_eq!(
        client.get(&all.challenge).await.ok()["factor_sid"],
        all.device.factor.as_str()
    );
    assert_eq!(
        server.challenge(sid_of(&all.challenge)).await.factor_type,
        FactorType::Push
    );
}

#[tokio::test]
async fn everything_below_a_deleted_service_is_gone_at_once() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let token = client
        .get(all.path("/v2/Services/{ServiceSid}/AccessTokens/{AccessTokenSid}"))
        .await
        .text("token");
    client.delete(&all.user.service.path).await.ok();
    for swept in [false, true] {
        if swept {
            server.wait(DAY);
            server.sweep().await;
        }
        for sample in samples() {
            if !sample.operation.path.contains("{ServiceSid}") {
                continue;
            }
            sample.send(&client, &all).await.refused(404, 20404);
            sample
                .send(&all.device.on(&server), &all)
                .await
                .refused(401, 20003);
        }
        let enrolling = server.client_of(&Credentials::token(&token));
        let refused = all.device.clone().enrol(&enrolling, &all.user.path).await;
        assert!([401, 404].contains(&refused.status));
    }
}

/// After the longest time that anything is kept, an account that deleted its services is an account and nothing else.
#[tokio::test]
async fn sweeping_reclaims_everything_that_is_over() {
    let server = TestApp::new().await;
    let client = server.client();
    // The key that every service shows is the store's own and stays; it is made when it is first shown.
    client.get("/v2/Services").await.ok();
    let empty = server.dump_unaudited().await;
    for by_entity in [false, true] {
        let all = Everything::create(&server, &client).await;
        client
            .post(
                &all.user.service.path,
                &[("Push.FcmCredentialSid", &all.fcm_credential)],
            )
            .await
            .ok();
        let token = "n".repeat(64);
        let form = [
            ("Config.NotificationPlatform", "fcm"),
            ("Config.NotificationToken", token.as_str()),
        ];
        client.post(all.device.path(), &form).await.ok();
        all.user.push_challenge(&client, &all.device).await;
        all.device.answer(&server, &all.challenge, "approved").await.ok();
        all.totp
            .check(&client, &wrong_code(&server, &all.totp.app, 0))
            .await
            .ok();
        for nth in 0..250 {
            let form = [("Identity", &*format!("user-{nth:05}"))];
            client
                .post(format!("{}/Entities", all.user.service.path), &form)
                .await
                .ok();
        }
        if by_entity {
            client.delete(&all.user.path).await.ok();
        }
        client.delete(&all.user.service.path).await.ok();
        for credential in [&all.credential, &all.fcm_credential] {
            client.delete(format!("/v1/Credentials/{credential}")).await.ok();
        }
        let safe_number = format!("/v2/SafeList/Numbers/{}", all.safe_number);
        client.delete(safe_number).await.ok();
    }
    server.sweep().await;
    let kept = server.dump().await;
    let kinds: BTreeSet<_> = kept
        .iter()
        .map(|(key, _)| KeyParts::parse(key).unwrap().kind().name)
        .collect();
    assert_eq!(
        kinds,
        [
            "VAPID keys",
            "accounts",
            "attempts",
            "budgets",
            "entries of the audit log",
            "outbox rows",
            "timers of challenges"
        ]
        .into(),
        "attempts and budgets are the account's and end by themselves, events wait for their delivery, ends of challenges \
         for their moment, and the store keeps its own key"
    );
    server.wait(31 * DAY);
    challenge::expire_due(&server.app).await.unwrap();
    let mut worker = Worker::new(server.app.clone(), Arc::new(Deliveries), Limits::default());
    worker.run_due().await;
    server.sweep().await;
    assert_eq!(server.dump_unaudited().await, empty);
}

#[tokio::test]
async fn sweeping_takes_expired_challenges_and_tokens_and_leaves_the_rest() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let untouched = server.dump().await;
    server.sweep().await;
    assert_eq!(server.dump().await, untouched);

    // The place in the index of pending ones ends with the challenge's life; the challenge can be looked up for a month.
    server.wait(300);
    server.sweep().await;
    assert_eq!(client.get(&all.challenge).await.ok()["status"], "expired");
    let pending = format!(
        "{}/Challenges?Status=pending&FactorSid={}",
        all.user.path, all.device.factor
    );
    assert_eq!(
        client.get(pending).await.ok()["challenges"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    server.wait(DAY);
    server.sweep().await;
    let token = all.path("/v2/Services/{ServiceSid}/AccessTokens/{AccessTokenSid}");
    client.get(token).await.refused(404, 20404);
    client.get(&all.challenge).await.ok();
    server.wait(29 * DAY);
    server.sweep().await;
    client.get(&all.challenge).await.refused(404, 20404);

    server.wait(365 * DAY);
    server.sweep().await;
    client.get(&all.user.path).await.ok();
    client.get(all.device.path()).await.ok();
    assert_eq!(
        all.totp.check(&client, &all.totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
}

/// A service that is deleted while requests for it are under way leaves nothing either.
#[tokio::test]
async fn what_was_under_way_when_a_service_was_deleted_is_reclaimed_too() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    // The key that every service shows is the store's own and stays; it is made when it is first shown.
    client.get("/v2/Services").await.ok();
    let empty = server.dump_unaudited().await;
    for _ in 0..10 {
        let service = Service::create(&client).await;
        let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = _> + Send>>> = Vec::new();
        for nth in 0..15 {
            let form = [("FriendlyName", "x"), ("FactorType", "totp")];
            tasks.push(Box::pin(client.posting(
                &format!("{}/Entities/user-{nth:05}/Factors", service.path),
                &form,
            )));
        }
        let (server, path) = (server.clone(), service.path.clone());
        tasks.insert(7, Box::pin(async move { server.client().delete(path).await }));
        crate::support::all_at_once(tasks).await;
    }
    server.sweep().await;
    server.wait(DAY);
    server.sweep().await;
    assert_eq!(server.dump_unaudited().await, empty);
}
