//! How often a factor is challenged and its holder asked: Twilio's caps with Twilio's numbers, exactly at their edges.

use crate::support::credentials::{create_credential, fcm_form};
use crate::support::world::{Totp, answer};
use crate::support::{Answer, Interleaved, Service, TestApp, User, all_at_once};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

async fn ask(server: &TestApp, totp: &Totp) -> Answer {
    server
        .client()
        .post(&totp.challenges, &[("FactorSid", &totp.sid)])
        .await
}

/// Creating challenges is what brute force needs: 50 an hour and 100 a day.
#[tokio::test]
async fn a_totp_factor_gets_50_challenges_an_hour_and_100_a_day() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let beginning = server.seconds();
    for hour in 0..2 {
        for _ in 0..50 {
            ask(&server, &totp).await.ok();
            server.wait(10);
        }
        let before = server.dump().await;
        let frees = if hour == 0 { HOUR } else { DAY - HOUR };
        assert_eq!(
            ask(&server, &totp).await.refused(429, 60312).retry_after(),
            frees - 500
        );
        let right = totp.app.code(&server);
        totp.check(&client, &right).await.refused(429, 60312);
        server.wait(HOUR - 501);
        assert_eq!(
            ask(&server, &totp).await.refused(429, 60312).retry_after(),
            frees - HOUR + 1
        );
        assert_eq!(server.dump().await, before);
        server.wait(1);
    }
    assert_eq!(server.seconds(), beginning + 2 * HOUR);
    assert_eq!(
        ask(&server, &totp).await.refused(429, 60312).retry_after(),
        DAY - 2 * HOUR
    );
    server.wait(DAY - 2 * HOUR - 1);
    ask(&server, &totp).await.refused(429, 60312);
    server.wait(1);
    ask(&server, &totp).await.ok();
    assert_eq!(
        ask(&server, &totp).await.refused(429, 60312).retry_after(),
        10,
        "the second one's place"
    );
    server.wait(10);
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
}

/// Short codes are easier to guess: 10 a day.
#[tokio::test]
async fn a_totp_factor_with_short_codes_gets_10_challenges_a_day() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    for (length, limit) in [("3", 10), ("4", 10), ("5", 50)] {
        let totp = user
            .totp_with(&server, &client, length, &[("Config.CodeLength", length)])
            .await;
        for _ in 0..limit {
            ask(&server, &totp).await.ok();
        }
        let wait = ask(&server, &totp).await.refused(429, 60312).retry_after();
        assert_eq!(wait, if limit == 10 { DAY } else { HOUR });
        server.wait(wait - 1);
        ask(&server, &totp).await.refused(429, 60312);
        server.wait(1);
        ask(&server, &totp).await.ok();
    }
}

#[tokio::test]
async fn parallel_requests_for_challenges_get_no_more() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let form = [("FactorSid", totp.sid.as_str())];
    let answers = all_at_once((0..64).map(|_| client.posting(&totp.challenges, &form))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 50);
    assert!(answers.iter().all(|answer| [0, 60312].contains(&answer.code())));
}

#[tokio::test]
async fn an_unverified_factor_cannot_be_challenged_and_proves_itself_in_five_tries() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.unverified_totp(&client, "app", &[]).await;
    let code = totp.app.code(&server);
    let before = server.dump().await;
    ask(&server, &totp).await.refused(403, 60318);
    totp.check(&client, &code).await.refused(403, 60318);
    assert_eq!(server.dump().await, before, "the code was not looked at");
    assert_eq!(totp.verify(&client, &code).await.ok()["status"], "verified");
}

#[tokio::test]
async fn an_answered_or_expired_challenge_takes_no_code() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let (first, second) = (totp.challenge(&client).await, totp.challenge(&client).await);
    assert_eq!(
        answer(&client, &first, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
    server.wait(300);
    let before = server.dump().await;
    answer(&client, &first, &totp.app.code(&server))
        .await
        .refused(403, 60322);
    answer(&client, &second, &totp.app.code(&server))
        .await
        .refused(403, 60323);
    assert_eq!(server.dump().await, before);
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
}

/// A user who is asked again and again says yes in the end.
#[tokio::test]
async fn a_challenge_is_pushed_three_times_while_it_waits() {
    let server = TestApp::new().await;
    let client = server.client();
    let credential = create_credential(&client, &fcm_form()).await;
    let service = Service::create_with(&client, &[("Push.FcmCredentialSid", &credential)]).await;
    let user = service.user("user-0001");
    let device = user.device(&server, &client).await;
    let quiet = user.push_challenge(&client, &device).await;
    client
        .post(format!("{quiet}/Notifications"), &[])
        .await
        .refused(400, 60307);
    let totp = user.totp(&server, &client).await;
    let coded = totp.challenge(&client).await;
    client
        .post(format!("{coded}/Notifications"), &[])
        .await
        .refused(400, 60307);

    let token = "n".repeat(64);
    let form = [
        ("Config.NotificationPlatform", "fcm"),
        ("Config.NotificationToken", token.as_str()),
    ];
    client.post(device.path(), &form).await.ok();
    let challenge = user.push_challenge(&client, &device).await;
    let notifications = format!("{challenge}/Notifications");
    for sent in 2..=3 {
        client.post(&notifications, &[]).await.ok();
        assert_eq!(server.outbox().await.len(), sent);
    }
    client.post(&notifications, &[]).await.refused(429, 60309);
    assert_eq!(server.outbox().await.len(), 3);

    let answered = user.push_challenge(&client, &device).await;
    let late = user.push_challenge(&client, &device).await;
    device.answer(&server, &answered, "denied").await.ok();
    client
        .post(format!("{answered}/Notifications"), &[])
        .await
        .refused(403, 60322);
    server.wait(300);
    client
        .post(format!("{late}/Notifications"), &[])
        .await
        .refused(403, 60323);
}
