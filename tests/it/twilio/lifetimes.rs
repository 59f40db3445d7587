//! Factors that nobody verifies and entities without factors go by themselves; services do not, but an account has only so many.

use countersign::app::Policy;
use countersign::flows::check_store::check_store;
use countersign::flows::{store_format, sweep};

use crate::support::stores::new_store;
use crate::support::{Device, Interleaved, Service, TestApp, User, all_at_once};

const DAY: u64 = 24 * 3600;
/// What the settings say if nobody says anything else.
const UNVERIFIED: u64 = 14 * DAY;
const EMPTY: u64 = 90 * DAY;

async fn assert_sound(server: &TestApp) {
    // A server notes the format when it starts.
    store_format::check(&server.app).await.unwrap();
    let report = check_store(&server.app).await.unwrap();
    assert!(report.problems().is_empty(), "{:?}", report.problems());
}

async fn subscribe(server: &TestApp, service: &Service) {
    let form = [
        ("FriendlyName", "hook"),
        ("EventTypes", "*"),
        ("WebhookUrl", "https://owlbank.example/hook"),
    ];
    server
        .client()
        .post(format!("{}/Webhooks", service.path), &form)
        .await
        .ok();
}

#[tokio::test]
async fn what_nobody_verifies_goes_after_a_while_and_whatever_else_becomes_of_it() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.unverified_totp(&client, "app", &[]).await;
    let mut device = Device::new();
    device.enrol(&client, &user.path).await.ok();
    let kept = user.totp_with(&server, &client, "another app", &[]).await;
    let enrolled = user.device(&server, &client).await;
    subscribe(&server, &user.service).await;
    // Neither a change nor a wrong code gives it more time.
    server.wait(UNVERIFIED - 60 - 1);
    client.post(&totp.path, &[("FriendlyName", "mine")]).await.ok();
    totp.verify(&client, "000000").await.ok();
    server.sweep().await;
    assert_eq!(client.get(&totp.path).await.ok()["status"], "unverified");
    client.get(device.path()).await.ok();
    assert_sound(&server).await;

    server.wait(1);
    server.sweep().await;
    client.get(&totp.path).await.refused(404, 20404);
    totp.verify(&client, &totp.app.code(&server))
        .await
        .refused(404, 20404);
    // Its device is nobody any more.
    device.verify(&server).await.refused(401, 20003);
    assert_eq!(client.get(&kept.path).await.ok()["status"], "verified");
    assert_eq!(client.get(enrolled.path()).await.ok()["status"], "verified");
    let mut told: Vec<_> = server.outbox().await.iter().map(crate::outbox::event).collect();
    told.sort();
    let mut gone = vec![("factor.deleted", totp.sid), ("factor.deleted", device.factor)];
    gone.sort();
    assert_eq!(told, gone);
    assert_sound(&server).await;
    // Ever after, verified ones stay.
    server.wait(10 * EMPTY);
    server.sweep().await;
    client.get(&kept.path).await.ok();
    client.get(enrolled.path()).await.ok();
    assert_sound(&server).await;
}

