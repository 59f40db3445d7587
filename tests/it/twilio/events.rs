//! Events: a row for each that somebody wants, in the commit that makes it true, and none for nobody.

use countersign::domain::events::{OutboxMessage, OutboxRow};
use countersign::store::{Version, keys};

use crate::support::credentials::{apn_form, create_credential, fcm_form};
use crate::support::world::{Totp, answer, sid_of};
use crate::support::{Client, Device, TestApp, User, wrong_code};

const ALL: [&str; 5] = [
    "factor.created",
    "factor.verified",
    "factor.deleted",
    "challenge.approved",
    "challenge.denied",
];

struct Heard {
    webhook: String,
    event: &'static str,
    factor: String,
    challenge: Option<String>,
}

async fn heard(server: &TestApp) -> Vec<Heard> {
    server.outbox().await.into_iter().map(event_of).collect()
}

fn event_of(row: OutboxRow) -> Heard {
    let OutboxMessage::Webhook { webhook, event } = row.message else {
        panic!("a push")
    };
    Heard {
        webhook: webhook.to_string(),
        event: event.event_type.name(),
        factor: event.factor.to_string(),
        challenge: event.challenge.map(|sid| sid.to_string()),
    }
}

async fn names(server: &TestApp) -> Vec<&'static str> {
    heard(server).await.iter().map(|heard| heard.event).collect()
}

async fn subscribe(client: &Client<'_>, user: &User, events: &[&str]) -> String {
    let mut form = vec![("FriendlyName", "x"), ("WebhookUrl", "https://x.example")];
    form.extend(events.iter().map(|event| ("EventTypes", *event)));
    let webhooks = format!("{}/Webhooks", user.service.path);
    format!("{webhooks}/{}", client.post(&webhooks, &form).await.text("sid"))
}

/// Everything that can happen to a user happens once: two factors are created, verified, challenged and deleted.
async fn live(server: &TestApp, user: &User) -> (Totp, Device) {
    let client = server.client();
    let totp = user.totp(server, &client).await;
    totp.check(&client, &wrong_code(server, &totp.app, 0)).await.ok();
    let code = totp.app.code(server);
    totp.check(&client, &code).await.ok();
    totp.check(&client, &code).await.ok();
    let device = user.device(server, &client).await;
    device.verify(server).await.ok();
    let challenge = user.push_challenge(&client, &device).await;
    device.answer(server, &challenge, "denied").await.ok();
    server.wait(1);
    client.delete(&totp.path).await.ok();
    server.wait(1);
    client.delete(&user.path).await.ok();
    (totp, device)
}

#[tokio::test]
async fn nothing_is_written_for_events_that_nobody_wants() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    live(&server, &user).await;
    assert_eq!(server.outbox().await.len(), 0);
    let elsewhere = User::create(&client).await;
    subscribe(&client, &elsewhere, &["*"]).await;
    let disabled = subscribe(&client, &user, &["*"]).await;
    client.post(&disabled, &[("Status", "disabled")]).await.ok();
    let deleted = subscribe(&client, &user, &["*"]).await;
    client.delete(&deleted).await.ok();
    server.wait(60);
    live(&server, &user).await;
    assert_eq!(server.outbox().await.len(), 0);
}

#[tokio::test]
async fn each_event_is_one_row_for_each_webhook_that_wants_it() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let everything = subscribe(&client, &user, &["*"]).await;
    let mut picky = Vec::new();
    for event in ALL {
        picky.push((subscribe(&client, &user, &[event]).await, event));
    }
    let twice = subscribe(
        &client,
        &user,
        &["factor.created", "factor.deleted", "factor.created"],
    )
    .await;
    let (totp, device) = live(&server, &user).await;

    let heard = heard(&server).await;
    let of = |webhook: &str| -> Vec<_> {
        let rows = heard.iter().filter(|heard| heard.webhook == sid_of(webhook));
        rows.map(|heard| (heard.event, heard.factor.as_str())).collect()
    };
    let (first, second) = (totp.sid.as_str(), device.factor.as_str());
    let expected = [
        ("factor.created", first),
        ("factor.verified", first),
        ("challenge.approved", first),
        ("factor.created", second),
        ("factor.verified", second),
        ("challenge.denied", second),
        ("factor.deleted", first),
        ("factor.deleted", second),
    ];
    assert_eq!(of(&everything), expected);
    for (webhook, wanted) in &picky {
        let count = expected.iter().filter(|(event, _)| event == wanted).count();
        assert!(
            of(webhook).len() == count && of(webhook).iter().all(|(event, _)| event == wanted),
            "{wanted}"
        );
    }
    assert_eq!(of(&twice).len(), 4);
    for heard in &heard {
        assert_eq!(heard.challenge.is_some(), heard.event.starts_with("challenge."));
    }
}

