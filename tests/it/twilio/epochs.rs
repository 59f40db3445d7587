//! A store that may have forgotten something: what was decided before is void, and everything can be had anew.

use std::sync::Arc;
use std::time::Duration;

use countersign::domain::store_epoch::StoreEpoch;
use countersign::flows::{data_keys, epoch, store_format};
use countersign::store::{Batch, Store, keys};

use crate::support::messages::next_number;
use crate::support::stores::sled_in;
use crate::support::world::{answer, sid_of};
use crate::support::{Credentials, Device, Service, TestApp, User};

/// Another process begins an epoch, of which nobody tells this one.
async fn another_process_begins_an_epoch(server: &TestApp) {
    let began = StoreEpoch::FIRST.next(server.app.clock.now(), server.app.policy.totp_drift);
    let batch = Batch::new().put_record(keys::store_epoch(), &began).unwrap();
    server.app.store.commit(batch).await.unwrap();
}

async fn what_waited_is_void(server: TestApp, keys_change: bool) {
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(&server, &client).await;
    let device = user.device(&server, &client).await;
    let waiting = totp.challenge(&client).await;
    let pushed = user.push_challenge(&client, &device).await;
    let signed = device.signed(&server, &pushed, "approved").await;
    let number = next_number();
    let sent = user.service.send(&client, &number, &[]).await.text("sid");
    let code_sent = server.message_code(&sent).await;
    server.wait(61);
    let form = [
        ("Identity", user.identity.as_str()),
        ("FactorType", "push"),
        ("Ttl", "300"),
    ];
    let token = client
        .post(format!("{}/AccessTokens", user.service.path), &form)
        .await
        .text("token");
    let enrolling = Credentials::token(&token);

    another_process_begins_an_epoch(&server).await;
    if server.app.store.is_exclusive() {
        // There it is this process that does it.
        epoch::learn(&server.app).await.unwrap();
    }
    if keys_change {
        // All that is void is written anew behind the epoch.
        store_format::check(&server.app).await.unwrap();
        data_keys::rotate(&server.app).await.unwrap();
        while data_keys::go_on(&server.app, Duration::from_millis(50))
            .await
            .unwrap()
            .is_under_way()
        {}
    }
    // Codes that are live now may have been used in what is forgotten.
    for steps in [-1, 0, 1] {
        let refused = totp.check(&client, &totp.app.code_off(&server, steps)).await.ok();
        assert_eq!(refused["status"], "pending", "{steps}");
    }
    assert_eq!(
        server.factor(&totp.sid).await.failures.count(),
        0,
        "they are no guesses"
    );
    answer(&client, &waiting, &totp.app.code(&server))
        .await
        .refused(403, 60323);
    answer(&device.on(&server), &pushed, &signed)
        .await
        .refused(403, 60323);
    user.service
        .check(&client, &number, &code_sent)
        .await
        .refused(404, 20404);
    Device::new()
        .enrol(&server.client_of(&enrolling), &user.path)
        .await
        .refused(403, 60313);

    // It is shown as it is, and everything goes on at once, or as soon as there are codes that nobody can have used.
    let listed = client.get(&totp.challenges).await.ok();
    for challenge in listed["challenges"].as_array().unwrap() {
        if challenge["sid"] == sid_of(&waiting) {
            assert_eq!(challenge["status"], "expired");
        }
    }
    let pushed = user.push_challenge(&client, &device).await;
    let approved = device.answer(&server, &pushed, "approved").await.ok();
    assert_eq!(approved["status"], "approved");
    let sent = user.service.send(&client, &number, &[]).await.text("sid");
    let code_sent = server.message_code(&sent).await;
    let checked = user.service.check(&client, &number, &code_sent).await.ok();
    assert_eq!(checked["status"], "approved");
    server.wait(4 * 30);
    let passed = totp.check(&client, &totp.app.code(&server)).await.ok();
    assert_eq!(passed["status"], "approved");
}

#[tokio::test]
async fn what_waited_when_another_process_began_an_epoch_is_void() {
    what_waited_is_void(TestApp::new().await, false).await;
}

#[tokio::test]
async fn what_waited_in_a_store_of_one_process_is_void() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = sled_in(directory.path());
    what_waited_is_void(TestApp::on(Arc::clone(&store)).await, false).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_waited_is_void_though_it_was_written_anew() {
    what_waited_is_void(TestApp::new().await, true).await;
}

/// What was decided before an epoch that nobody knew of then is not written.
#[tokio::test]
async fn no_commit_of_before_comes_behind_it() {
    let server = TestApp::in_memory().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let before = server.app.store.statistics().conflicts;
    client.get(&service.path).await.ok();
    another_process_begins_an_epoch(&server).await;
    Service::create(&client).await;
    assert_eq!(
        server.app.store.statistics().conflicts,
        before + 1,
        "it was decided anew"
    );
    Service::create(&client).await;
    assert_eq!(server.app.store.statistics().conflicts, before + 1);
}
