//! One account in another's things, and one device in anything but its own.

use crate::support::TestApp;
use crate::support::operations::{Audience, Everything, samples};
use crate::support::world::sid_of;

#[tokio::test]
async fn no_operation_reaches_another_accounts_things() {
    let server = TestApp::new().await;
    let stranger = server.another_account().await;
    let own = server.client();
    let all = Everything::create(&server, &own).await;
    let theirs = server.client_of(&stranger);
    let before = server.dump().await;
    for sample in samples() {
        let path = sample.operation.path;
        let own = [
            "/v2/Services",
            "/v1/Credentials",
            "/v2/SafeList/Numbers",
            "/v2/Attempts",
            "/v2/Attempts/Summary",
            "/v2/Templates",
        ];
        if own.contains(&path) || path.contains("Form") {
            continue;
        }
        let refused = sample.send(&theirs, &all).await;
        assert_eq!(
            (refused.status, refused.code()),
            (404, 20404),
            "{:?}",
            sample.operation
        );
        assert_eq!(server.dump().await, before, "{:?}", sample.operation);
    }
    for (path, key) in [("/v2/Services", "services"), ("/v1/Credentials", "credentials")] {
        assert_eq!(theirs.get(path).await.ok()[key].as_array().unwrap().len(), 0);
    }
}

/// The same table with good credentials: each sample is one that would work.
#[tokio::test]
async fn every_operation_works_for_its_owner_and_the_owners_keys() {
    for sample in samples() {
        let server = TestApp::new().await;
        let key = server.api_key().await;
        let all = Everything::create(&server, &server.client()).await;
        let answer = sample.send(&server.client_of(&key), &all).await;
        if sample.operation.path.ends_with("Notifications") {
            answer.refused(400, 60307);
        } else {
            answer.ok();
        }
    }
}

/// A device is one factor: its own, and that factor's challenges. Everything else is refused, whether it exists or not.
#[tokio::test]
async fn a_device_reaches_its_own_factor_and_challenges_and_nothing_else() {
    let server = TestApp::new().await;
    let client = server.client();
    let stranger = server.another_account().await;
    let all = Everything::create(&server, &client).await;
    let second_service = Everything::create(&server, &client).await;
    let abroad = Everything::create(&server, &server.client_of(&stranger)).await;
    let mut neighbours = all.clone();
    neighbours.user = all.user.service.user("user-0002");
    neighbours.device = neighbours.user.device(&server, &client).await;
    neighbours.challenge = neighbours.user.push_challenge(&client, &neighbours.device).await;
    let mut sibling = all.clone();
    sibling.device = all.user.device(&server, &client).await;
    sibling.challenge = all.user.push_challenge(&client, &sibling.device).await;
    let mut made_up = all.clone();
    "YF0123456789abcdef0123456789abcdef".clone_into(&mut made_up.device.factor);
    made_up.challenge = format!("{}/Challenges/YC0123456789abcdef0123456789abcdef", all.user.path);

    let before = server.dump().await;
    for sample in samples() {
        let operation = sample.operation;
        let within = sample.audience == Audience::AccountsAndDevices;
        let everywhere = [&all, &second_service, &abroad, &neighbours, &sibling, &made_up];
        for (nth, target) in everywhere.into_iter().enumerate() {
            if nth == 0 && within {
                continue;
            }
            let answer = sample.send(&all.device.on(&server), target).await;
            // In its own entity the list is its own, and other factors' challenges do not exist.
            let own_entity = nth >= 4;
            let expected = match operation.path.rsplit('/').next() {
                Some("Challenges") if own_entity && within => 200,
                // All devices of a service may see what it is called.
                Some("{ServiceSid}") if nth >= 3 && within => 200,
                Some("{ChallengeSid}") if own_entity && within => 404,
                _ => 403,
            };
            assert_eq!(answer.status, expected, "{operation:?} {nth}: {}", answer.body);
        }
        assert_eq!(server.dump().await, before, "{operation:?}");
    }
    let listed = all
        .device
        .on(&server)
        .get(format!("{}/Challenges", all.user.path))
        .await
        .ok();
    let listed: Vec<_> = listed["challenges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["sid"].clone())
        .collect();
    assert_eq!(listed, [sid_of(&all.challenge)]);
    let others = format!("{}/Challenges?FactorSid={}", all.user.path, sibling.device.factor);
    all.device.on(&server).get(others).await.refused(403, 20403);
}

/// What it may do, it can.
#[tokio::test]
async fn a_device_lists_answers_renames_and_deletes_itself() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let device = &all.device;
    let token = "n".repeat(64);
    let form = [
        ("FriendlyName", "Renamed"),
        ("Config.AppId", "com.owlbank.app"),
        ("Config.SdkVersion", "1.0"),
        ("Config.NotificationPlatform", "apn"),
        ("Config.NotificationToken", token.as_str()),
    ];
    let updated = device.on(&server).post(device.path(), &form).await.ok();
    assert_eq!(updated["config"]["notification_token"], token.as_str());
    assert_eq!(updated["config"]["credential_sid"], device.credential.as_str());
    device.answer(&server, &all.challenge, "denied").await.ok();
    device.on(&server).delete(device.path()).await.ok();
    device.on(&server).get(device.path()).await.refused(401, 20003);
    client.get(device.path()).await.refused(404, 20404);
}
