//! Number matching: who approves has seen the login page, whatever else is set or tried.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tokio::runtime::Builder;

use crate::support::stores::fewer_on_postgres;
use crate::support::world::{NumberChallenge, answer};
use crate::support::{Answer, Device, Service, TestApp, User};

async fn create(server: &TestApp, user: &User, device: &Device, more: &[(&str, &str)]) -> Answer {
    let form = [
        ("FactorSid", device.factor.as_str()),
        ("Details.Message", "Log in?"),
    ];
    let path = format!("{}/Challenges", user.path);
    server.client().post(path, &[&form, more].concat()).await
}

/// The larger wish counts: a challenge can ask for more, never for less than the service demands.
#[tokio::test]
async fn the_service_or_the_challenge_asks_and_the_longer_number_counts() {
    let server = TestApp::new().await;
    let client = server.client();
    for (service, challenge, digits) in [
        ("", "", 0),
        ("0", "0", 0),
        ("", "2", 2),
        ("0", "3", 3),
        ("2", "", 2),
        ("2", "0", 2),
        ("2", "3", 3),
        ("3", "2", 3),
        ("3", "0", 3),
    ] {
        let settings = [("Push.NumberMatching", service)];
        let user = Service::create_with(&client, &settings).await.user("user-0001");
        let wanted = service.parse().unwrap_or(0);
        assert_eq!(
            client.get(&user.service.path).await.ok()["push"]["number_matching"],
            wanted
        );
        let device = user.device(&server, &client).await;
        let created = create(&server, &user, &device, &[("Details.NumberMatching", challenge)]).await;
        let created = created.ok();
        let shown = &created["number_matching"];
        let context = format!("{service:?} {challenge:?}");
        if digits == 0 {
            assert!(
                !created.as_object().unwrap().contains_key("number_matching"),
                "{context}"
            );
            continue;
        }
        let number = shown["number"].as_str().unwrap();
        assert_eq!(
            (&shown["digits"], number.len()),
            (&json!(digits), digits),
            "{context}"
        );
        assert!(number.bytes().all(|byte| byte.is_ascii_digit()), "{context}");
    }
}

#[tokio::test]
async fn other_wishes_are_refused_and_totp_has_no_numbers() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create_with(&client, &[("Push.NumberMatching", "2")]).await;
    let user = service.user("user-0001");
    let (device, totp) = (
        user.device(&server, &client).await,
        user.totp(&server, &client).await,
    );
    let before = server.dump().await;
    for bad in ["1", "4", "02x", "-2", "two", "2.0", "256", "true", " 2"] {
        create(&server, &user, &device, &[("Details.NumberMatching", bad)])
            .await
            .refused(400, 60306)
            .naming("Details.NumberMatching");
        client
            .post(&service.path, &[("Push.NumberMatching", bad)])
            .await
            .refused(400, 60200)
            .naming("Push.NumberMatching");
    }
    for digits in ["2", "3"] {
        let form = [
            ("FactorSid", totp.sid.as_str()),
            ("AuthPayload", &totp.app.code(&server)),
            ("Details.NumberMatching", digits),
        ];
        client.post(&totp.challenges, &form).await.refused(400, 60306);
    }
    assert_eq!(server.dump().await, before);
    let coded = totp.check(&client, &totp.app.code(&server)).await.ok();
    assert_eq!(coded["status"], "approved");
    assert!(!coded.as_object().unwrap().contains_key("number_matching"));
}

