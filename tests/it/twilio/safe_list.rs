//! The safe list: one entry for each number, of the account and of nobody else.

use serde_json::json;

use crate::support::app::BASE;
use crate::support::{Interleaved, TestApp, all_at_once};
use countersign::domain::phone::PhoneNumber;
use countersign::flows::reading::Reading;
use countersign::flows::safe_list;

const PATH: &str = "/v2/SafeList/Numbers";
const NUMBER: &str = "+15125550123";

async fn knows(server: &TestApp, account: &str, number: &str) -> bool {
    let number = PhoneNumber::parse(number, None).unwrap();
    let mut reading = Reading::new(&server.app);
    safe_list::contains(&mut reading, account.parse().unwrap(), &number)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_safe_number_has_exactly_twilios_fields() {
    let server = TestApp::new().await;
    let client = server.client();
    assert!(!knows(&server, &server.account.user, NUMBER).await);
    let created = client.post(PATH, &[("PhoneNumber", NUMBER)]).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let sid = created.text("sid");
    assert!(sid.starts_with("GN") && sid.len() == 34, "{sid}");
    let expected = json!({
        "sid": sid,
        "phone_number": NUMBER,
        "url": format!("{BASE}{PATH}/{NUMBER}"),
    });
    assert_eq!(created.body, expected);
    assert!(knows(&server, &server.account.user, NUMBER).await);
    // Twilio's library for Python sends the plus sign as it is, others encode it.
    for spelled in [NUMBER.to_owned(), NUMBER.replace('+', "%2B")] {
        assert_eq!(client.get(format!("{PATH}/{spelled}")).await.ok(), expected);
    }
    // A plus sign that nobody encoded is a blank.
    for again in [NUMBER, "+1 (512) 555-0123", " 15125550123"] {
        client
            .post(PATH, &[("PhoneNumber", again)])
            .await
            .refused(409, 60411);
    }
    for unknown in ["+15125550124", "15125550123", "x", "%2B", sid.as_str()] {
        client.get(format!("{PATH}/{unknown}")).await.refused(404, 20404);
        client
            .delete(format!("{PATH}/{unknown}"))
            .await
            .refused(404, 20404);
    }
    assert_eq!(client.delete(format!("{PATH}/%2B15125550123")).await.status, 204);
    client.get(format!("{PATH}/{NUMBER}")).await.refused(404, 20404);
    client
        .delete(format!("{PATH}/{NUMBER}"))
        .await
        .refused(404, 20404);
    assert!(!knows(&server, &server.account.user, NUMBER).await);
    let anew = client.post(PATH, &[("PhoneNumber", NUMBER)]).await.text("sid");
    assert_ne!(anew, sid);
}

#[tokio::test]
async fn one_accounts_safe_number_is_not_anothers() {
    let server = TestApp::new().await;
    let stranger = server.another_account().await;
    server.client().post(PATH, &[("PhoneNumber", NUMBER)]).await.ok();
    let theirs = server.client_of(&stranger);
    assert!(!knows(&server, &stranger.user, NUMBER).await);
    theirs.get(format!("{PATH}/{NUMBER}")).await.refused(404, 20404);
    theirs
        .delete(format!("{PATH}/{NUMBER}"))
        .await
        .refused(404, 20404);
    theirs.post(PATH, &[("PhoneNumber", NUMBER)]).await.ok();
    theirs.delete(format!("{PATH}/{NUMBER}")).await.ok();
    assert!(knows(&server, &server.account.user, NUMBER).await);
}

#[tokio::test]
async fn of_parallel_additions_one_succeeds_and_of_parallel_removals() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let answers = all_at_once((0..8).map(|_| client.posting(PATH, &[("PhoneNumber", NUMBER)]))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7);
    let removals = (0..8).map(|_| {
        let (server, account) = (server.clone(), server.account.clone());
        async move {
            let answer = server
                .client_of(&account)
                .delete(format!("{PATH}/{NUMBER}"))
                .await;
            answer.status
        }
    });
    let statuses = all_at_once(removals).await;
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 404).count(), 7);
}