/// What a webhook wants now counts, from the next request on.
#[tokio::test]
async fn a_webhook_that_changes_its_mind_is_heard() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let webhook = subscribe(&client, &user, &["factor.verified"]).await;
    user.unverified_totp(&client, "one", &[]).await;
    assert_eq!(names(&server).await.len(), 0);
    client
        .post(&webhook, &[("EventTypes", "factor.created")])
        .await
        .ok();
    user.unverified_totp(&client, "two", &[]).await;
    assert_eq!(names(&server).await, ["factor.created"]);
    client.post(&webhook, &[("Status", "disabled")]).await.ok();
    user.unverified_totp(&client, "three", &[]).await;
    client.post(&webhook, &[("Status", "enabled")]).await.ok();
    user.unverified_totp(&client, "four", &[]).await;
    assert_eq!(names(&server).await, ["factor.created"; 2]);
    client
        .post(&user.service.path, &[("FriendlyName", "Renamed")])
        .await
        .ok();
    user.unverified_totp(&client, "five", &[]).await;
    assert_eq!(
        names(&server).await,
        ["factor.created"; 3],
        "other settings change no wishes"
    );
    client.delete(&webhook).await.ok();
    user.unverified_totp(&client, "six", &[]).await;
    assert_eq!(names(&server).await.len(), 3);
}

async fn version_of_last_row(server: &TestApp) -> Version {
    let rows = server.scan(keys::lanes()).await;
    rows.iter().map(|(_, entry)| entry.version).max().unwrap()
}

/// The row and the change it tells of have one version: they are one commit, and a crash takes both or none.
#[tokio::test]
async fn a_row_is_in_the_commit_of_its_change() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    subscribe(&client, &user, &["*"]).await;
    let versions = async || {
        let below: Vec<_> = server
            .scan(b"e".to_vec())
            .await
            .iter()
            .map(|(_, entry)| entry.version)
            .collect();
        let row = version_of_last_row(&server).await;
        (below.into_iter().max().unwrap(), row, server.outbox().await.len())
    };
    let mut device = Device::new();
    let challenge = async |device: &Device| user.push_challenge(&client, device).await;
    device.enrol(&client, &user.path).await.ok();
    assert!(matches!(versions().await, (change, row, 1) if change == row));
    device.verify(&server).await.ok();
    assert!(matches!(versions().await, (change, row, 2) if change == row));
    let asked = challenge(&device).await;
    assert!(
        matches!(versions().await, (change, row, 2) if change > row),
        "no event is no row"
    );
    device.answer(&server, &asked, "approved").await.ok();
    assert!(matches!(versions().await, (change, row, 3) if change == row));
    let totp = user.totp(&server, &client).await;
    totp.check(&client, &totp.app.code(&server)).await.ok();
    assert!(matches!(versions().await, (change, row, 6) if change == row));
    let asked = totp.challenge(&client).await;
    server.wait(30);
    answer(&client, &asked, &totp.app.code(&server)).await.ok();
    assert!(matches!(versions().await, (change, row, 7) if change == row));
    client.delete(&totp.path).await.ok();
    assert!(
        matches!(versions().await, (change, row, 8) if change == row),
        "its entity counts one factor less"
    );
}

/// A push is asked for only if there is somebody to ask.
#[tokio::test]
async fn a_push_is_a_row_when_the_service_has_a_key_for_the_platform() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let token = "n".repeat(64);
    let apn = create_credential(&client, &apn_form()).await;
    let fcm = create_credential(&client, &fcm_form()).await;
    let mut expected = 0;
    for (platform, setting, key) in [
        ("none", "Push.ApnCredentialSid", &apn),
        ("apn", "Push.ApnCredentialSid", &apn),
        ("fcm", "Push.FcmCredentialSid", &fcm),
    ] {
        let form = [
            ("Config.NotificationPlatform", platform),
            ("Config.NotificationToken", token.as_str()),
        ];
        client.post(device.path(), &form).await.ok();
        for (value, pushed) in [("", 0), (key, usize::from(platform != "none"))] {
            client.post(&user.service.path, &[(setting, value)]).await.ok();
            let asked = user.push_challenge(&client, &device).await;
            device.answer(&server, &asked, "denied").await.ok();
            expected += pushed;
            assert_eq!(server.outbox().await.len(), expected, "{platform} {value}");
        }
    }
}
