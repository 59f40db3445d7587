//! Whatever closes something is told when it begins, is lifted by what the manual says ("What closes, and what opens it
//! again"), by a call of the account, and that is told, too.

use countersign::domain::events::OutboxMessage;

use crate::support::messages::another_code;
use crate::support::world::Totp;
use crate::support::{Client, Device, Service, TestApp, User, wrong_code};

const NUMBER: &str = "+4915112345678";

async fn hook(client: &Client<'_>, service: &Service) {
    let mut form = vec![("FriendlyName", "x"), ("WebhookUrl", "https://x.example")];
    for event in [
        "factor.locked",
        "factor.unlocked",
        "factor.disabled",
        "verification.blocked",
        "verification.unblocked",
    ] {
        form.push(("EventTypes", event));
    }
    client
        .post(format!("{}/Webhooks", service.path), &form)
        .await
        .ok();
}

/// What was told, with the reason, in order.
async fn told(server: &TestApp) -> Vec<String> {
    let mut rows = server.outbox().await;
    rows.sort_by_key(|row| (row.date_created, row.sid));
    let told = rows.into_iter().filter_map(|row| match row.message {
        OutboxMessage::Webhook { event, .. } => {
            let lock = event.lock.unwrap();
            // Whoever is told that something is closed is told until when, if waiting helps.
            let waits = lock.until.is_some_and(|until| until > event.at);
            let helps = event.event_type.name() == "factor.locked" && lock.reason.name() != "enrolment";
            assert_eq!(waits, helps, "{event:?}");
            Some(format!("{} {}", event.event_type.name(), lock.reason.name()))
        }
        OutboxMessage::Blocked { event, .. } => {
            assert_eq!(event.until.is_some(), !event.lifted);
            assert!(!event.subject.contains("12345678"), "{}", event.subject);
            Some(format!("{} {}", event.event_type().name(), event.reason.name()))
        }
        OutboxMessage::Code(_) | OutboxMessage::Notice { .. } | OutboxMessage::Push { .. } => None,
    });
    told.collect()
}

async fn totp(server: &TestApp) -> (User, Totp) {
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(server, &client).await;
    hook(&client, &user.service).await;
    (user, totp)
}

async fn device(server: &TestApp) -> (User, Device) {
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(server, &client).await;
    hook(&client, &user.service).await;
    (user, device)
}

async fn fail_ten_times(server: &TestApp, totp: &Totp) {
    let client = server.client();
    for nth in 0..10 {
        totp.check(&client, &wrong_code(server, &totp.app, nth))
            .await
            .ok();
    }
    let code = totp.app.code(server);
    totp.check(&client, &code).await.refused(429, 20429);
}

#[tokio::test]
async fn delays_after_wrong_codes_are_lifted_by_the_account() {
    let server = TestApp::new().await;
    let client = server.client();
    let (_, totp) = totp(&server).await;
    fail_ten_times(&server, &totp).await;
    assert!(client.get(&totp.path).await.ok()["config"]["codes_paused_until"].is_string());
    let lifted = client
        .post(&totp.path, &[("Config.CodesPaused", "false")])
        .await
        .ok();
    assert!(lifted["config"].get("codes_paused_until").is_none());
    let code = totp.app.code(&server);
    assert_eq!(totp.check(&client, &code).await.ok()["status"], "approved");
    assert_eq!(
        told(&server).await,
        ["factor.locked wrong_codes", "factor.unlocked wrong_codes"]
    );
    // What was used stays used.
    assert_eq!(totp.check(&client, &code).await.ok()["status"], "pending");
    client
        .post(&totp.path, &[("Config.CodesPaused", "true")])
        .await
        .refused(400, 60306);
}

#[tokio::test]
async fn delays_after_wrong_codes_are_lifted_by_the_right_one() {
    let server = TestApp::new().await;
    let client = server.client();
    let (_, totp) = totp(&server).await;
    fail_ten_times(&server, &totp).await;
    server.wait(30);
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
    assert_eq!(
        told(&server).await,
        ["factor.locked wrong_codes", "factor.unlocked wrong_codes"]
    );
}