#[tokio::test]
async fn an_entity_without_factors_goes_after_a_while_and_comes_back_with_the_next_factor() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let entities = format!("{}/Entities", service.path);
    client.post(&entities, &[("Identity", "user-0001")]).await.ok();
    let (made, left, used) = (
        service.user("user-0001"),
        service.user("user-0002"),
        service.user("user-0003"),
    );
    let only = left.totp(&server, &client).await;
    let factor = used.totp(&server, &client).await;
    server.wait(EMPTY - 121);
    // Time begins when the last factor goes.
    client.delete(&only.path).await.ok();
    server.sweep().await;
    client.get(&made.path).await.ok();
    server.wait(1);
    server.sweep().await;
    client.get(&made.path).await.refused(404, 20404);
    client.get(&left.path).await.ok();
    assert_sound(&server).await;
    // One that gets a factor again stays; what it is replaced by has no memory of the first.
    left.totp(&server, &client).await;
    let again = made.totp(&server, &client).await;
    server.wait(2 * EMPTY);
    server.sweep().await;
    for path in [&left.path, &used.path, &factor.path, &again.path] {
        client.get(path).await.ok();
    }
    let listed = client.get(&entities).await.ok();
    assert_eq!(listed["entities"].as_array().unwrap().len(), 3);
    assert_sound(&server).await;
    // One whose only factor was never verified is as empty as the others, from the moment that that went.
    let never = service.user("user-0004");
    never.unverified_totp(&client, "app", &[]).await;
    server.wait(UNVERIFIED);
    server.sweep().await;
    client.get(&never.path).await.ok();
    server.wait(EMPTY - 1);
    server.sweep().await;
    client.get(&never.path).await.ok();
    server.wait(1);
    server.sweep().await;
    client.get(&never.path).await.refused(404, 20404);
    assert_sound(&server).await;
}

/// Many users verify at the moment at which their factors go: each is verified and stays, or hears that it is gone.
#[tokio::test]
async fn a_verification_wins_or_finds_nothing() {
    let (mut stayed, mut went) = (0, 0);
    for head_start in 0..24 {
        let server = TestApp::on(Interleaved::store()).await;
        let client = server.client();
        let service = Service::create(&client).await;
        let mut factors = Vec::new();
        for nth in 0..6 {
            let user = service.user(&format!("user-{:04}", nth / 2));
            factors.push(user.unverified_totp(&client, &format!("app {nth}"), &[]).await);
        }
        server.wait(UNVERIFIED);
        let sweeping = tokio::spawn({
            let server = server.clone();
            async move { sweep::round(&server.app).await.unwrap() }
        });
        let verifying = factors.iter().take(3).map(|totp| {
            let code = totp.app.code(&server);
            let answer = client.posting(&totp.path, &[("AuthPayload", &code)]);
            async move {
                for _ in 0..head_start {
                    tokio::task::yield_now().await;
                }
                answer.await
            }
        });
        let answers = all_at_once(verifying).await;
        sweeping.await.unwrap();
        server.sweep().await;
        for (totp, answer) in factors.iter().zip(answers) {
            if answer.status == 200 {
                assert_eq!(answer.ok()["status"], "verified");
                assert_eq!(client.get(&totp.path).await.ok()["status"], "verified");
                stayed += 1;
            } else {
                answer.refused(404, 20404);
                client.get(&totp.path).await.refused(404, 20404);
                went += 1;
            }
        }
        for totp in &factors[3..] {
            client.get(&totp.path).await.refused(404, 20404);
        }
        assert_sound(&server).await;
    }
    assert!(
        stayed > 0 && went > 0,
        "{stayed} were verified, {went} went first"
    );
}

/// A new factor of an entity that goes at this moment is a factor of that one, or of a new one.
#[tokio::test]
async fn a_factor_never_belongs_to_an_entity_that_went() {
    for head_start in 0..8 {
        let server = TestApp::on(Interleaved::store()).await;
        let client = server.client();
        let user = User::create(&client).await;
        let entities = format!("{}/Entities", user.service.path);
        client.post(&entities, &[("Identity", "user-0001")]).await.ok();
        server.wait(EMPTY);
        let form = [("FriendlyName", "x"), ("FactorType", "totp")];
        let enrolling = client.posting(&format!("{}/Factors", user.path), &form);
        let sweeping = async {
            for _ in 0..head_start {
                tokio::task::yield_now().await;
            }
            sweep::round(&server.app).await.unwrap()
        };
        let (answer, _) = tokio::join!(enrolling, sweeping);
        let sid = answer.text("sid");
        server.sweep().await;
        client.get(format!("{}/Factors/{sid}", user.path)).await.ok();
        assert_sound(&server).await;
    }
}

