//! Twilio's own description of the API, operation by operation: see `support::contract`, to which every answer is held.

use crate::support::operations::{Everything, samples};
use crate::support::{Answer, TestApp, contract};

/// What is not spoken; the description has four operations of it.
const PASSKEYS: &str = "/Passkeys/";

#[tokio::test]
async fn every_operation_answers_with_every_status_that_it_declares() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let (deletions, others): (Vec<_>, Vec<_>) = samples()
        .into_iter()
        .partition(|sample| sample.operation.method == "DELETE");
    for sample in &others {
        sample.send(&client, &all).await;
    }
    // The sample's device has nothing that could be woken.
    let token = "t".repeat(40);
    let platform = [
        ("Config.NotificationPlatform", "fcm"),
        ("Config.NotificationToken", token.as_str()),
    ];
    client.post(all.device.path(), &platform).await.ok();
    let challenge = all.user.push_challenge(&client, &all.device).await;
    client.post(format!("{challenge}/Notifications"), &[]).await.ok();
    all.totp.check(&client, &all.totp.app.code(&server)).await.ok();
    let service = &all.user.service;
    for _ in 0..5 {
        service.send(&client, "+4915112345678", &[]).await.ok();
    }
    // Most probably wrong, which is a success, too.
    service.check(&client, "+4915112345678", "000000").await.ok();
    service
        .send(&client, "+4915112345678", &[])
        .await
        .refused(429, 60203);
    // What is deeper goes first.
    let depth = |path: &str| path.matches('/').count();
    let mut deletions = deletions;
    deletions.sort_by_key(|sample| std::cmp::Reverse(depth(sample.operation.path)));
    for sample in &deletions {
        sample.send(&client, &all).await;
    }

    let met = server.met();
    for (operation, statuses) in contract::declared() {
        if operation.contains(PASSKEYS) {
            continue;
        }
        let is_met = |status: &u16| met.contains(&(operation, *status));
        let (successes, errors): (Vec<_>, Vec<_>) = statuses.iter().partition(|status| **status < 400);
        // Two operations declare 200 and 201 for one and the same: either of them is an answer.
        assert!(
            successes.into_iter().any(is_met),
            "{operation} never succeeded: {met:?}"
        );
        assert!(errors.into_iter().all(is_met), "{operation}: {met:?}");
    }
}

#[tokio::test]
async fn what_is_not_spoken_is_not_found() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = crate::support::Service::create(&client).await;
    for (operation, _) in contract::declared().filter(|(operation, _)| operation.contains(PASSKEYS)) {
        let (method, path) = operation.split_once(' ').unwrap();
        let path = path.replace("{ServiceSid}", &service.sid);
        client.request(method, &path, &[]).await.refused(404, 20404);
    }
}

/// A wait of more than five seconds is told in the body and in a header that no HTTP client obeys unasked.
#[tokio::test]
async fn callers_are_put_to_sleep_for_short_waits_only() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = crate::support::Service::create(&client).await;
    let limits = format!("{}/RateLimits", service.path);
    let limit = client.post(&limits, &[("UniqueName", "ip")]).await.text("sid");
    let form = [("Max", "1"), ("Interval", "60")];
    client.post(format!("{limits}/{limit}/Buckets"), &form).await.ok();
    let send = async |number: &str| {
        let form = [("RateLimits", r#"{"ip":"192.0.2.7"}"#)];
        service.send(&client, number, &form).await
    };
    send("+4915112345670").await.ok();
    let slept = |answer: &Answer| {
        let wait = answer.headers.get("retry-after");
        wait.map(|wait| wait.to_str().unwrap().to_owned())
    };
    for (after, wait, sleep) in [(0, 60, None), (54, 6, None), (1, 5, Some("5")), (4, 1, Some("1"))] {
        server.wait(after);
        let refused = send("+4915112345671").await.refused(429, 20429);
        assert_eq!(refused.retry_after(), wait);
        assert_eq!(slept(&refused).as_deref(), sleep, "a wait of {wait}");
        assert_eq!(refused.headers["twilio-reached-rate-limit"], "ip");
    }
    server.wait(1);
    send("+4915112345671").await.ok();
}
