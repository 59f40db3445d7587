//! What a device signs answers one challenge, once, as it was shown.

use std::time::Duration;

use countersign::domain::events::OutboxMessage;
use serde_json::{Value, json};

use crate::support::world::{answer, sid_of};
use crate::support::{Interleaved, Service, TestApp, User, all_at_once};

#[tokio::test]
async fn an_approval_of_one_challenge_is_none_of_another() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let (user, other) = (service.user("user-0001"), service.user("user-0002"));
    let elsewhere = Service::create(&client).await.user("user-0001");
    let stranger = server.another_account().await;
    let abroad = Service::create(&server.client_of(&stranger))
        .await
        .user("user-0001");

    let device = user.device(&server, &client).await;
    let signed = device
        .signed(&server, &user.push_challenge(&client, &device).await, "approved")
        .await;
    // The same user's other device, another user, the same identity in another service and in another account, and
    // the same device's next challenge.
    for (user, owner) in [
        (&user, &server.account),
        (&other, &server.account),
        (&elsewhere, &server.account),
        (&abroad, &stranger),
    ] {
        let owner = server.client_of(owner);
        let theirs = user.device(&server, &owner).await;
        let challenge = user.push_challenge(&owner, &theirs).await;
        let before = server.dump().await;
        answer(&theirs.on(&server), &challenge, &signed)
            .await
            .refused(403, 60324);
        answer(&owner, &challenge, &signed).await.refused(403, 60324);
        assert!([403, 404].contains(&answer(&device.on(&server), &challenge, &signed).await.status));
        assert_eq!(server.dump().await, before);
    }
    let next = user.push_challenge(&client, &device).await;
    answer(&device.on(&server), &next, &signed)
        .await
        .refused(403, 60324);
    assert_eq!(
        device.answer(&server, &next, "approved").await.ok()["status"],
        "approved"
    );
}

#[tokio::test]
async fn the_same_key_in_two_entities_answers_for_each_alone() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let (user, other) = (service.user("user-0001"), service.user("user-0002"));
    let mine = user.device(&server, &client).await;
    let mut twin = mine.clone();
    twin.enrol(&client, &other.path).await.ok();
    twin.verify(&server).await.ok();
    let (challenge, theirs) = (
        user.push_challenge(&client, &mine).await,
        other.push_challenge(&client, &twin).await,
    );
    let signed = mine.signed(&server, &challenge, "approved").await;
    answer(&twin.on(&server), &theirs, &signed)
        .await
        .refused(403, 60324);
    answer(&twin.on(&server), &challenge, &signed)
        .await
        .refused(403, 20403);
    mine.on(&server).get(&theirs).await.refused(403, 20403);
    answer(&mine.on(&server), &challenge, &signed).await.ok();
}

