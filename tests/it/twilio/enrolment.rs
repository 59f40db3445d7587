//! Access tokens: one factor, of one user, of one service, soon (a half-finished login that counts elsewhere was
//! Nextcloud's CVE-2026-45690).

use std::sync::Arc;

use crate::support::device::borrowed;
use crate::support::operations::{Everything, samples};
use crate::support::stores::sled_in;
use crate::support::{Answer, Credentials, Device, Interleaved, Service, TestApp, User, all_at_once};
use countersign::flows::account;
use countersign::store::Store;

async fn token_for(server: &TestApp, user: &User, ttl: &str) -> Credentials {
    let form = [
        ("Identity", user.identity.as_str()),
        ("FactorType", "push"),
        ("Ttl", ttl),
    ];
    let answer = server
        .client()
        .post(format!("{}/AccessTokens", user.service.path), &form)
        .await;
    Credentials::token(&answer.text("token"))
}

async fn enrol(server: &TestApp, token: &Credentials, user: &User) -> Answer {
    let form = Device::new().enrolment();
    server
        .client_of(token)
        .post(format!("{}/Factors", user.path), &borrowed(&form))
        .await
}

#[tokio::test]
async fn an_access_token_enrols_one_device() {
    let server = TestApp::new().await;
    let user = User::create(&server.client()).await;
    let token = token_for(&server, &user, "60").await;
    enrol(&server, &token, &user).await.ok();
    let before = server.dump().await;
    enrol(&server, &token, &user).await.refused(403, 60313);
    assert_eq!(server.dump().await, before);
}

