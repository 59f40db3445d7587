//! A store that fails: refuse, and never guess (CVE-2021-41177, Nextcloud: no counter, no limit).

use std::sync::Arc;

use countersign::domain::fraud::budget::Taken;
use countersign::store::Entry;
use countersign::store::faulty::FaultyStore;
use countersign::store::memory::MemoryStore;
use countersign::store::records::Record as _;

use crate::support::operations::{Everything, samples};
use crate::support::world::answer;
use crate::support::{TestApp, User, wrong_code};

const HEALTHY: u64 = u64::MAX;

#[tokio::test]
async fn a_store_that_fails_is_a_503_and_nothing_is_approved() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let server = TestApp::on(store.clone()).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let challenge = totp.challenge(&client).await;
    for reads in [true, false] {
        for code in [totp.app.code(&server), wrong_code(&server, &totp.app, 0)] {
            let before = server.dump().await;
            store.fail_reads(reads);
            store.fail_commits(!reads);
            for _ in 0..20 {
                answer(&client, &challenge, &code).await.refused(503, 20503);
                totp.check(&client, &code).await.refused(503, 20503);
            }
            store.fail_reads(false);
            store.fail_commits(false);
            assert_eq!(server.dump().await, before);
        }
    }
    let code = totp.app.code(&server);
    assert_eq!(
        answer(&client, &challenge, &code).await.ok()["status"],
        "approved",
        "healthy again"
    );
}

/// A block that was taken out of a budget before the request failed stays with the server, which spends it on the next one.
fn without_budgets(mut entries: Vec<(Vec<u8>, Entry)>) -> Vec<(Vec<u8>, Entry)> {
    entries.retain(|(key, _)| key[0] != Taken::KIND);
    entries
}

/// Whatever point it fails at, a request is refused as a whole, and says nothing of why.
#[tokio::test]
async fn every_operation_fails_closed_at_every_point() {
    for sample in samples() {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let server = TestApp::on(store.clone()).await;
        let client = server.client();
        let all = Everything::create(&server, &client).await;
        // A device that can be notified, so that notifications get as far as they go.
        let token = "t".repeat(64);
        let form = [
            ("Config.NotificationPlatform", "fcm"),
            ("Config.NotificationToken", token.as_str()),
        ];
        client.post(all.device.path(), &form).await.ok();
        let before = without_budgets(server.dump().await);
        let mut points = 0;
        loop {
            store.fail_after(points);
            let answer = sample.send(&client, &all).await;
            store.fail_after(HEALTHY);
            if answer.status < 300 {
                break;
            }
            answer.refused(503, 20503).naming("try again later");
            let after = without_budgets(server.dump().await);
            assert_eq!(after, before, "{:?} at {points}", sample.operation);
            points += 1;
        }
        assert!(points > 0, "{:?} never asked the store", sample.operation);
    }
}

/// The same for devices: an approval that could not be stored is none.
#[tokio::test]
async fn an_approval_that_cannot_be_stored_is_none() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let server = TestApp::on(store.clone()).await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let challenge = user.push_challenge(&client, &device).await;
    let signed = device.signed(&server, &challenge, "approved").await;
    for point in 0.. {
        store.fail_after(point);
        let answered = answer(&device.on(&server), &challenge, &signed).await;
        store.fail_after(HEALTHY);
        let status = client.get(&challenge).await.ok()["status"].clone();
        if answered.status == 200 {
            // Two round trips to know the device, by which all is read that is decided on, and the commit.
            assert_eq!((point, &status), (3, &"approved".into()));
            break;
        }
        answered.refused(503, 20503);
        assert_eq!(status, "pending", "{point}");
    }
}