/// Somebody whose webhooks do not answer keeps nobody's space from being reclaimed, and no event from anybody else.
#[tokio::test]
async fn a_full_outbox_keeps_nothing_and_nobody() {
    let policy = Policy {
        outbox_rows_per_account: 100,
        ..crate::doubles::policy()
    };
    let server = TestApp::with(new_store().await, policy).await;
    let client = server.client();
    let theirs = server.another_account().await;
    let mut paths = Vec::new();
    let full = Service::create(&client).await;
    for nth in 0..30 {
        let user = full.user(&format!("user-{nth:04}"));
        for app in 0..8 {
            paths.push(
                user.unverified_totp(&client, &format!("app {app}"), &[])
                    .await
                    .path,
            );
        }
    }
    subscribe(&server, &full).await;
    let other = Service::create(&server.client_of(&theirs)).await;
    let others = other.user("user-0001");
    let last = others
        .unverified_totp(&server.client_of(&theirs), "app", &[])
        .await;
    let form = [
        ("FriendlyName", "hook"),
        ("EventTypes", "*"),
        ("WebhookUrl", "https://owlbank.example/hook"),
    ];
    let hooks = format!("{}/Webhooks", other.path);
    server.client_of(&theirs).post(hooks, &form).await.ok();
    server.wait(UNVERIFIED);
    server.sweep().await;
    for path in paths {
        client.get(&path).await.refused(404, 20404);
    }
    let told: Vec<_> = server.outbox().await.iter().map(crate::outbox::event).collect();
    assert_eq!(told.len(), 200 + 1, "twice as many, and the other account's");
    assert!(told.contains(&("factor.deleted", last.sid)));
    assert_sound(&server).await;
}

#[tokio::test]
async fn below_a_deleted_service_nothing_is_told_and_everything_goes() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    user.unverified_totp(&client, "app", &[]).await;
    Device::new().enrol(&client, &user.path).await.ok();
    subscribe(&server, &user.service).await;
    let before = server.outbox().await.len();
    client.delete(&user.service.path).await.ok();
    server.wait(UNVERIFIED + EMPTY);
    server.sweep().await;
    assert_eq!(server.outbox().await.len(), before);
    assert_sound(&server).await;
}

fn with_services(services_per_account: u32) -> Policy {
    Policy {
        services_per_account,
        ..crate::doubles::policy()
    }
}

#[tokio::test]
async fn an_account_has_so_many_services_and_another_one_does_not_mind() {
    let store = new_store().await;
    let server = TestApp::with(store.clone(), with_services(3)).await;
    let client = server.client();
    let first = Service::create(&client).await;
    Service::create(&client).await;
    Service::create(&client).await;
    let form = [("FriendlyName", "x")];
    let before = server.dump().await;
    client
        .post("/v2/Services", &form)
        .await
        .refused(400, 60306)
        .naming("limits.services_per_account");
    assert_eq!(server.dump().await, before);
    let theirs = server.another_account().await;
    Service::create(&server.client_of(&theirs)).await;
    client.delete(&first.path).await.ok();
    client.delete(&first.path).await.refused(404, 20404);
    Service::create(&client).await;
    client.post("/v2/Services", &form).await.refused(400, 60306);
    // Unused for years, each is still there; a restart counts as before.
    server.wait(10 * 365 * DAY);
    server.sweep().await;
    let restarted = server.restarted(store);
    let listed = restarted.client().get("/v2/Services").await.ok();
    assert_eq!(listed["services"].as_array().unwrap().len(), 3);
    restarted
        .client()
        .post("/v2/Services", &form)
        .await
        .refused(400, 60306);
    assert_sound(&server).await;
}

#[tokio::test]
async fn parallel_creations_get_no_more_services() {
    let server = TestApp::with(Interleaved::store(), with_services(5)).await;
    let client = server.client();
    for _ in 0..4 {
        Service::create(&client).await;
    }
    let form = [("FriendlyName", "x")];
    let answers = all_at_once((0..16).map(|_| client.posting("/v2/Services", &form))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.refused(400, 60306);
    }
    assert_sound(&server).await;
}
