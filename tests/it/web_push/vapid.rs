//! The key that push services know the server by.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::domain::sealing::SealedField;
use countersign::flows::check_store::check_store;
use countersign::flows::push::web_push::vapid_public_key;
use countersign::flows::store_format;
use countersign::store::memory::MemoryStore;
use countersign::store::records::{self, VapidKeyRecord};
use countersign::store::{Batch, keys};

use super::push_service::Reply;
use super::user_agent::vapid_claims;
use super::{PushService, Subscribed, connected};
use crate::support::{Service, TestApp, all_at_once};

#[tokio::test]
async fn every_answer_about_a_service_shows_the_same_key() {
    let server = TestApp::new().await;
    let client = server.client();
    let created = client.post("/v2/Services", &[("FriendlyName", "Owl Bank")]).await;
    let key = created.body["push"]["vapid_public_key"].as_str().unwrap();
    let point = URL_SAFE_NO_PAD.decode(key).unwrap();
    assert_eq!((key.len(), point.len(), point[0]), (87, 65, 4));
    let path = format!("/v2/Services/{}", created.text("sid"));
    let answers = [
        client.get(&path).await.ok()["push"].clone(),
        client.post(&path, &[("CodeLength", "5")]).await.ok()["push"].clone(),
        client.get("/v2/Services").await.ok()["services"][0]["push"].clone(),
    ];
    for push in answers {
        assert_eq!(push["vapid_public_key"], key);
    }
    let other = server.another_account().await;
    let theirs = Service::create(&server.client_of(&other)).await;
    let theirs = server.client_of(&other).get(&theirs.path).await;
    assert_eq!(
        theirs.ok()["push"]["vapid_public_key"],
        key,
        "one key for each store"
    );
}

#[tokio::test]
async fn makers_at_the_same_moment_agree() {
    let server = TestApp::new().await;
    let makers = (0..16).map(|_| {
        let app = server.app.clone();
        async move { vapid_public_key(&app).await.unwrap() }
    });
    let made = all_at_once(makers).await;
    assert!(made.iter().all(|key| *key == made[0]));
}

#[tokio::test]
async fn the_key_outlives_a_restart_and_signs_what_is_sent_then() {
    let store = Arc::new(MemoryStore::new());
    let server = TestApp::on(store.clone()).await;
    let service = PushService::saying(&[Reply::Status(201)]).await;
    let subscribed = Subscribed::to(&server, &service.endpoint()).await;
    let challenge = subscribed
        .user
        .push_challenge(&server.client(), &subscribed.device)
        .await;
    let before = server.client().get(&subscribed.user.service.path).await;
    let restarted = server.restarted(store);
    subscribed.deliver(&connected(&restarted), &challenge).await;
    let (_, key) = vapid_claims(&service.messages()[0].headers["authorization"]);
    assert_eq!(before.ok()["push"]["vapid_public_key"], key.as_str());
}

#[tokio::test]
async fn a_key_that_was_moved_or_changed_is_noticed() {
    let server = TestApp::new().await;
    let app = &server.app;
    store_format::check(app).await.unwrap();
    vapid_public_key(app).await.unwrap();
    assert!(check_store(app).await.unwrap().is_healthy());

    let found = records::read(app.store.as_ref(), &keys::vapid_key())
        .await
        .unwrap()
        .unwrap();
    let elsewhere = app.vault.open(
        keys::store_format().bytes(),
        SealedField::VapidKey,
        &found.record.private_key,
    );
    assert!(elsewhere.is_err(), "it is sealed for its own place");
    let other = countersign::crypto::web_push::vapid::VapidKey::generate(app.entropy.as_ref());
    let swapped = VapidKeyRecord {
        public_key: other.1,
        ..found.record
    };
    let batch = Batch::new().put_record(keys::vapid_key(), &swapped).unwrap();
    app.store.commit(batch).await.unwrap();
    let report = check_store(app).await.unwrap();
    assert!(report.to_string().contains("VAPID key"), "{report}");
    assert!(!report.is_healthy());
}
