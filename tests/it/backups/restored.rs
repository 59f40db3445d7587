//! Row 16 of what must be resisted: a backup rolls back what was used.

use std::sync::Arc;

use countersign::flows::check_store::check_store;
use countersign::flows::store_format;

use super::{back_up, identity, master_key, restore};
use crate::support::messages::next_number;
use crate::support::stores::StorePlace;
use crate::support::world::answer;
use crate::support::{Credentials, Device, TestApp, User};

const DAY: u64 = 24 * 3600;

/// Each thing is used after the backup was made. In the restored store it is void, though nobody used it there, whether
/// serving begins at once, days later, or with a clock that is behind.
async fn nothing_that_was_used_since_is_taken(from: &StorePlace, to: &StorePlace) {
    let server = TestApp::on(from.open().await).await;
    store_format::check(&server.app).await.unwrap();
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

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup");
    back_up(server.app.engine.as_ref(), &path, &[identity(0).recipient()]).await;

    // All of it is used.
    let app_codes: Vec<String> = [-1, 0, 1].map(|ahead| totp.app.code_off(&server, ahead)).into();
    assert_eq!(
        totp.check(&client, &app_codes[0]).await.ok()["status"],
        "approved"
    );
    assert_eq!(
        answer(&client, &waiting, &app_codes[1]).await.ok()["status"],
        "approved"
    );
    assert_eq!(
        totp.check(&client, &app_codes[2]).await.ok()["status"],
        "approved"
    );
    let approved = answer(&device.on(&server), &pushed, &signed).await.ok();
    assert_eq!(approved["status"], "approved");
    let checked = user.service.check(&client, &number, &code_sent).await.ok();
    assert_eq!(checked["status"], "approved");
    let mut newcomer = Device::new();
    newcomer
        .enrol(&server.client_of(&enrolling), &user.path)
        .await
        .ok();
    let restored_at = server.app.clock.now();
    server.app.store.close().await.unwrap();

    let store = to.open().await;
    let entries = restore(store.as_ref(), &path, identity(0), &master_key(0), restored_at).await;
    assert!(entries.unwrap() > 10);
    store.close().await.unwrap();

    let server = server.restarted(to.open().await);
    store_format::check(&server.app).await.unwrap();
    let client = server.client();
    let healthy = check_store(&server.app).await.unwrap();
    assert!(healthy.is_healthy(), "{healthy}");
    for clock in [61, 61 - 3600] {
        server.set_clock(clock);
        for code in &app_codes {
            assert_eq!(totp.check(&client, code).await.ok()["status"], "pending");
        }
    }
    server.clock.set(restored_at);
    for code in &app_codes {
        assert_eq!(totp.check(&client, code).await.ok()["status"], "pending");
    }
    answer(&client, &waiting, &app_codes[1]).await.refused(403, 60323);
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

    // Whatever is asked for anew is had, also by whoever comes first after days.
    server.wait(3 * DAY);
    let passed = totp.check(&client, &totp.app.code(&server)).await.ok();
    assert_eq!(passed["status"], "approved");
    let pushed = user.push_challenge(&client, &device).await;
    let approved = device.answer(&server, &pushed, "approved").await.ok();
    assert_eq!(approved["status"], "approved");
    server.app.store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_lets_in_nothing_that_was_used_since() {
    for (from, to) in StorePlace::pairs().await {
        Box::pin(nothing_that_was_used_since_is_taken(&from, &to)).await;
    }
}

/// Whatever is restored is older than the epoch, and what is written from then on is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_restored_store_begins_another_epoch() {
    for (from, to) in StorePlace::pairs().await {
        let server = TestApp::on(from.open().await).await;
        store_format::check(&server.app).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("first");
        back_up(server.app.engine.as_ref(), &path, &[identity(0).recipient()]).await;
        let store = to.open().await;
        let now = server.app.clock.now();
        restore(store.as_ref(), &path, identity(0), &master_key(0), now)
            .await
            .unwrap();
        let server = server.restarted(store);
        store_format::check(&server.app).await.unwrap();
        let client = server.client();
        let totp = User::create(&client).await.totp(&server, &client).await;
        let waiting = totp.challenge(&client).await;
        server.wait(60);
        let code = totp.app.code(&server);
        let again = directory.path().join("second");
        back_up(server.app.engine.as_ref(), &again, &[identity(0).recipient()]).await;
        assert_eq!(answer(&client, &waiting, &code).await.ok()["status"], "approved");
        let now = server.app.clock.now();
        let second: Arc<dyn countersign::store::Store> =
            Arc::new(countersign::store::memory::MemoryStore::new());
        restore(second.as_ref(), &again, identity(0), &master_key(0), now)
            .await
            .unwrap();
        let second = server.restarted(second);
        store_format::check(&second.app).await.unwrap();
        let (epoch, _) = second.app.memory.epoch.get().unwrap();
        assert_eq!((epoch.number, epoch.began), (2, now));
        let client = second.client();
        answer(&client, &waiting, &code).await.refused(403, 60323);
        server.app.store.close().await.unwrap();
    }
}