async fn one_of_16_devices_is_enrolled(store: Arc<dyn Store>, rounds: usize) {
    let server = TestApp::on(store).await;
    let service = Service::create(&server.client()).await;
    for round in 0..rounds {
        let user = service.user(&format!("user-{round:05}"));
        let token = token_for(&server, &user, "60").await;
        let factors = format!("{}/Factors", user.path);
        let device = || {
            server
                .client_of(&token)
                .posting(&factors, &borrowed(&Device::new().enrolment()))
        };
        let (enrolled, others): (Vec<_>, Vec<_>) = all_at_once((0..16).map(|_| device()))
            .await
            .into_iter()
            .partition(|answer| answer.status == 201);
        assert_eq!(enrolled.len(), 1);
        for refused in others {
            refused.refused(403, 60313);
        }
        let listed = server.client().get(&factors).await.ok();
        assert_eq!(listed["factors"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn of_16_devices_with_one_access_token_one_is_enrolled() {
    one_of_16_devices_is_enrolled(Interleaved::store(), 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_16_devices_with_one_access_token_one_is_enrolled_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = sled_in(directory.path());
    one_of_16_devices_is_enrolled(store.clone(), 3).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn an_access_token_is_for_one_user_of_one_service() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let token = token_for(&server, &user, "60").await;
    let other_service = Service::create(&client).await.user(&user.identity);
    let foreign = server.another_account().await;
    let other_account = Service::create(&server.client_of(&foreign))
        .await
        .user(&user.identity);
    let before = server.dump().await;
    enrol(&server, &token, &user.service.user("user-0002"))
        .await
        .refused(403, 60313);
    enrol(&server, &token, &user.service.user("User-0001"))
        .await
        .refused(403, 60313);
    for elsewhere in [other_service, other_account] {
        enrol(&server, &token, &elsewhere).await.refused(401, 20003);
    }
    assert_eq!(server.dump().await, before);
    enrol(&server, &token, &user).await.ok();
}

/// It must not even tell how many factors another user has.
#[tokio::test]
async fn an_access_token_tells_nothing_of_another_user() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let (full, empty) = (service.user("user-full"), service.user("user-none"));
    for _ in 0..20 {
        Device::new().enrol(&client, &full.path).await.ok();
    }
    let token = token_for(&server, &service.user("user-0001"), "60").await;
    let spent = token_for(&server, &full, "60").await;
    for token in [&token, &spent] {
        if token.password == spent.password {
            server.wait(60);
        }
        let about_full = enrol(&server, token, &full).await.refused(403, 60313);
        let about_empty = enrol(&server, token, &empty).await.refused(403, 60313);
        assert_eq!(about_full, about_empty);
    }
}

#[tokio::test]
async fn an_access_token_lives_as_long_as_it_was_asked_to() {
    let server = TestApp::new().await;
    let user = User::create(&server.client()).await;
    for (ttl, wait) in [("60", 60), ("300", 300)] {
        let (early, late) = (
            token_for(&server, &user, ttl).await,
            token_for(&server, &user, ttl).await,
        );
        server.wait(wait - 1);
        enrol(&server, &early, &user).await.ok();
        server.wait(1);
        enrol(&server, &late, &user).await.refused(403, 60313);
        server.wait(30 * 24 * 3600);
        server.sweep().await;
        enrol(&server, &late, &user).await.refused(401, 20003);
    }
}

#[tokio::test]
async fn an_access_token_opens_no_other_operation() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let token = token_for(&server, &all.user, "300").await;
    let before = server.dump().await;
    for sample in samples() {
        let operation = sample.operation;
        if operation.method == "POST" && operation.path.ends_with("/Factors") {
            continue;
        }
        let answer = sample.send(&server.client_of(&token), &all).await;
        assert_eq!((answer.status, answer.code()), (401, 20003), "{operation:?}");
    }
    let totp = [("FriendlyName", "x"), ("FactorType", "totp")];
    server
        .client_of(&token)
        .post(format!("{}/Factors", all.user.path), &totp)
        .await
        .refused(403, 60313);
    assert_eq!(server.dump().await, before);
}

/// What the token permits is decided when it is used.
#[tokio::test]
async fn an_access_token_of_a_suspended_account_or_a_deleted_service_is_of_no_use() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let deleted = User::create(&client).await;
    let token = token_for(&server, &user, "300").await;
    let orphan = token_for(&server, &deleted, "300").await;
    client.delete(&deleted.service.path).await.ok();
    assert!([401, 404].contains(&enrol(&server, &orphan, &deleted).await.status));
    account::suspend(&server.app, server.account.user.parse().unwrap())
        .await
        .unwrap();
    enrol(&server, &token, &user).await.refused(401, 20003);
}

/// A refused enrolment leaves the token as it was: the app corrects what was wrong and tries again.
#[tokio::test]
async fn a_refused_enrolment_spends_no_token() {
    let server = TestApp::new().await;
    let user = User::create(&server.client()).await;
    let token = token_for(&server, &user, "60").await;
    let mut form = Device::new().enrolment();
    form.push(("Config.NotificationToken", "short".to_owned()));
    let factors = format!("{}/Factors", user.path);
    server
        .client_of(&token)
        .post(&factors, &borrowed(&form))
        .await
        .refused(400, 60306);
    enrol(&server, &token, &user).await.ok();
}

#[tokio::test]
async fn a_forged_access_token_is_nobody() {
    let server = TestApp::new().await;
    let user = User::create(&server.client()).await;
    let good = token_for(&server, &user, "60").await.password;
    let flipped = |place: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let forgeries = [
        flipped(5),
        flipped(30),
        flipped(good.len() - 2),
        format!("{good}A"),
        format!("{good}="),
        good[..good.len() - 1].to_owned(),
        good[..27].to_owned(),
        "cse1_".to_owned(),
        good.to_uppercase(),
        format!(" {good}"),
    ];
    for forged in forgeries {
        enrol(&server, &Credentials::token(&forged), &user)
            .await
            .refused(401, 20003);
    }
    let as_account = Credentials {
        user: server.account.user.clone(),
        password: good.clone(),
    };
    enrol(&server, &as_account, &user).await.refused(401, 20003);
    enrol(&server, &Credentials::token(&good), &user).await.ok();
}
