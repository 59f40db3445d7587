//! How many factors, entities and webhooks there are, and how fast they are made: Twilio's caps with Twilio's numbers, one
//! after the other and all at once.

use crate::support::device::borrowed;
use crate::support::world::with_creation_limit;
use crate::support::{Device, Interleaved, Service, TestApp, User, all_at_once};

const DAY: u64 = 24 * 3600;

#[tokio::test]
async fn a_user_has_20_push_factors_and_100_totp_factors() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let pushed = service.user("user-push");
    let mut devices = Vec::new();
    for _ in 0..20 {
        let mut device = Device::new();
        device.enrol(&client, &pushed.path).await.ok();
        devices.push(device);
    }
    let before = server.dump().await;
    Device::new()
        .enrol(&client, &pushed.path)
        .await
        .refused(400, 60315);
    assert_eq!(server.dump().await, before);
    pushed.unverified_totp(&client, "another kind", &[]).await;
    client.delete(devices[3].path()).await.ok();
    Device::new().enrol(&client, &pushed.path).await.ok();

    let timed = service.user("user-totp");
    let form = [("FriendlyName", "x"), ("FactorType", "totp")];
    for _ in 0..100 {
        client.post(format!("{}/Factors", timed.path), &form).await.ok();
    }
    client
        .post(format!("{}/Factors", timed.path), &form)
        .await
        .refused(400, 60315);
    Device::new()
        .enrol(&client, &timed.path)
        .await
        .refused(429, 60326);
    server.wait(DAY);
    client
        .post(format!("{}/Factors", timed.path), &form)
        .await
        .refused(400, 60315);
    Device::new().enrol(&client, &timed.path).await.ok();
}

#[tokio::test]
async fn parallel_enrolments_get_no_more() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let user = User::create(&client).await;
    let factors = format!("{}/Factors", user.path);
    let enrol = |_| client.posting(&factors, &borrowed(&Device::new().enrolment()));
    let answers = all_at_once((0..48).map(enrol)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 20);
    let listed = client.get(&factors).await.ok();
    assert_eq!(listed["factors"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_user_gets_100_factors_a_day_deleted_ones_included() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let factors = format!("{}/Factors", user.path);
    let form = [("FriendlyName", "x"), ("FactorType", "totp")];
    for _ in 0..100 {
        let sid = client.post(&factors, &form).await.text("sid");
        client.delete(format!("{factors}/{sid}")).await.ok();
        server.wait(1);
    }
    let before = server.dump().await;
    assert_eq!(
        client
            .post(&factors, &form)
            .await
            .refused(429, 60326)
            .retry_after(),
        DAY - 100
    );
    server.wait(DAY - 101);
    client.post(&factors, &form).await.refused(429, 60326);
    assert_eq!(server.dump().await, before);
    server.wait(1);
    client.post(&factors, &form).await.ok();
    client.post(&factors, &form).await.refused(429, 60326);
    // An account that knows better begins the user anew.
    client.delete(&user.path).await.ok();
    client.post(&factors, &form).await.ok();
}

/// Two factors with one secret would take one code twice.
#[tokio::test]
async fn a_secret_or_a_key_makes_one_factor_of_a_user() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let (user, other) = (service.user("user-0001"), service.user("user-0002"));
    let totp = user.totp(&server, &client).await;
    let mut device = user.device(&server, &client).await;
    let secret = totp.app.base32();
    let before = server.dump().await;
    for spelling in [secret.clone(), secret.to_lowercase()] {
        for algorithm in ["sha1", "sha512"] {
            let form = [
                ("FriendlyName", "twin"),
                ("FactorType", "totp"),
                ("Binding.Secret", spelling.as_str()),
                ("Config.Alg", algorithm),
            ];
            client
                .post(format!("{}/Factors", user.path), &form)
                .await
                .refused(409, 60317);
        }
    }
    device.enrol(&client, &user.path).await.refused(409, 60317);
    assert_eq!(server.dump().await, before);
    device.clone().enrol(&client, &other.path).await.ok();
    client.delete(device.path()).await.ok();
    device.enrol(&client, &user.path).await.ok();
}

#[tokio::test]
async fn a_secret_sent_many_times_at_once_makes_one_factor() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let user = User::create(&client).await;
    let form = Device::new().enrolment();
    let factors = format!("{}/Factors", user.path);
    let answers = all_at_once((0..16).map(|_| client.posting(&factors, &borrowed(&form)))).await;
    let (created, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(created.len(), 1);
    for refused in others {
        refused.refused(409, 60317);
    }
}

#[tokio::test]
async fn an_identity_is_one_entity_however_many_create_it() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let service = Service::create(&client).await;
    let entities = format!("{}/Entities", service.path);
    let create = |_| client.posting(&entities, &[("Identity", "user-0001")]);
    let answers = all_at_once((0..16).map(create)).await;
    let (created, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(created.len(), 1);
    for refused in others {
        refused.refused(409, 60301);
    }
    assert_eq!(
        client.get(&entities).await.ok()["entities"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn the_operator_may_limit_creations_per_second() {
    let server = TestApp::with(Interleaved::store(), with_creation_limit(40)).await;
    let client = server.client();
    let service = Service::create(&client).await;
    let other = server.another_account().await;
    let theirs = Service::create(&server.client_of(&other)).await;
    let create = |nth| {
        client.posting(
            &format!("{}/Entities", service.path),
            &[("Identity", &format!("user-{nth:05}"))],
        )
    };
    let answers = all_at_once((0..48).map(create)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 40);
    for refused in answers.into_iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.refused(429, 60328).retry_after(), 1);
    }
    Device::new()
        .enrol(&client, &service.user("user-00001").path)
        .await
        .refused(429, 60328);
    let entities = format!("{}/Entities", theirs.path);
    server
        .client_of(&other)
        .post(&entities, &[("Identity", "user-0001")])
        .await
        .ok();
    server.wait(1);
    Device::new()
        .enrol(&client, &service.user("user-new").path)
        .await
        .ok();
}

#[tokio::test]
async fn without_the_operators_limit_there_is_none() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    for nth in 0..100 {
        let form = [("Identity", &*format!("user-{nth:05}"))];
        client
            .post(format!("{}/Entities", service.path), &form)
            .await
            .ok();
    }
}

#[tokio::test]
async fn a_service_has_50_webhooks() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let service = Service::create(&client).await;
    let form = [
        ("FriendlyName", "x"),
        ("EventTypes", "*"),
        ("WebhookUrl", "https://x.example"),
    ];
    let webhooks = format!("{}/Webhooks", service.path);
    let answers = all_at_once((0..60).map(|_| client.posting(&webhooks, &form))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 50);
    for refused in answers.into_iter().filter(|answer| answer.status != 201) {
        refused.refused(400, 60306);
    }
}
