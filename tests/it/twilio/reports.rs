//! "It was not me": the holder denies, says so, and is left alone.

use countersign::domain::events::{EventType, OutboxMessage};
use serde_json::json;

use crate::support::credentials::{create_credential, fcm_form};
use crate::support::world::{answer, sid_of};
use crate::support::{Answer, Client, Device, Interleaved, Service, TestApp, User, all_at_once};

const HOUR: u64 = 3600;

/// A service with a webhook for everything, and a device that Firebase wakes.
async fn begin(server: &TestApp) -> (User, Device) {
    let client = server.client();
    let credential = create_credential(&client, &fcm_form()).await;
    let service = Service::create_with(&client, &[("Push.FcmCredentialSid", &credential)]).await;
    let user = service.user("user-0001");
    let device = user.device(server, &client).await;
    let token = "n".repeat(64);
    let form = [
        ("Config.NotificationPlatform", "fcm"),
        ("Config.NotificationToken", token.as_str()),
    ];
    client.post(device.path(), &form).await.ok();
    let hook = [
        ("FriendlyName", "x"),
        ("EventTypes", "*"),
        ("WebhookUrl", "https://x.example"),
    ];
    client
        .post(format!("{}/Webhooks", service.path), &hook)
        .await
        .ok();
    (user, device)
}

async fn ask(client: &Client<'_>, user: &User, device: &Device) -> Answer {
    let form = [
        ("FactorSid", device.factor.as_str()),
        ("Details.Message", "Log in?"),
    ];
    client.post(format!("{}/Challenges", user.path), &form).await
}

/// What was told, with the challenge it was told of.
async fn told(server: &TestApp) -> Vec<(&'static str, Option<String>)> {
    let rows = server.outbox().await.into_iter();
    let events = rows.filter_map(|row| match row.message {
        OutboxMessage::Webhook { event, .. } => Some(event),
        OutboxMessage::Blocked { .. }
        | OutboxMessage::Code(_)
        | OutboxMessage::Notice { .. }
        | OutboxMessage::Push { .. } => None,
    });
    events
        .map(|event| {
            (
                event.event_type.name(),
                event.challenge.map(|sid| sid.to_string()),
            )
        })
        .collect()
}

/// SECURITY.md, row 21: deny-as-fraud blocks new pushes and alerts.
#[tokio::test]
async fn a_report_denies_alerts_and_pauses_until_it_is_over() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    let waiting = user.push_challenge(&client, &device).await;
    let reported = user.push_challenge(&client, &device).await;
    let pushes = server.outbox().await.len();
    let denied = device.report(&server, &reported).await.ok();
    assert_eq!(
        (&denied["status"], &denied["deny_reason"]),
        (&json!("denied"), &json!("not_me"))
    );
    assert_eq!(client.get(&reported).await.ok()["deny_reason"], "not_me");
    let challenge = Some(sid_of(&reported).to_owned());
    assert_eq!(
        told(&server).await,
        [
            ("challenge.denied", challenge.clone()),
            ("challenge.reported", challenge),
            ("factor.locked", None),
        ]
    );
    let until = countersign::domain::time::Timestamp::from_seconds(server.seconds() + HOUR).to_string();
    for reader in [&client, &device.on(&server)] {
        let factor = reader.get(device.path()).await.ok();
        assert_eq!(factor["config"]["push_paused_until"], until.as_str());
        assert_eq!(factor["status"], "verified");
    }

    server.wait(10);
    let before = server.dump().await;
    assert_eq!(
        ask(&client, &user, &device)
            .await
            .refused(429, 20429)
            .retry_after(),
        HOUR - 10
    );
    let again = client.post(format!("{waiting}/Notifications"), &[]).await;
    assert_eq!(again.refused(429, 20429).retry_after(), HOUR - 10);
    let refused = device.answer(&server, &waiting, "approved").await;
    assert_eq!(refused.refused(429, 20429).retry_after(), HOUR - 10);
    assert_eq!(server.dump().await, before, "what is refused changes nothing");
    assert_eq!(
        device.answer(&server, &waiting, "denied").await.ok()["status"],
        "denied"
    );
    let rows = server.outbox().await.len();
    assert_eq!(rows, pushes + 4, "one more denial, and no push");

    server.wait(HOUR - 11);
    ask(&client, &user, &device).await.refused(429, 20429);
    server.wait(1);
    let next = ask(&client, &user, &device).await.ok();
    assert_eq!(server.outbox().await.len(), rows + 1);
    let next = format!("{}/Challenges/{}", user.path, next["sid"].as_str().unwrap());
    let shown = client.get(device.path()).await.ok();
    assert!(shown["config"].get("push_paused_until").is_none());
    assert_eq!(
        device.answer(&server, &next, "approved").await.ok()["status"],
        "approved"
    );
}