/// Only the backend that created the challenge is told the number; neither the device nor a later request is, nor an event.
#[tokio::test]
async fn the_number_is_shown_once() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let hook = [
        ("FriendlyName", "x"),
        ("EventTypes", "*"),
        ("WebhookUrl", "https://x.example"),
    ];
    client
        .post(format!("{}/Webhooks", user.service.path), &hook)
        .await
        .ok();
    let device = user.device(&server, &client).await;
    let challenge = user.number_challenge(&client, &device, "3").await;
    let plain = user.push_challenge(&client, &device).await;
    let hidden = |shown: &Value| assert_eq!(shown["number_matching"], json!({"digits": 3}));
    for reader in [&client, &device.on(&server)] {
        let fetched = reader.get(&challenge.path).await;
        let fields = fetched.headers["twilio-verify-signature-fields"]
            .to_str()
            .unwrap();
        assert!(!fields.contains("number"), "{fields}");
        hidden(&fetched.body);
        let listed = reader.get(format!("{}/Challenges", user.path)).await.ok();
        hidden(&listed["challenges"][0]);
        assert!(reader.get(&plain).await.ok().get("number_matching").is_none());
    }
    let metadata = [("Metadata", r#"{"os":"Android"}"#)];
    hidden(&device.on(&server).post(&challenge.path, &metadata).await.ok());
    let approved = device
        .approve_with(&server, &challenge.path, &challenge.number)
        .await
        .ok();
    assert_eq!(approved["status"], "approved");
    hidden(&approved);
    let told = format!("{:?}", server.outbox().await);
    assert!(!told.contains(&format!("{:?}", challenge.number)), "{told}");
}

/// Every way to say yes that is not the right number, with whatever else is set.
#[tokio::test]
async fn no_way_of_approving_goes_round_the_number() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    for platform in ["none", "fcm"] {
        let user = service.user(&format!("user-{platform}-1"));
        let (device, second) = (
            user.device(&server, &client).await,
            user.device(&server, &client).await,
        );
        let totp = user.totp(&server, &client).await;
        let token = "n".repeat(64);
        let form = [
            ("Config.NotificationPlatform", platform),
            ("Config.NotificationToken", token.as_str()),
        ];
        device.on(&server).post(device.path(), &form).await.ok();
        let NumberChallenge { path, number } = user.number_challenge(&client, &device, "2").await;
        // Nothing that is changed afterwards takes it back.
        client
            .post(&service.path, &[("Push.NumberMatching", "0")])
            .await
            .ok();
        client
            .post(device.path(), &[("FriendlyName", "Renamed")])
            .await
            .ok();
        device.verify(&server).await.ok();
        totp.check(&client, &totp.app.code(&server)).await.ok();
        let other = user.push_challenge(&client, &second).await;
        second.answer(&server, &other, "approved").await.ok();

        let honest = device.payload(&server, &path, "approved").await;
        let ways = wrong_ways(&device, &honest, &number);
        let before = server.dump().await;
        for (way, signed) in &ways {
            for sender in [&device.on(&server), &client] {
                for more in [&[][..], &[("Metadata", r#"{"a":"b"}"#)]] {
                    let form = [&[("AuthPayload", signed.as_str())], more].concat();
                    let refused = sender.post(&path, &form).await;
                    assert_eq!((refused.status, refused.code()), (403, 60324), "{way}");
                }
            }
            assert_eq!(server.dump().await, before, "{way}");
        }
        let said = answer(&client, &path, &ways[0].1).await.refused(403, 60324);
        said.naming("number");
        answer(&client, &path, &number).await.refused(403, 60324);
        answer(&client, &path, &totp.app.code(&server))
            .await
            .refused(403, 60324);
        assert_eq!(server.dump().await, before);
        assert_eq!(
            device.approve_with(&server, &path, &number).await.ok()["status"],
            "approved"
        );
    }
}

/// What a device could sign to approve a challenge that asks for `number`, all but the right thing; `honest` lacks the
/// number only.
fn wrong_ways(device: &Device, honest: &Map<String, Value>, number: &str) -> Vec<(&'static str, String)> {
    let header = json!({"typ": "JWT", "alg": "ES256"});
    let with = |claims: &[(&str, Value)]| {
        let mut payload = honest.clone();
        for (claim, value) in claims {
            payload.insert((*claim).to_owned(), value.clone());
        }
        device.jws(&header, &payload.into())
    };
    let mut nested = honest.clone();
    nested["details"]["number"] = json!(number);
    let mut twice = Value::from(honest.clone()).to_string();
    twice.truncate(twice.len() - 1);
    vec![
        ("an app that knows nothing of numbers", with(&[])),
        (
            "no text",
            with(&[("number", json!(number.parse::<u32>().unwrap()))]),
        ),
        ("null", with(&[("number", Value::Null)])),
        ("a list of it", with(&[("number", json!([number]))])),
        ("nothing typed", with(&[("number", json!(""))])),
        ("too few digits", with(&[("number", json!(number[1..]))])),
        (
            "too many digits",
            with(&[("number", json!(format!("0{number}")))]),
        ),
        ("a sign", with(&[("number", json!(format!("+{number}")))])),
        ("letters", with(&[("number", json!("4x"))])),
        ("another claim's name", with(&[("Number", json!(number))])),
        (
            "beside the claim",
            with(&[("number", json!(number)), ("more", json!(1))]),
        ),
        (
            "with a reason",
            with(&[("number", json!(number)), ("reason", json!("not_me"))]),
        ),
        (
            "number matching as a field",
            with(&[("number_matching", json!({"digits": 0}))]),
        ),
        ("inside of details", device.jws(&header, &nested.into())),
        (
            "twice",
            device.jws_of(
                &header.to_string(),
                &format!(r#"{twice},"number":"{number}","number":"{number}"}}"#),
            ),
        ),
        ("by another key", {
            let mut payload = honest.clone();
            payload.insert("number".to_owned(), json!(number));
            device.imitated().jws(&header, &payload.into())
        }),
    ]
}

/// What is signed for one challenge with its number is none of the next.
#[tokio::test]
async fn the_number_of_another_challenge_is_no_use() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let first = user.number_challenge(&client, &device, "3").await;
    let second = loop {
        let second = user.number_challenge(&client, &device, "3").await;
        if second.number != first.number {
            break second;
        }
        device.answer(&server, &second.path, "denied").await.ok();
    };
    let signed = device
        .signed_with(&server, &first.path, "approved", ("number", json!(first.number)))
        .await;
    answer(&device.on(&server), &second.path, &signed)
        .await
        .refused(403, 60324);
    let denied = device
        .approve_with(&server, &second.path, &first.number)
        .await
        .ok();
    assert_eq!(
        (&denied["status"], &denied["deny_reason"]),
        (&json!("denied"), &json!("wrong_number"))
    );
    assert_eq!(
        answer(&device.on(&server), &first.path, &signed).await.ok()["status"],
        "approved"
    );
}

#[tokio::test]
async fn a_challenge_without_a_number_takes_no_number_and_a_denial_needs_none() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let plain = user.push_challenge(&client, &device).await;
    let asking = user.number_challenge(&client, &device, "2").await;
    let before = server.dump().await;
    device
        .approve_with(&server, &plain, "47")
        .await
        .refused(403, 60324);
    let denial = device
        .signed_with(&server, &asking.path, "denied", ("number", json!(asking.number)))
        .await;
    answer(&device.on(&server), &asking.path, &denial)
        .await
        .refused(403, 60324);
    assert_eq!(server.dump().await, before);
    let denied = device.answer(&server, &asking.path, "denied").await.ok();
    assert_eq!(denied["status"], "denied");
    assert!(denied.get("deny_reason").is_none());
    assert_eq!(
        device.answer(&server, &plain, "approved").await.ok()["status"],
        "approved"
    );
}

/// What an app may put where the number belongs; `None` stands for the right one.
fn claim() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        1 => Just(None),
        2 => "[0-9]{2,3}".prop_map(|digits| Some(json!(digits))),
        2 => "\\PC{0,4}".prop_map(|text| Some(json!(text))),
        1 => (0_u16..1000).prop_map(|number| Some(json!(number))),
        1 => prop_oneof![Just(json!(null)), Just(json!(true)), Just(json!({})), Just(json!([]))].prop_map(Some),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: fewer_on_postgres(150), failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever an honest device's key signs, a challenge that asks for a number is approved by it and nothing else.
    #[test]
    fn no_signed_payload_without_the_right_number_is_ever_approved(
        digits in prop_oneof![Just("2"), Just("3")],
        number in claim(),
        more in proptest::option::of(("[a-z_]{1,15}", claim())),
        status in prop_oneof![4 => Just("approved"), 1 => Just("denied"), 1 => Just("Approved")],
    ) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = TestApp::new().await;
            let client = server.client();
            let user = User::create(&client).await;
            let device = user.device(&server, &client).await;
            let asked = user.number_challenge(&client, &device, digits).await;
            let mut payload = device.payload(&server, &asked.path, status).await;
            let right = json!(asked.number);
            let mut honest = payload.clone();
            honest.insert("number".to_owned(), right.clone());
            payload.insert("number".to_owned(), number.unwrap_or_else(|| right.clone()));
            if let Some((name, value)) = more {
                payload.insert(name, value.unwrap_or_else(|| right.clone()));
            }
            let is_honest = payload == honest && status == "approved";
            let signed = device.jws(&json!({"typ": "JWT", "alg": "ES256"}), &payload.into());
            answer(&device.on(&server), &asked.path, &signed).await;
            let approved = client.get(&asked.path).await.ok()["status"] == "approved";
            assert_eq!(approved, is_honest);
        });
    }
}