#[tokio::test]
async fn what_a_hundred_wrong_codes_ended_is_enrolled_anew() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, totp) = totp(&server).await;
    let mut nth = 0;
    while !told(&server).await.contains(&"factor.disabled".to_owned()) && nth < 100 {
        let answer = totp.check(&client, &wrong_code(&server, &totp.app, nth)).await;
        match answer.status {
            429 => server.wait(answer.retry_after()),
            403 => break,
            _ => nth += 1,
        }
        if nth == 100 {
            break;
        }
    }
    totp.check(&client, "000000").await.refused(403, 60383);
    client
        .post(&totp.path, &[("Config.CodesPaused", "false")])
        .await
        .refused(403, 60383);
    client.delete(&totp.path).await;
    let anew = user.totp(&server, &client).await;
    server.wait(30);
    assert_eq!(
        anew.check(&client, &anew.app.code(&server)).await.ok()["status"],
        "approved"
    );
}

#[tokio::test]
async fn the_limit_of_challenges_is_lifted_by_the_account() {
    let server = TestApp::new().await;
    let client = server.client();
    let (_, totp) = totp(&server).await;
    for _ in 0..50 {
        totp.challenge(&client).await;
    }
    let form = [("FactorSid", totp.sid.as_str())];
    client.post(&totp.challenges, &form).await.refused(429, 60312);
    client
        .post(&totp.path, &[("Config.CodesPaused", "false")])
        .await
        .ok();
    totp.challenge(&client).await;
    assert_eq!(
        told(&server).await,
        ["factor.locked challenges", "factor.unlocked challenges"]
    );
}

#[tokio::test]
async fn the_five_codes_of_an_enrolment_are_given_anew_by_the_account() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    hook(&client, &user.service).await;
    let totp = user.unverified_totp(&client, "app", &[]).await;
    for nth in 0..5 {
        let form = [("AuthPayload", &*wrong_code(&server, &totp.app, nth))];
        client.post(&totp.path, &form).await.ok();
    }
    let code = totp.app.code(&server);
    client
        .post(&totp.path, &[("AuthPayload", &*code)])
        .await
        .refused(429, 60310);
    client
        .post(&totp.path, &[("Config.CodesPaused", "false")])
        .await
        .ok();
    let verified = client.post(&totp.path, &[("AuthPayload", &*code)]).await.ok();
    assert_eq!(verified["status"], "verified");
    assert_eq!(
        told(&server).await,
        ["factor.locked enrolment", "factor.unlocked enrolment"]
    );
}

#[tokio::test]
async fn a_report_and_wrong_numbers_are_lifted_by_the_account_and_never_by_the_device() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, device) = device(&server).await;
    let asked = user.push_challenge(&client, &device).await;
    device.report(&server, &asked).await.ok();
    for parameter in ["Config.PushPaused", "Config.CodesPaused"] {
        let form = [(parameter, "false")];
        device
            .on(&server)
            .post(device.path(), &form)
            .await
            .refused(403, 20403);
    }
    client
        .post(device.path(), &[("Config.PushPaused", "false")])
        .await
        .ok();
    for nth in 0..3 {
        let asked = user.number_challenge(&client, &device, "2").await;
        device
            .approve_with(&server, &asked.path, &asked.wrong(nth))
            .await
            .ok();
    }
    client
        .post(device.path(), &[("Config.PushPaused", "false")])
        .await
        .ok();
    user.push_challenge(&client, &device).await;
    assert_eq!(
        told(&server).await,
        [
            "factor.locked report",
            "factor.unlocked report",
            "factor.locked wrong_numbers",
            "factor.unlocked wrong_numbers"
        ]
    );
}

