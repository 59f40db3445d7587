//! Push bombing: whoever has the password asks until the holder gives in. SECURITY.md, row 21.

use countersign::domain::events::OutboxMessage;

use crate::support::credentials::{create_credential, fcm_form};
use crate::support::{Answer, Client, Device, Interleaved, Service, TestApp, User, all_at_once};

const MOST_PENDING: usize = 5;
const MOST_SINCE_SUCCESS: usize = 10;
const DAY: u64 = 24 * 3600;

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
    (user, device)
}

fn form(device: &Device) -> [(&str, &str); 2] {
    [
        ("FactorSid", device.factor.as_str()),
        ("Details.Message", "Log in?"),
    ]
}

async fn ask(client: &Client<'_>, user: &User, device: &Device) -> Answer {
    client
        .post(format!("{}/Challenges", user.path), &form(device))
        .await
}

fn path(user: &User, created: &Answer) -> String {
    format!("{}/Challenges/{}", user.path, created.text("sid"))
}

async fn pushes(server: &TestApp) -> usize {
    let rows = server.outbox().await.into_iter();
    rows.filter(|row| matches!(row.message, OutboxMessage::Push { .. }))
        .count()
}

async fn pending(client: &Client<'_>, user: &User, device: &Device) -> usize {
    let path = format!(
        "{}/Challenges?Status=pending&FactorSid={}&PageSize=1000",
        user.path, device.factor
    );
    client.get(path).await.ok()["challenges"]
        .as_array()
        .unwrap()
        .len()
}

#[tokio::test]
async fn of_1000_challenges_in_a_minute_few_reach_the_phone() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    let beginning = server.clock.clone();
    for _ in 0..1000 {
        let answer = ask(&client, &user, &device).await;
        if answer.status != 201 {
            assert!((1..=300).contains(&answer.refused(429, 20429).retry_after()));
        }
        beginning.advance(std::time::Duration::from_millis(60));
    }
    assert_eq!(pushes(&server).await, MOST_PENDING);
    assert_eq!(pending(&client, &user, &device).await, MOST_PENDING);
    let listed = client
        .get(format!("{}/Challenges?PageSize=1000", user.path))
        .await
        .ok();
    assert_eq!(listed["challenges"].as_array().unwrap().len(), MOST_PENDING);
}

#[tokio::test]
async fn of_64_parallel_challenges_no_more_reach_the_phone() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    let challenges = format!("{}/Challenges", user.path);
    let answers = all_at_once((0..64).map(|_| client.posting(&challenges, &form(&device)))).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        MOST_PENDING
    );
    for refused in answers.into_iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.refused(429, 20429).retry_after(), 300);
    }
    assert_eq!(pushes(&server).await, MOST_PENDING);
    assert_eq!(pending(&client, &user, &device).await, MOST_PENDING);
}

/// Denied or expired ones make room for the next, but not for more than ten without a yes.
#[tokio::test]
async fn ten_pushes_without_an_approval_are_all_there_are_in_a_day() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    let beginning = server.seconds();
    for nth in 0..MOST_SINCE_SUCCESS {
        let asked = ask(&client, &user, &device).await;
        let asked = path(&user, &asked);
        if nth % 2 == 0 {
            device.answer(&server, &asked, "denied").await.ok();
        }
        server.wait(300);
    }
    let before = server.dump().await;
    let wait = ask(&client, &user, &device)
        .await
        .refused(429, 20429)
        .retry_after();
    assert_eq!(wait, beginning + DAY - server.seconds());
    server.wait(wait - 1);
    ask(&client, &user, &device).await.refused(429, 20429);
    assert_eq!(server.dump().await, before, "what is refused changes nothing");
    server.wait(1);
    let asked = ask(&client, &user, &device).await;
    assert_eq!(
        ask(&client, &user, &device)
            .await
            .refused(429, 20429)
            .retry_after(),
        300
    );
    // One yes, and everything before it is forgiven. That it lifts the limit is told, so it is written down with it.
    let factor = countersign::store::keys::all_services();
    let services = server.scan(factor).await;
    let rewritten = async || server.factor(&device.factor).await;
    let (kind, asked) = (format!("{:?}", rewritten().await.kind), path(&user, &asked));
    device.answer(&server, &asked, "approved").await.ok();
    assert_ne!(format!("{:?}", rewritten().await.kind), kind);
    assert_eq!(
        server.scan(countersign::store::keys::all_services()).await,
        services
    );
    server.wait(1);
    for _ in 0..MOST_PENDING {
        ask(&client, &user, &device).await.ok();
    }
    ask(&client, &user, &device).await.refused(429, 20429);
    assert_eq!(pushes(&server).await, MOST_SINCE_SUCCESS + 1 + MOST_PENDING);
}

/// A pending challenge is pushed three times; each of them counts.
/// What the manual says lifts a pause lifts this as well; it is not the device's to do.
#[tokio::test]
async fn the_backend_lifts_the_limit_of_ten_pushes() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    for _ in 0..2 {
        for _ in 0..MOST_SINCE_SUCCESS {
            ask(&client, &user, &device).await.ok();
            server.wait(301);
        }
        ask(&client, &user, &device).await.refused(429, 20429);
        let lift = [("Config.PushPaused", "false")];
        device
            .on(&server)
            .post(device.path(), &lift)
            .await
            .refused(403, 20403);
        ask(&client, &user, &device).await.refused(429, 20429);
        client.post(device.path(), &lift).await.ok();
        // What is asked in the very moment up to which all is forgiven does not count.
        server.wait(1);
    }
    ask(&client, &user, &device).await.ok();
}

#[tokio::test]
async fn notifications_count_as_pushes_and_say_when_to_try_again() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    for nth in 0..4 {
        let asked = ask(&client, &user, &device).await;
        if nth == 3 {
            let again = format!("{}/Notifications", path(&user, &asked));
            client.post(again, &[]).await.refused(429, 20429).retry_after();
            break;
        }
        let again = format!("{}/Notifications", path(&user, &asked));
        client.post(&again, &[]).await.ok();
        client.post(&again, &[]).await.ok();
        server.wait(7);
        let refused = client.post(&again, &[]).await.refused(429, 60309);
        assert_eq!(refused.retry_after(), 293, "until it expires");
    }
    assert_eq!(pushes(&server).await, MOST_SINCE_SUCCESS);
}

/// Notifications and challenges at once do not get past the limit together.
#[tokio::test]
async fn parallel_notifications_get_no_more() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let asked = ask(&client, &user, &device).await;
        let again = format!("{}/Notifications", path(&user, &asked));
        for _ in 0..10 {
            tasks.push(client.posting(&again, &[]));
        }
    }
    let challenges = format!("{}/Challenges", user.path);
    for _ in 0..10 {
        tasks.push(client.posting(&challenges, &form(&device)));
    }
    let answers = all_at_once(tasks).await;
    assert!(
        answers
            .iter()
            .all(|answer| [0, 20429, 60309].contains(&answer.code()))
    );
    assert_eq!(pushes(&server).await, MOST_SINCE_SUCCESS);
}

/// A device that asks for itself is spared too, and another one of the user is none of its business.
#[tokio::test]
async fn each_factor_has_its_own_limits_with_or_without_a_platform() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, device) = begin(&server).await;
    let quiet = user.device(&server, &client).await;
    for asked in [&quiet, &device] {
        for _ in 0..MOST_PENDING {
            ask(&client, &user, asked).await.ok();
        }
        ask(&client, &user, asked).await.refused(429, 20429);
    }
    let totp = user.totp(&server, &client).await;
    for _ in 0..=MOST_PENDING {
        totp.challenge(&client).await;
    }
}
