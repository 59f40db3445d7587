//! Codes by message, from the first sending to the end: what is shown, what is kept, what is refused and with which number.

use std::sync::Arc;

use countersign::app::Policy;
use countersign::delivery::Senders;
use countersign::delivery::codes::log::LogSender;
use countersign::delivery::codes::{CodeSenders, ConfiguredSender, SenderKind};
use countersign::domain::channel::Channel;
use countersign::domain::email::EmailAddress;
use countersign::domain::sender_name::SenderName;
use serde_json::{Value, json};

use crate::support::app::BASE;
use crate::support::messages::another_code;
use crate::support::stores::new_store;
use crate::support::{Client, Service, TestApp};

const NUMBER: &str = "+4915112345678";
const MINUTES_10: u64 = 600;
const DAY: u64 = 24 * 3600;

async fn set_up(settings: &[(&str, &str)]) -> (TestApp, Service) {
    let server = TestApp::new().await;
    let service = Service::create_with(&server.client(), settings).await;
    (server, service)
}

fn sid(body: &Value) -> String {
    body["sid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_verification_shows_what_the_document_says() {
    let (server, service) = set_up(&[]).await;
    let client = server.client();
    let created = service.send(&client, NUMBER, &[]).await;
    assert_eq!(created.status, 201);
    let created = created.ok();
    let path = format!("{}/Verifications/{}", service.path, sid(&created));
    let expected = json!({
        "sid": sid(&created),
        "service_sid": service.sid,
        "account_sid": server.account.user,
        "to": NUMBER,
        "channel": "sms",
        "status": "pending",
        "valid": false,
        "date_created": "2027-01-15T08:00:00Z",
        "date_updated": "2027-01-15T08:00:00Z",
        "lookup": {},
        "amount": null,
        "payee": null,
        "send_code_attempts": [{
            "time": "2027-01-15T08:00:00Z",
            "channel": "SMS",
            "attempt_sid": created["send_code_attempts"][0]["attempt_sid"],
        }],
        "sna": null,
        "url": format!("{BASE}{path}"),
    });
    assert_eq!(created, expected);
    for name in [sid(&created), NUMBER.to_owned(), NUMBER.replace('+', "%2B")] {
        let fetched = client
            .get(format!("{}/Verifications/{name}", service.path))
            .await
            .ok();
        assert_eq!(fetched, expected, "{name}");
    }
    let code = server.message_code(&sid(&created)).await;
    assert_eq!(code.len(), 6);
    assert!(!created.to_string().contains(&code));
    let checked = service.check(&client, NUMBER, &code).await;
    assert_eq!(checked.status, 201);
    assert_eq!(
        checked.ok(),
        json!({
            "sid": sid(&created),
            "service_sid": service.sid,
            "account_sid": server.account.user,
            "to": NUMBER,
            "channel": "sms",
            "status": "approved",
            "valid": true,
            "amount": null,
            "payee": null,
            "sna_attempts_error_codes": [],
            "date_created": "2027-01-15T08:00:00Z",
            "date_updated": "2027-01-15T08:00:00Z",
        })
    );
    let fetched = client.get(&path).await.ok();
    assert_eq!(
        (&fetched["status"], &fetched["valid"]),
        (&json!("approved"), &json!(true))
    );
}

/// Twilio forgets a verification at its end, and users cannot tell why; here it says so for a day.
#[tokio::test]
async fn after_its_end_a_verification_is_fetched_for_a_day_and_checked_no_more() {
    for (end, status) in [
        ("approve", "approved"),
        ("cancel", "canceled"),
        ("expire", "expired"),
        ("exhaust", "max_attempts_reached"),
    ] {
        let (server, service) = set_up(&[]).await;
        let client = server.client();
        let created = service.send(&client, NUMBER, &[]).await.ok();
        let path = format!("{}/Verifications/{}", service.path, sid(&created));
        let code = server.message_code(&sid(&created)).await;
        match end {
            "approve" => drop(service.check(&client, NUMBER, &code).await.ok()),
            "cancel" => drop(client.post(&path, &[("Status", "canceled")]).await.ok()),
            "expire" => server.wait(MINUTES_10),
            _ => {
                for _ in 0..5 {
                    service.check(&client, NUMBER, &another_code(&code)).await.ok();
                }
                let sixth = service.check(&client, NUMBER, &code).await.refused(429, 60202);
                assert_eq!(sixth.retry_after(), MINUTES_10);
            }
        }
        assert_eq!(client.get(&path).await.ok()["status"], status, "{end}");
        if end != "exhaust" {
            service.check(&client, NUMBER, &code).await.refused(404, 20404);
        }
        for wanted in ["approved", "canceled"] {
            if (end, wanted) == ("exhaust", "canceled") {
                // One that is in the way of others can be taken out of it: see `locks`.
                continue;
            }
            client
                .post(&path, &[("Status", wanted)])
                .await
                .refused(404, 20404);
        }
        server.wait(DAY - MINUTES_10);
        assert_eq!(client.get(&path).await.ok()["status"], status, "{end}");
        server.wait(DAY);
        client.get(&path).await.refused(404, 20404);
    }
}

#[tokio::test]
async fn sending_again_is_the_same_verification_with_the_same_code() {
    let (server, service) = set_up(&[]).await;
    let client = server.client();
    let first = service.send(&client, NUMBER, &[]).await.ok();
    server.wait(60);
    let form = [("To", NUMBER), ("Channel", "call")];
    let path = format!("{}/Verifications", service.path);
    let again = client.post(&path, &form).await;
    assert_eq!(again.status, 201);
    let again = again.ok();
    assert_eq!(sid(&again), sid(&first));
    assert_eq!(again["channel"], "call");
    let sends: Vec<_> = again["send_code_attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|send| (send["time"].as_str().unwrap(), send["channel"].as_str().unwrap()))
        .collect();
    assert_eq!(
        sends,
        [("2027-01-15T08:00:00Z", "SMS"), ("2027-01-15T08:01:00Z", "CALL")]
    );
    assert_eq!(server.codes(&sid(&first)).await.len(), 1);
    for _ in 0..3 {
        service.send(&client, NUMBER, &[]).await.ok();
    }
    let sixth = service.send(&client, NUMBER, &[]).await.refused(429, 60203);
    assert_eq!(sixth.retry_after(), MINUTES_10 - 60);
    // Ten minutes after it was created, however often it was sent.
    server.wait(MINUTES_10 - 60);
    let next = service.send(&client, NUMBER, &[]).await.ok();
    assert_ne!(sid(&next), sid(&first));
}

#[tokio::test]
async fn a_service_may_have_a_new_code_made_for_each_sending() {
    let (server, service) = set_up(&[("NewCodeOnResend", "true")]).await;
    let client = server.client();
    let shown = client.get(&service.path).await.ok();
    assert_eq!(shown["new_code_on_resend"], true);
    let created = service.send(&client, NUMBER, &[]).await.ok();
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(server.message_code(&sid(&created)).await);
        service.send(&client, NUMBER, &[]).await.ok();
    }
    let last = server.message_code(&sid(&created)).await;
    let old = codes.iter().find(|code| **code != last).unwrap();
    assert_eq!(
        service.check(&client, NUMBER, old).await.ok()["status"],
        "pending"
    );
    assert_eq!(
        service.check(&client, NUMBER, &last).await.ok()["status"],
        "approved"
    );
    let off = client
        .post(&service.path, &[("NewCodeOnResend", "false")])
        .await
        .ok();
    assert_eq!(off["new_code_on_resend"], false);
}

#[tokio::test]
async fn exhausting_the_checks_closes_the_number_until_the_time_is_over() {
    let (server, service) = set_up(&[]).await;
    let client = server.client();
    let created = service.send(&client, NUMBER, &[]).await.ok();
    let code = server.message_code(&sid(&created)).await;
    for left in (0..5).rev() {
        let wrong = service.check(&client, NUMBER, &another_code(&code)).await.ok();
        let status = if left == 0 {
            "max_attempts_reached"
        } else {
            "pending"
        };
        assert_eq!(
            (&wrong["status"], &wrong["valid"]),
            (&json!(status), &json!(false))
        );
    }
    server.wait(100);
    let refused = service.send(&client, NUMBER, &[]).await.refused(429, 60202);
    assert_eq!(refused.retry_after(), MINUTES_10 - 100);
    service.send(&client, "+4915112345679", &[]).await.ok();
    server.wait(MINUTES_10 - 100);
    service.send(&client, NUMBER, &[]).await.ok();
}

/// A code agrees to one payment (PSD2): with another amount or payee it is wrong, and counts as wrong.
#[tokio::test]
async fn a_code_for_a_payment_is_right_for_that_payment_only() {
    let (server, service) = set_up(&[("Psd2Enabled", "true")]).await;
    let client = server.client();
    service.send(&client, NUMBER, &[]).await.refused(400, 60206);
    service
        .send(&client, NUMBER, &[("Amount", "1")])
        .await
        .refused(400, 60206);
    let paying = [("Amount", "€39.99"), ("Payee", "Acme Inc.")];
    let calls = [&paying[..], &[("Channel", "call")]].concat();
    service.send(&client, NUMBER, &calls).await.refused(400, 60214);
    let created = service.send(&client, NUMBER, &paying).await.ok();
    assert_eq!(
        (&created["amount"], &created["payee"]),
        (&json!("€39.99"), &json!("Acme Inc."))
    );
    let code = server.message_code(&sid(&created)).await;
    let check = |more: &[(&'static str, &'static str)]| {
        let form = [&[("To", NUMBER), ("Code", code.as_str())], more].concat();
        client.posting(&format!("{}/VerificationCheck", service.path), &form)
    };
    for other in [
        vec![],
        vec![("Amount", "€39.98"), ("Payee", "Acme Inc.")],
        vec![("Amount", "€39.99"), ("Payee", "Acme Ltd.")],
    ] {
        assert_eq!(check(&other).await.ok()["status"], "pending", "{other:?}");
    }
    check(&[("Amount", "€39.99")]).await.refused(400, 60206);
    let right = check(&paying).await.ok();
    assert_eq!(
        (&right["status"], &right["amount"]),
        (&json!("approved"), &json!("€39.99"))
    );
    assert_eq!(server.verification(&sid(&created)).await.codes[0].failures, 3);
}

#[tokio::test]
async fn only_a_service_that_allows_it_takes_a_code_of_the_callers_own() {
    let (server, service) = set_up(&[]).await;
    let client = server.client();
    let form = [("CustomCode", "1357902468")];
    service.send(&client, NUMBER, &form).await.refused(403, 60204);
    client
        .post(&service.path, &[("CustomCodeEnabled", "true")])
        .await
        .ok();
    let created = service.send(&client, NUMBER, &form).await.ok();
    assert_eq!(server.message_code(&sid(&created)).await, "1357902468");
    let checked = service.check(&client, NUMBER, "1357902468").await.ok();
    assert_eq!(checked["status"], "approved");
}

#[tokio::test]
async fn a_service_that_looks_numbers_up_shows_their_kind() {
    let (server, service) = set_up(&[("LookupEnabled", "true"), ("CodeLength", "4")]).await;
    let client = server.client();
    for (number, kind) in [(NUMBER, json!("mobile")), ("+493012345678", json!("landline"))] {
        let created = service.send(&client, number, &[]).await.ok();
        assert_eq!(created["lookup"]["carrier"]["type"], kind, "{number}");
        assert_eq!(server.message_code(&sid(&created)).await.len(), 4);
    }
    let mail = service.send(&client, "ada@example.com", &[]).await.ok();
    assert_eq!(
        (&mail["lookup"], &mail["send_code_attempts"][0]["channel"]),
        (&json!({}), &json!("EMAIL"))
    );
}

#[tokio::test]
async fn the_owner_approves_and_cancels_by_number_and_by_sid() {
    let (server, service) = set_up(&[]).await;
    let client = server.client();
    for (status, valid) in [("approved", true), ("canceled", false)] {
        for by_number in [true, false] {
            let created = service.send(&client, NUMBER, &[]).await.ok();
            let name = if by_number {
                NUMBER.to_owned()
            } else {
                sid(&created)
            };
            let path = format!("{}/Verifications/{name}", service.path);
            client.post(&path, &[]).await.refused(400, 20001).naming("Status");
            client
                .post(&path, &[("Status", "expired")])
                .await
                .refused(400, 60200)
                .naming("Status");
            let updated = client.post(&path, &[("Status", status)]).await;
            assert_eq!(updated.status, 200);
            let updated = updated.ok();
            assert_eq!(
                (&updated["status"], &updated["valid"]),
                (&json!(status), &json!(valid))
            );
        }
    }
}

fn sender(name: &str, channels: &[Channel]) -> ConfiguredSender {
    ConfiguredSender {
        name: SenderName::parse(name).unwrap(),
        kind: SenderKind::Log,
        channels: channels.to_vec(),
        countries: None,
        messaging_service: None,
        price: None,
        sender: Arc::new(LogSender),
    }
}

async fn sending_by(channels: &[Channel]) -> TestApp {
    let codes = CodeSenders::new(vec![sender("only", channels)]);
    TestApp::sending(Senders {
        codes,
        ..Senders::default()
    })
    .await
}

/// `auto` asks the network silently where a sender can, and sends a text message elsewhere.
#[tokio::test]
async fn the_channel_is_chosen_by_what_senders_there_are() {
    async fn start(client: &Client<'_>, channel: &str) -> crate::support::Answer {
        let service = Service::create(client).await;
        let form = [("To", NUMBER), ("Channel", channel)];
        client
            .post(format!("{}/Verifications", service.path), &form)
            .await
    }
    let server = sending_by(&[Channel::Sms]).await;
    let client = server.client();
    assert_eq!(start(&client, "auto").await.ok()["channel"], "sms");
    for channel in ["call", "whatsapp", "rcs", "sna"] {
        start(&client, channel).await.refused(400, 60223).naming(channel);
    }
    let server = sending_by(&[Channel::Sms, Channel::Sna]).await;
    let silent = start(&server.client(), "auto").await.ok();
    assert_eq!(silent["channel"], "sna");
    let url = silent["sna"]["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{BASE}/v2/SilentAuth/")), "{url}");
    let path = silent["url"].as_str().unwrap().strip_prefix(BASE).unwrap();
    assert_eq!(
        server.client().get(path).await.ok()["sna"],
        Value::Null,
        "told once"
    );
    // Nobody has called the URL yet.
    let (service, sid) = path.split_once("/Verifications/").unwrap();
    let form = [("VerificationSid", sid)];
    let check = format!("{service}/VerificationCheck");
    let checked = server.client().post(check, &form).await.ok();
    let attempt = &silent["send_code_attempts"][0]["attempt_sid"];
    assert_eq!(checked["status"], "pending");
    let waits = serde_json::json!([{"attempt_sid": attempt, "code": 60519}]);
    assert_eq!(checked["sna_attempts_error_codes"], waits);
}