#[tokio::test]
async fn the_limit_of_pushes_is_told_and_lifted_by_the_account_and_by_an_approval() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, device) = device(&server).await;
    let refused = async || {
        let form = [("FactorSid", &*device.factor), ("Details.Message", "Log in?")];
        client
            .post(format!("{}/Challenges", user.path), &form)
            .await
            .refused(429, 20429);
    };
    let ten = async || {
        let mut last = String::new();
        for _ in 0..10 {
            last = user.push_challenge(&client, &device).await;
            server.wait(100);
        }
        last
    };
    ten().await;
    refused().await;
    client
        .post(device.path(), &[("Config.PushPaused", "false")])
        .await
        .ok();
    server.wait(1);
    let last = ten().await;
    refused().await;
    device.answer(&server, &last, "approved").await.ok();
    user.push_challenge(&client, &device).await;
    assert_eq!(
        told(&server).await,
        [
            "factor.locked pushes",
            "factor.unlocked pushes",
            "factor.locked pushes",
            "factor.unlocked pushes"
        ]
    );
}

/// Guesses wrong until it is refused; how often.
async fn guess(server: &TestApp, client: &Client<'_>, service: &Service) -> usize {
    server.wait(1);
    let sid = service.send(client, NUMBER, &[]).await.text("sid");
    let wrong = another_code(&server.message_code(&sid).await);
    for nth in 0..6 {
        if service.check(client, NUMBER, &wrong).await.status == 429 {
            return nth;
        }
    }
    panic!("six wrong codes were looked at")
}

#[tokio::test]
async fn until_when_no_code_is_looked_at_is_in_the_check_and_in_the_verification() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    assert_eq!(guess(&server, &client, &service).await, 5);
    let last = format!("{}/Verifications/{NUMBER}", service.path);
    client.post(&last, &[("Status", "canceled")]).await.ok();
    server.wait(1);
    let sid = service.send(&client, NUMBER, &[]).await.text("sid");
    let path = format!("{}/Verifications/{sid}", service.path);
    let wrong = another_code(&server.message_code(&sid).await);
    for _ in 0..4 {
        let checked = service.check(&client, NUMBER, &wrong).await.ok();
        assert!(checked.get("codes_paused_until").is_none(), "{checked}");
        assert!(client.get(&path).await.ok().get("codes_paused_until").is_none());
    }
    let checked = service.check(&client, NUMBER, &wrong).await.ok();
    assert!(checked["codes_paused_until"].is_string(), "{checked}");
    assert_eq!(
        client.get(&path).await.ok()["codes_paused_until"],
        checked["codes_paused_until"]
    );
    server.wait(31);
    assert!(client.get(&path).await.ok().get("codes_paused_until").is_none());
}

#[tokio::test]
async fn used_up_codes_of_a_verification_are_lifted_by_canceling_it() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    hook(&client, &service).await;
    assert_eq!(guess(&server, &client, &service).await, 5);
    service.send(&client, NUMBER, &[]).await.refused(429, 60202);
    server.wait(1);
    let path = format!("{}/Verifications/{NUMBER}", service.path);
    let canceled = client.post(&path, &[("Status", "canceled")]).await.ok();
    assert_eq!(canceled["status"], "canceled");
    client
        .post(&path, &[("Status", "canceled")])
        .await
        .refused(404, 20404);
    service.send(&client, NUMBER, &[]).await.ok();
    assert_eq!(
        told(&server).await,
        [
            "verification.blocked max_attempts",
            "verification.unblocked max_attempts"
        ]
    );
}