/// The account ends a pause; whoever has the phone does not, and other factors are not touched by it.
#[tokio::test]
async fn only_the_account_ends_a_pause() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    let other = user.device(&server, &client).await;
    let totp = user.totp(&server, &client).await;
    let reported = user.push_challenge(&client, &device).await;
    device.report(&server, &reported).await.ok();
    ask(&client, &user, &other).await.ok();
    totp.check(&client, &totp.app.code(&server)).await.ok();
    let before = server.dump().await;
    for value in ["false", "FALSE", "true"] {
        let form = [("Config.PushPaused", value)];
        let refused = device.on(&server).post(device.path(), &form).await;
        assert!([400, 403].contains(&refused.status), "{}", refused.body);
    }
    let form = [("Config.PushPaused", "false"), ("FriendlyName", "Mine")];
    device
        .on(&server)
        .post(device.path(), &form)
        .await
        .refused(403, 20403);
    for bad in ["true", "no", "0"] {
        client
            .post(device.path(), &[("Config.PushPaused", bad)])
            .await
            .refused(400, 60306)
            .naming("Config.PushPaused");
    }
    assert_eq!(server.dump().await, before);
    // Nothing else that a device or a backend changes ends it.
    device.verify(&server).await.ok();
    device
        .on(&server)
        .post(device.path(), &[("FriendlyName", "Mine")])
        .await
        .ok();
    client
        .post(device.path(), &[("Config.NotificationPlatform", "none")])
        .await
        .ok();
    ask(&client, &user, &device).await.refused(429, 20429);
    let factor = client
        .post(device.path(), &[("Config.PushPaused", "false")])
        .await
        .ok();
    assert!(factor["config"].get("push_paused_until").is_none());
    ask(&client, &user, &device).await.ok();
    client
        .post(&totp.path, &[("Config.PushPaused", "false")])
        .await
        .ok();
}

#[tokio::test]
async fn only_a_denial_has_a_reason_and_only_this_one() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    let challenge = user.push_challenge(&client, &device).await;
    let before = server.dump().await;
    for (status, reason) in [
        ("approved", json!("not_me")),
        ("denied", json!("wrong_number")),
        ("denied", json!("")),
        ("denied", json!("Not_me")),
        ("denied", json!(null)),
        ("denied", json!(["not_me"])),
    ] {
        let signed = device
            .signed_with(&server, &challenge, status, ("reason", reason.clone()))
            .await;
        let refused = answer(&device.on(&server), &challenge, &signed).await;
        assert_eq!(
            (refused.status, refused.code()),
            (403, 60324),
            "{status} {reason}"
        );
    }
    let mut payload = device.payload(&server, &challenge, "denied").await;
    payload.insert("reason".to_owned(), json!("not_me"));
    let header = json!({"typ": "JWT", "alg": "ES256"});
    let signed = device.imitated().jws(&header, &payload.into());
    answer(&device.on(&server), &challenge, &signed)
        .await
        .refused(403, 60324);
    answer(&client, &challenge, &signed).await.refused(403, 60324);
    assert_eq!(server.dump().await, before);
    assert_eq!(
        device.answer(&server, &challenge, "approved").await.ok()["status"],
        "approved"
    );
}

/// Reports of several challenges at once: each is told, the lock once.
#[tokio::test]
async fn parallel_reports_lock_once() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    let mut reports = Vec::new();
    for _ in 0..5 {
        let challenge = user.push_challenge(&client, &device).await;
        let claim = ("reason", json!("not_me"));
        let signed = device.signed_with(&server, &challenge, "denied", claim).await;
        for _ in 0..3 {
            reports.push(
                device
                    .on(&server)
                    .posting(&challenge, &[("AuthPayload", &signed)]),
            );
        }
    }
    let answers = all_at_once(reports).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 5);
    let told = told(&server).await;
    let count = |name: EventType| told.iter().filter(|(event, _)| *event == name.name()).count();
    assert_eq!(count(EventType::ChallengeDenied), 5);
    assert_eq!(count(EventType::ChallengeReported), 5);
    assert_eq!(count(EventType::FactorLocked), 1);
}