/// The error says which rate limit is reached and for how long, in the headers of the document.
#[tokio::test]
async fn a_rate_limit_that_is_reached_is_named() {
    let (server, service) = set_up(&[]).await;
    let client = server.client();
    let limits = format!("{}/RateLimits", service.path);
    let limit = client
        .post(&limits, &[("UniqueName", "address")])
        .await
        .text("sid");
    let form = [("Max", "1"), ("Interval", "60")];
    client.post(format!("{limits}/{limit}/Buckets"), &form).await.ok();
    let form = [("RateLimits", r#"{"address":"192.0.2.1"}"#)];
    service.send(&client, NUMBER, &form).await.ok();
    server.wait(20);
    let before = server.dump().await;
    let refused = service
        .send(&client, "+4915112345679", &form)
        .await
        .refused(429, 20429);
    assert_eq!(refused.headers["twilio-reached-rate-limit"], "address");
    assert_eq!(refused.retry_after(), 40);
    assert_eq!(server.dump().await, before);
    let form = [("RateLimits", r#"{"nobody":"x"}"#)];
    service
        .send(&client, NUMBER, &form)
        .await
        .refused(400, 60200)
        .naming("RateLimits");
}

/// A number in another spelling is the same number; an address in another case is the same address.
#[tokio::test]
async fn no_other_spelling_of_a_destination_has_a_code_of_its_own() {
    let (server, service) = set_up(&[]).await;
    let client = server.client();
    for spellings in [
        vec![NUMBER, "+49 151 12345678", " 4915112345678", "+49-151-1234 5678"],
        vec!["Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM"],
    ] {
        let first = service.send(&client, spellings[0], &[]).await.ok();
        let code = server.message_code(&sid(&first)).await;
        let mut wrong = 0;
        for spelling in &spellings {
            let again = service.send(&client, spelling, &[]).await.ok();
            assert_eq!(sid(&again), sid(&first), "{spelling}");
            service.check(&client, spelling, &another_code(&code)).await.ok();
            wrong += 1;
        }
        let counted = server.verification(&sid(&first)).await.codes[0].failures;
        assert_eq!(counted, wrong, "{spellings:?}");
    }
}

/// Whoever may have codes sent could otherwise write e-mails in anybody's name that the mail server sends for.
#[tokio::test]
async fn an_email_comes_from_where_the_operator_says_only() {
    let policy = Policy {
        email_from: vec![EmailAddress::parse("Codes@OwlBank.example").unwrap()],
        ..crate::doubles::policy()
    };
    let server = TestApp::with(new_store().await, policy).await;
    let client = server.client();
    let service = Service::create(&client).await;
    let send = async |from: &str| {
        let configuration = json!({"from": from}).to_string();
        let form = [("ChannelConfiguration", configuration.as_str())];
        service.send(&client, "ada@example.com", &form).await
    };
    let before = server.dump().await;
    for from in [
        "security@owlbank.example",
        "codes@owlbank.example.evil.example",
        "codes+x@owlbank.example",
    ] {
        send(from).await.refused(400, 60200).naming("codes.email_from");
    }
    assert_eq!(server.dump().await, before);
    send("codes@owlbank.example").await.ok();
}