#[tokio::test]
async fn wrong_codes_of_a_destination_are_lifted_by_the_account() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    hook(&client, &service).await;
    let lock = format!("{}/Locks/{NUMBER}", service.path);
    client.delete(&lock).await.refused(404, 20404);
    guess(&server, &client, &service).await;
    let path = format!("{}/Verifications/{NUMBER}", service.path);
    client.post(&path, &[("Status", "canceled")]).await.ok();
    assert_eq!(guess(&server, &client, &service).await, 5);
    service.send(&client, NUMBER, &[]).await.refused(429, 60202);
    assert_eq!(client.delete(&lock).await.status, 204);
    let sid = service.send(&client, NUMBER, &[]).await.text("sid");
    let code = server.message_code(&sid).await;
    assert_eq!(
        service.check(&client, NUMBER, &code).await.ok()["status"],
        "approved"
    );
    let mut told = told(&server).await;
    told.sort();
    assert_eq!(
        told,
        [
            "verification.blocked max_attempts",
            "verification.blocked max_attempts",
            "verification.blocked wrong_codes",
            "verification.unblocked max_attempts",
            "verification.unblocked max_attempts",
            "verification.unblocked wrong_codes",
        ]
    );
    // Another account's service has no such number.
    let other = server.another_account().await;
    server.client_of(&other).delete(&lock).await.refused(404, 20404);
}

#[tokio::test]
async fn the_budget_of_a_number_is_given_anew_by_the_account() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    hook(&client, &service).await;
    let cancel = async || {
        let path = format!("{}/Verifications/{NUMBER}", service.path);
        client.post(&path, &[("Status", "canceled")]).await.ok();
    };
    for _ in 0..30 {
        service.send(&client, NUMBER, &[]).await.ok();
        cancel().await;
    }
    service.send(&client, NUMBER, &[]).await.refused(403, 60410);
    server.wait(1);
    let lock = format!("{}/Locks/{NUMBER}", service.path);
    assert_eq!(client.delete(&lock).await.status, 204);
    server.wait(1);
    for _ in 0..30 {
        service.send(&client, NUMBER, &[]).await.ok();
        cancel().await;
    }
    service.send(&client, NUMBER, &[]).await.refused(403, 60410);
    assert_eq!(
        told(&server).await,
        [
            "verification.blocked number_budget",
            "verification.unblocked number_budget",
            "verification.blocked number_budget"
        ]
    );
}

#[tokio::test]
async fn five_sendings_of_a_verification_are_lifted_by_ending_it() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    for status in ["canceled", "approved"] {
        for _ in 0..5 {
            service.send(&client, NUMBER, &[]).await.ok();
        }
        service.send(&client, NUMBER, &[]).await.refused(429, 60203);
        let path = format!("{}/Verifications/{NUMBER}", service.path);
        client.post(&path, &[("Status", status)]).await.ok();
        service.send(&client, NUMBER, &[]).await.ok();
        client.post(&path, &[("Status", status)]).await.ok();
    }
}

#[tokio::test]
async fn the_budget_of_a_prefix_is_passed_by_a_number_of_the_safe_list() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    hook(&client, &service).await;
    for nth in 0..100 {
        service
            .send(&client, &format!("+491511234{nth:04}"), &[])
            .await
            .ok();
    }
    service.send(&client, NUMBER, &[]).await.refused(403, 60410);
    let form = [("PhoneNumber", NUMBER)];
    client.post("/v2/SafeList/Numbers", &form).await.ok();
    service.send(&client, NUMBER, &[]).await.ok();
    assert_eq!(told(&server).await.len(), 1);
}

#[tokio::test]
async fn a_rate_limit_of_its_own_is_lifted_by_deleting_its_bucket() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let limits = format!("{}/RateLimits", service.path);
    let limit = client.post(&limits, &[("UniqueName", "user")]).await.text("sid");
    let buckets = format!("{limits}/{limit}/Buckets");
    let bucket = client.post(&buckets, &[("Max", "1"), ("Interval", "3600")]).await;
    let bucket = format!("{buckets}/{}", bucket.text("sid"));
    let values = [("RateLimits", r#"{"user":"7"}"#)];
    service.send(&client, NUMBER, &values).await.ok();
    assert_eq!(service.send(&client, NUMBER, &values).await.status, 429);
    assert_eq!(client.delete(&bucket).await.status, 204);
    service.send(&client, NUMBER, &values).await.ok();
}
