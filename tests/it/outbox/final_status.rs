//! SECURITY row 20: of everything that can become of a challenge exactly one does, and that is what is announced.

use std::sync::Arc;
use std::time::Duration;

use super::{names, subscribe};
use crate::support::app::BEGINNING;
use crate::support::{Device, Interleaved, TestApp, User, all_at_once};
use countersign::domain::time::Timestamp;
use countersign::flows::challenge;

#[tokio::test]
async fn a_challenge_ends_in_exactly_one_way_and_that_is_announced() {
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for round in 0..60_u64 {
        let server = TestApp::with(Interleaved::store(), crate::doubles::policy()).await;
        let server = Arc::new(server);
        let client = server.client();
        let user = User::create(&client).await;
        subscribe(&client, &user, &["*"]).await;
        let device = Arc::new(user.device(&server, &client).await);
        let challenge = user.push_challenge(&client, &device).await;
        let mut answers = Vec::new();
        for answer in ["approved", "denied"] {
            answers.push(device.signed(&server, &challenge, answer).await);
        }
        let before = server.outbox().await.len();
        // In some rounds the clock passes the end of the challenge while all of it goes on.
        let end = Timestamp::from_seconds(BEGINNING + 300);
        server.clock.set(end.before(Duration::from_millis(1)));
        let with_deletion = round % 4 == 3;
        let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
        for signed in answers.clone() {
            let (server, device, challenge) = (server.clone(), device.clone(), challenge.clone());
            tasks.push(Box::pin(async move {
                pause(round % 5).await;
                send(&server, &device, &challenge, &signed).await;
            }));
        }
        let expiring = server.clone();
        tasks.push(Box::pin(async move {
            pause(round / 5 % 6).await;
            expiring.clock.set(end);
            challenge::expire_due(&expiring.app).await.unwrap();
        }));
        if with_deletion {
            let (server, path) = (server.clone(), device.path().clone());
            tasks.push(Box::pin(async move {
                pause(round % 7).await;
                server.client().delete(&path).await;
            }));
        }
        all_at_once(tasks).await;

        let status = client.get(&challenge).await.text("status");
        let announced = names(&server.outbox().await[before..]);
        let challenges: Vec<_> = announced
            .iter()
            .filter(|name| name.starts_with("challenge."))
            .collect();
        // Of a factor that is gone, nothing is said behind its deletion.
        let silent = with_deletion && status == "expired" && challenges.is_empty();
        assert!(
            silent || challenges == [&format!("challenge.{status}").as_str()],
            "round {round}: {status}, {announced:?}"
        );
        if let Some(deleted) = announced.iter().position(|name| *name == "factor.deleted") {
            assert_eq!(deleted, announced.len() - 1, "round {round}: {announced:?}");
        }
        *seen.entry(status.clone()).or_default() += 1;

        // Whatever comes later changes nothing.
        for moment in [end.before(Duration::from_secs(200)), end + Duration::from_secs(1)] {
            server.clock.set(moment);
            for signed in &answers {
                send(&server, &device, &challenge, signed).await;
            }
            challenge::expire_due(&server.app).await.unwrap();
            let now = client.get(&challenge).await.text("status");
            assert!(silent || now == status, "round {round}: {status} became {now}");
        }
        assert_eq!(
            names(&server.outbox().await[before..]),
            announced,
            "round {round}"
        );
    }
    assert!(
        seen.len() == 3 && seen.values().all(|count| *count > 1),
        "every end is reached: {seen:?}"
    );
}

async fn send(server: &TestApp, device: &Device, challenge: &str, signed: &str) {
    let form = [("AuthPayload", signed)];
    device.on(server).post(challenge, &form).await;
}

async fn pause(turns: u64) {
    for _ in 0..turns * 4 {
        tokio::task::yield_now().await;
    }
}
