//! Wrong numbers: each denies for good and counts, three in a row stop.

use countersign::domain::challenge::Outcome;
use countersign::domain::factor::FactorKind;
use serde_json::json;

use crate::support::stores::StorePlace;
use crate::support::world::{answer, sid_of};
use crate::support::{Answer, Client, Device, Interleaved, TestApp, User, all_at_once};

async fn ask(client: &Client<'_>, user: &User, device: &Device) -> Answer {
    let form = [
        ("FactorSid", device.factor.as_str()),
        ("Details.Message", "Log in?"),
    ];
    client.post(format!("{}/Challenges", user.path), &form).await
}

/// A wrong number is final, counts, and leaves its evidence; an approval with the right one forgets the count.
#[tokio::test]
async fn a_wrong_number_denies_counts_and_three_stop() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    for (nth, right) in [false, false, true, false, false, false].into_iter().enumerate() {
        let asked = user.number_challenge(&client, &device, "2").await;
        let number = if right {
            asked.number.clone()
        } else {
            asked.wrong(nth)
        };
        let signed = device
            .signed_with(&server, &asked.path, "approved", ("number", json!(number)))
            .await;
        let answered = answer(&device.on(&server), &asked.path, &signed).await.ok();
        let expected = if right { "approved" } else { "denied" };
        assert_eq!(answered["status"], expected);
        let record = server.challenge(sid_of(&asked.path)).await;
        assert_eq!(record.answer().unwrap().signed.as_deref(), Some(signed.as_str()));
        assert_eq!(wrong_numbers(&server, &device).await, [1, 2, 0, 1, 2, 3][nth]);
        // The right number is too late.
        device
            .approve_with(&server, &asked.path, &asked.number)
            .await
            .refused(403, 60322);
        server.wait(1);
    }
    let refused = ask(&client, &user, &device).await.refused(429, 20429);
    assert_eq!(refused.retry_after(), 3599);
    // A pause that ends by itself forgives nothing: one guess an hour, and no more.
    server.wait(3599);
    let asked = user.number_challenge(&client, &device, "2").await;
    device
        .approve_with(&server, &asked.path, &asked.wrong(0))
        .await
        .ok();
    ask(&client, &user, &device).await.refused(429, 20429);
    client
        .post(device.path(), &[("Config.PushPaused", "false")])
        .await
        .ok();
    let asked = user.number_challenge(&client, &device, "2").await;
    device
        .approve_with(&server, &asked.path, &asked.wrong(0))
        .await
        .ok();
    let asked = user.number_challenge(&client, &device, "2").await;
    assert_eq!(
        device
            .approve_with(&server, &asked.path, &asked.number)
            .await
            .ok()["status"],
        "approved"
    );
}

/// Parallel wrong numbers on one challenge are one denial and one count.
#[tokio::test]
async fn of_64_parallel_wrong_numbers_one_denies_and_one_counts() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let asked = user.number_challenge(&client, &device, "2").await;
    let mut guesses = Vec::new();
    for nth in 0..64 {
        let claim = ("number", json!(asked.wrong(nth)));
        let signed = device.signed_with(&server, &asked.path, "approved", claim).await;
        guesses.push(
            device
                .on(&server)
                .posting(&asked.path, &[("AuthPayload", &signed)]),
        );
    }
    let answers = all_at_once(guesses).await;
    let (taken, late): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].body["status"], "denied");
    for late in late {
        late.refused(403, 60322);
    }
    assert_eq!(wrong_numbers(&server, &device).await, 1);
}

/// Nor do parallel wrong numbers over all challenges that may wait get more than three guesses.
#[tokio::test]
async fn of_parallel_wrong_numbers_on_many_challenges_three_are_evaluated() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let mut guesses = Vec::new();
    for _ in 0..5 {
        let asked = user.number_challenge(&client, &device, "2").await;
        for nth in 0..8 {
            let claim = ("number", json!(asked.wrong(nth)));
            let signed = device.signed_with(&server, &asked.path, "approved", claim).await;
            guesses.push(
                device
                    .on(&server)
                    .posting(&asked.path, &[("AuthPayload", &signed)]),
            );
        }
    }
    let answers = all_at_once(guesses).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 3);
    assert!(
        answers
            .iter()
            .all(|answer| [0, 20429, 60322].contains(&answer.code()))
    );
    assert_eq!(wrong_numbers(&server, &device).await, 3);
}

async fn wrong_numbers(server: &TestApp, device: &Device) -> u8 {
    match server.factor(&device.factor).await.kind {
        FactorKind::Push(push) => push.guard.wrong_numbers(),
        FactorKind::Totp(_) => 0,
    }
}

#[tokio::test]
async fn numbers_and_their_count_survive_a_restart() {
    let place = StorePlace::new().await;
    let store = place.open().await;
    let server = TestApp::on(store.clone()).await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let waiting = user.number_challenge(&client, &device, "3").await;
    for nth in 0..2 {
        let asked = user.number_challenge(&client, &device, "2").await;
        device
            .approve_with(&server, &asked.path, &asked.wrong(nth))
            .await
            .ok();
    }
    store.close().await.unwrap();

    let store = place.open().await;
    let server = server.restarted(store.clone());
    let client = server.client();
    assert_eq!(wrong_numbers(&server, &device).await, 2);
    device
        .answer(&server, &waiting.path, "approved")
        .await
        .refused(403, 60324);
    assert!(matches!(
        server.challenge(sid_of(&waiting.path)).await.outcome,
        Outcome::Pending
    ));
    device
        .approve_with(&server, &waiting.path, &waiting.wrong(0))
        .await
        .ok();
    client.get(device.path()).await.ok()["config"]["push_paused_until"]
        .as_str()
        .expect("the third one, also after a restart");
    store.close().await.unwrap();
}
