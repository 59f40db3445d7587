//! What Twilio's SDKs and its description have beside the usual: signatures in headers, capitals, numbers, a device's service.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;

use crate::support::{Answer, Client, Device, Service, TestApp, User};

const OF_CHALLENGE: &str = "Twilio-Verify-Challenge-Signature";
const OF_FACTOR: &str = "Twilio-Verify-Factor-Signature";

/// A form with a header beside it.
async fn post(server: &TestApp, client: &Client<'_>, path: &str, header: (&str, &str), body: &str) -> Answer {
    let request = client
        .begin("POST", path)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header.0, header.1);
    server
        .send(request.body(Body::from(body.to_owned())).unwrap())
        .await
}

#[tokio::test]
async fn a_factor_is_verified_by_a_signature_in_a_header() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let mut device = Device::new();
    device.enrol(&client, &user.path).await.ok();
    let proof = device.proof(&device.factor);
    let own = device.on(&server);
    let path = device.path();
    let thiefs = device.imitated().proof(&device.factor);
    post(&server, &own, &path, (OF_FACTOR, &thiefs), "")
        .await
        .refused(403, 60311);
    let nothing = post(&server, &own, &path, (OF_CHALLENGE, &proof), "FriendlyName=Phone")
        .await
        .ok();
    assert_eq!(nothing["status"], "unverified", "it is the other route's header");
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("AuthPayload", &thiefs)
        .finish();
    let both = post(&server, &own, &path, (OF_FACTOR, &proof), &body).await;
    both.refused(400, 60306).naming("AuthPayload");
    let verified = post(&server, &own, &path, (OF_FACTOR, &proof), "AuthPayload=")
        .await
        .ok();
    assert_eq!(verified["status"], "verified");
}

#[tokio::test]
async fn a_challenge_is_answered_by_a_signature_in_a_header() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let challenge = user.push_challenge(&client, &device).await;
    let signed = device.signed(&server, &challenge, "approved").await;
    let own = device.on(&server);
    let altered = format!("{}A", &signed[..signed.len() - 1]);
    if altered != signed {
        post(&server, &own, &challenge, (OF_CHALLENGE, &altered), "")
            .await
            .refused(403, 60324);
    }
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("AuthPayload", "x")
        .finish();
    post(&server, &own, &challenge, (OF_CHALLENGE, &signed), &body)
        .await
        .refused(400, 60306);
    let approved = post(&server, &own, &challenge, (OF_CHALLENGE, &signed), "")
        .await
        .ok();
    assert_eq!(approved["status"], "approved");
}

#[tokio::test]
async fn a_hash_may_be_written_in_capitals() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    for (written, read) in [
        ("SHA256", "sha256"),
        ("Sha512", "sha512"),
        ("SHA1", "sha1"),
        ("sha1", "sha1"),
    ] {
        let form = [
            ("FriendlyName", "App"),
            ("FactorType", "totp"),
            ("Config.Alg", written),
        ];
        let factor = client.post(format!("{}/Factors", user.path), &form).await.ok();
        assert_eq!(factor["config"]["alg"], read);
    }
    let form = [
        ("FriendlyName", "App"),
        ("FactorType", "totp"),
        ("Config.Alg", "SHA-256"),
    ];
    client
        .post(format!("{}/Factors", user.path), &form)
        .await
        .refused(400, 60306)
        .naming("Config.Alg");
}

#[tokio::test]
async fn what_rate_limits_count_may_be_whole_numbers() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let limits = format!("{}/RateLimits", service.path);
    let limit = client.post(&limits, &[("UniqueName", "user")]).await.text("sid");
    let form = [("Max", "1"), ("Interval", "60")];
    client.post(format!("{limits}/{limit}/Buckets"), &form).await.ok();
    let send =
        async |number: &str, limits: &str| service.send(&client, number, &[("RateLimits", limits)]).await;
    send("+4915112345670", r#"{"user":4711}"#).await.ok();
    send("+4915112345671", r#"{"user":"4711"}"#)
        .await
        .refused(429, 20429);
    send("+4915112345671", r#"{"user":4712}"#).await.ok();
    send("+4915112345672", r#"{"user":18446744073709551615}"#)
        .await
        .ok();
    for bad in [
        r#"{"user":1.5}"#,
        r#"{"user":1e25}"#,
        r#"{"user":true}"#,
        r#"{"user":null}"#,
        r#"{"user":[1]}"#,
        "4711",
    ] {
        send("+4915112345673", bad)
            .await
            .refused(400, 60200)
            .naming("RateLimits");
    }
}

#[tokio::test]
async fn a_device_sees_its_own_service() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let own = device.on(&server);
    let seen = own.get(&user.service.path).await.ok();
    assert_eq!(seen, client.get(&user.service.path).await.ok());
    let other = Service::create(&client).await;
    own.get(&other.path).await.refused(403, 20403);
    own.get("/v2/Services/VA0123456789abcdef0123456789abcdef")
        .await
        .refused(403, 20403);
    own.post(&user.service.path, &[("FriendlyName", "Mine")])
        .await
        .refused(403, 20403);
    own.delete(&user.service.path).await.refused(403, 20403);
}