/// What was shown is what was approved ("what you see is what you sign").
#[tokio::test]
async fn every_member_that_has_to_be_signed_counts() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let form = [
        ("FactorSid", device.factor.as_str()),
        ("Details.Message", "Pay 10 € to Ada?"),
        ("Details.Fields", r#"{"label":"Amount","value":"10"}"#),
        ("Details.Fields", r#"{"label":"To","value":"Ada"}"#),
        ("HiddenDetails", r#"{"ip":"192.0.2.1","risk":"low"}"#),
    ];
    let created = client.post(format!("{}/Challenges", user.path), &form).await;
    let challenge = format!("{}/Challenges/{}", user.path, created.text("sid"));
    let honest = device.payload(&server, &challenge, "approved").await;
    let header = json!({"typ": "JWT", "alg": "ES256"});
    let before = server.dump().await;
    let refuse = async |payload: Value, why: &str| {
        let signed = device.jws(&header, &payload);
        let refused = answer(&device.on(&server), &challenge, &signed).await;
        assert_eq!((refused.status, refused.code()), (403, 60324), "{why}");
    };
    for name in honest.keys() {
        let mut missing = honest.clone();
        missing.shift_remove(name);
        refuse(missing.into(), name).await;
        for other in [Value::Null, json!("x"), json!({}), json!([])] {
            let mut changed = honest.clone();
            changed[name] = other;
            refuse(changed.into(), name).await;
        }
    }
    let changed = |change: fn(&mut Value)| {
        let mut payload = Value::from(honest.clone());
        change(&mut payload);
        payload
    };
    refuse(
        changed(|p| p["details"]["message"] = "Pay 1000 € to Ada?".into()),
        "message",
    )
    .await;
    refuse(
        changed(|p| p["details"]["fields"][0]["value"] = "1000".into()),
        "value",
    )
    .await;
    refuse(
        changed(|p| p["details"]["fields"].as_array_mut().unwrap().reverse()),
        "order of fields",
    )
    .await;
    refuse(
        changed(|p| p["details"]["fields"][0]["more"] = "x".into()),
        "more in a field",
    )
    .await;
    refuse(
        changed(|p| p["details"]["date"] = Value::Null),
        "a date that is not there",
    )
    .await;
    refuse(changed(|p| p["hidden_details"]["risk"] = "high".into()), "hidden").await;
    refuse(
        changed(|p| p["hidden_details"]["more"] = "x".into()),
        "more that is hidden",
    )
    .await;
    for status in ["pending", "expired", "Approved", "approved ", ""] {
        let mut payload = honest.clone();
        payload["status"] = status.into();
        refuse(payload.into(), status).await;
    }
    assert_eq!(server.dump().await, before);
    // The SDKs order members in their own ways.
    let mut reversed: Vec<_> = honest.into_iter().collect();
    reversed.reverse();
    let signed = device.jws(&header, &Value::Object(reversed.into_iter().collect()));
    assert_eq!(
        answer(&device.on(&server), &challenge, &signed).await.ok()["status"],
        "approved"
    );
}

#[tokio::test]
async fn an_answer_is_final() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    for (first, second) in [("approved", "denied"), ("denied", "approved")] {
        let challenge = user.push_challenge(&client, &device).await;
        let (first_signed, second_signed) = (
            device.signed(&server, &challenge, first).await,
            device.signed(&server, &challenge, second).await,
        );
        assert_eq!(
            answer(&device.on(&server), &challenge, &first_signed).await.ok()["status"],
            first
        );
        let before = server.dump().await;
        for late in [&second_signed, &first_signed] {
            answer(&device.on(&server), &challenge, late)
                .await
                .refused(403, 60322);
        }
        let metadata = [("Metadata", r#"{"late":"yes"}"#)];
        device
            .on(&server)
            .post(&challenge, &metadata)
            .await
            .refused(403, 60322);
        server.wait(3600);
        answer(&device.on(&server), &challenge, &second_signed)
            .await
            .refused(403, 60322);
        assert_eq!(server.dump().await, before);
        assert_eq!(client.get(&challenge).await.ok()["status"], first);
    }
}

/// Approved, denied, expired and deleted at once: one of them becomes true, and what others are told agrees with it.
#[tokio::test]
async fn a_challenge_gets_one_final_status_whatever_happens_at_once() {
    let server = TestApp::on(Interleaved::store()).await;
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
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..60 {
        let device = user.device(&server, &client).await;
        let challenge = user.push_challenge(&client, &device).await;
        let approval = device.signed(&server, &challenge, "approved").await;
        let denial = device.signed(&server, &challenge, "denied").await;
        let send = |signed: &String| {
            let task = device.on(&server).posting(&challenge, &[("AuthPayload", signed)]);
            async move { Some(task.await) }
        };
        let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = _> + Send>>> = Vec::new();
        // Who comes first on the threads changes from round to round.
        for turn in 0..6 {
            tasks.push(Box::pin(send(if (turn + round) % 2 == 0 {
                &approval
            } else {
                &denial
            })));
        }
        if round % 3 == 1 {
            let clock = server.clock.clone();
            let expire = Box::pin(async move {
                clock.advance(Duration::from_mins(5));
                None
            });
            tasks.insert(round % 6, expire);
        } else if round % 3 == 2 {
            let (server, path) = (server.clone(), device.path());
            let delete = Box::pin(async move {
                server.client().delete(path).await.ok();
                None
            });
            tasks.insert(round % 6, delete);
        }
        let answers: Vec<_> = all_at_once(tasks).await.into_iter().flatten().collect();
        let said: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert!(said.len() <= 1);
        let status = client.get(&challenge).await.text("status");
        match said.first() {
            Some(answer) => assert_eq!(answer.body["status"], status.as_str()),
            None => assert!(["expired", "pending"].contains(&status.as_str()), "{status}"),
        }
        let told = events_of(&server, sid_of(&challenge)).await;
        assert_eq!(told.len(), said.len());
        assert!(
            told.iter().all(|name| *name == format!("challenge.{status}")),
            "{told:?} {status}"
        );
        for late in [&approval, &denial] {
            assert!([401, 403].contains(&answer(&device.on(&server), &challenge, late).await.status));
        }
        let finally = client.get(&challenge).await.text("status");
        assert_eq!(finally, status);
        client.delete(device.path()).await;
        seen.insert(status);
    }
    assert!(seen.contains("approved") && seen.contains("denied"), "{seen:?}");
}

async fn events_of(server: &TestApp, challenge: &str) -> Vec<&'static str> {
    let rows = server
        .outbox()
        .await
        .into_iter()
        .filter_map(|row| match row.message {
            OutboxMessage::Webhook { event, .. } => Some(event),
            OutboxMessage::Blocked { .. }
            | OutboxMessage::Code(_)
            | OutboxMessage::Notice { .. }
            | OutboxMessage::Push { .. } => None,
        });
    rows.filter(|event| event.challenge.is_some_and(|sid| sid.to_string() == challenge))
        .map(|event| event.event_type.name())
        .collect()
}

/// A challenge as large as may be asked can be answered.
#[tokio::test]
async fn the_largest_challenge_can_be_answered() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let message = "\u{1f600}".repeat(256);
    let field = json!({"label": "\u{1f600}".repeat(36), "value": "\u{1f600}".repeat(128)}).to_string();
    let hidden = json!({"a": "\u{1f600}".repeat(1016)}).to_string();
    let mut form = vec![
        ("FactorSid", device.factor.as_str()),
        ("Details.Message", &message),
        ("HiddenDetails", &hidden),
    ];
    form.extend([("Details.Fields", field.as_str()); 20]);
    let created = client.post(format!("{}/Challenges", user.path), &form).await;
    let challenge = format!("{}/Challenges/{}", user.path, created.text("sid"));
    assert_eq!(
        device.answer(&server, &challenge, "approved").await.ok()["status"],
        "approved"
    );
}
