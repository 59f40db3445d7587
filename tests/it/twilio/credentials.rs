//! The keys of push providers: taken, used, never shown, and not taken away from a service that needs them.

use serde_json::{Value, json};

use crate::support::app::BASE;
use crate::support::credentials::{apn_form, create_credential, fcm_form, p256, rsa2048, service_account};
use crate::support::device::borrowed;
use crate::support::{Interleaved, Service, TestApp, all_at_once};

const PATH: &str = "/v1/Credentials";

#[tokio::test]
async fn a_credential_has_exactly_twilios_fields() {
    let server = TestApp::new().await;
    let client = server.client();
    for (form, kind, sandbox) in [
        (apn_form(), "apn", json!("False")),
        (
            [apn_form(), vec![("Sandbox", "true".to_owned())]].concat(),
            "apn",
            json!("True"),
        ),
        (fcm_form(), "fcm", Value::Null),
    ] {
        let form = [form, vec![("FriendlyName", "Owl Bank".to_owned())]].concat();
        let created = client.post(PATH, &borrowed(&form)).await;
        assert_eq!(created.status, 201, "{}", created.body);
        let sid = created.text("sid");
        assert!(sid.starts_with("CR") && sid.len() == 34, "{sid}");
        let expected = json!({
            "sid": sid,
            "account_sid": server.account.user,
            "friendly_name": "Owl Bank",
            "type": kind,
            "sandbox": sandbox,
            "date_created": "2027-01-15T08:00:00Z",
            "date_updated": "2027-01-15T08:00:00Z",
            "url": format!("{BASE}/v1/Credentials/{sid}"),
        });
        assert_eq!(created.body, expected);
        assert_eq!(client.get(format!("{PATH}/{sid}")).await.ok(), expected);
    }
    let listed = client.get(PATH).await.ok();
    assert_eq!(listed["credentials"].as_array().unwrap().len(), 3);
    assert_eq!(listed["meta"]["key"], "credentials");
}

/// Neither an answer nor the store has a word of a key.
#[tokio::test]
async fn no_secret_comes_back_or_is_stored_in_the_clear() {
    let server = TestApp::new().await;
    let client = server.client();
    let mut answers = Vec::new();
    for form in [apn_form(), fcm_form()] {
        let created = client.post(PATH, &borrowed(&form)).await;
        let path = format!("{PATH}/{}", created.text("sid"));
        answers.push(created);
        answers.push(client.get(&path).await);
        answers.push(client.post(&path, &borrowed(&form)).await);
        answers.push(client.get(PATH).await);
    }
    let mut bytes: Vec<u8> = answers.into_iter().flat_map(|answer| answer.bytes).collect();
    bytes.extend(server.dump().await.into_iter().flat_map(|(_, entry)| entry.value));
    for key in [p256(), rsa2048()] {
        let line = key.pem.lines().nth(1).unwrap().as_bytes();
        assert!(!bytes.windows(20).any(|window| window == &line[..20]));
    }
    assert!(!bytes.windows(7).any(|window| window == b"PRIVATE"));
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let server = TestApp::new().await;
    let client = server.client();
    let sid = create_credential(&client, &apn_form()).await;
    let path = format!("{PATH}/{sid}");
    server.wait(60);
    let form = [("FriendlyName", "New"), ("Sandbox", "True")];
    let updated = client.post(&path, &form).await.ok();
    assert_eq!(
        (&updated["friendly_name"], &updated["sandbox"], &updated["type"]),
        (&json!("New"), &json!("True"), &json!("apn"))
    );
    assert_eq!(updated["date_updated"], "2027-01-15T08:01:00Z");
    assert_eq!(updated["date_created"], "2027-01-15T08:00:00Z");
    let form = [("FriendlyName", ""), ("PrivateKey", &p256().pem)];
    let updated = client.post(&path, &form).await.ok();
    assert_eq!(
        (&updated["friendly_name"], &updated["sandbox"]),
        (&Value::Null, &json!("True"))
    );
    // The type decides what Secret means, and never changes.
    let form = [("Type", "fcm"), ("Secret", &service_account().to_string())];
    client
        .post(&path, &form)
        .await
        .refused(400, 60300)
        .naming("Secret");
}

/// `twilio-python` has no parameters for them.
#[tokio::test]
async fn the_identifiers_of_apples_key_may_come_in_the_secret() {
    let server = TestApp::new().await;
    let client = server.client();
    let form = |secret: &str| {
        vec![
            ("Type", "apn".to_owned()),
            ("PrivateKey", p256().pem.clone()),
            ("Secret", secret.to_owned()),
        ]
    };
    let good = json!({"key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "topic": "com.owlbank.app"});
    create_credential(&client, &form(&good.to_string())).await;
    for bad in [
        "x",
        "[]",
        r#"{"key_id":"short"}"#,
        r#"{"key_id":1}"#,
        r#"{"key":"ABC123DEFG"}"#,
        r#"{"topic":""}"#,
    ] {
        let refused = client.post(PATH, &borrowed(&form(bad))).await;
        refused.refused(400, 60300).naming("Secret");
    }
    let partial = form(r#"{"key_id":"ABC123DEFG"}"#);
    let refused = client.post(PATH, &borrowed(&partial)).await;
    refused.refused(400, 20001).naming("TeamId");
}

/// Whoever may create credentials must not be able to make the server talk to an address of their choice.
#[tokio::test]
async fn a_service_account_cannot_choose_where_tokens_are_asked_for() {
    let server = TestApp::new().await;
    let client = server.client();
    let before = server.dump().await;
    for uri in [
        "http://169.254.169.254/latest/meta-data/",
        "https://localhost/token",
        "https://oauth2.googleapis.com/token/",
        "https://oauth2.googleapis.com:443/token",
        "http://oauth2.googleapis.com/token",
    ] {
        let mut file = service_account();
        file["token_uri"] = uri.into();
        let form = [("Type", "fcm"), ("Secret", &file.to_string())];
        let refused = client.post(PATH, &form).await;
        refused.refused(400, 60300).naming("token_uri");
    }
    assert_eq!(server.dump().await, before);
    let mut file = service_account();
    file.as_object_mut().unwrap().remove("token_uri");
    let form = [("Type", "fcm"), ("Secret", &file.to_string())];
    client.post(PATH, &form).await.ok();
}

#[tokio::test]
async fn a_credential_in_use_stays() {
    let server = TestApp::new().await;
    let client = server.client();
    // More services than are looked through at once.
    for _ in 0..250 {
        Service::create(&client).await;
    }
    let sid = create_credential(&client, &fcm_form()).await;
    let path = format!("{PATH}/{sid}");
    let user = Service::create_with(&client, &[("Push.FcmCredentialSid", &sid)]).await;
    client.delete(&path).await.refused(409, 20409).naming(&user.sid);
    client.get(&path).await.ok();
    client
        .post(&user.path, &[("Push.FcmCredentialSid", "")])
        .await
        .ok();
    assert_eq!(client.delete(&path).await.status, 204);
    client.get(&path).await.refused(404, 20404);
    client.delete(&path).await.refused(404, 20404);
    let form = [("Push.FcmCredentialSid", sid.as_str())];
    let refused = client.post(&user.path, &form).await;
    refused.refused(400, 60200).naming("Push.FcmCredentialSid");
}

#[tokio::test]
async fn another_accounts_credential_is_none() {
    let server = TestApp::new().await;
    let stranger = server.another_account().await;
    let theirs = create_credential(&server.client_of(&stranger), &fcm_form()).await;
    let client = server.client();
    let service = Service::create(&client).await;
    let form = [("Push.FcmCredentialSid", theirs.as_str())];
    let refused = client.post(&service.path, &form).await;
    refused.refused(400, 60200).naming("Push.FcmCredentialSid");
    let form = [("FriendlyName", "Owl Bank"), form[0]];
    client.post("/v2/Services", &form).await.refused(400, 60200);
}

/// However a deletion and those who come to need the credential meet: never is there a service without its credential.
#[tokio::test]
async fn a_deletion_and_a_service_that_begins_to_use_it_never_both_succeed() {
    let mut deleted = [0; 2];
    for round in 0..12 {
        let server = TestApp::on(Interleaved::store()).await;
        let client = server.client();
        let sid = create_credential(&client, &fcm_form()).await;
        let service = Service::create(&client).await;
        let (path, account) = (format!("{PATH}/{sid}"), server.account.clone());
        let tasks = (0..3).map(|nth| {
            let (server, account, path) = (server.clone(), account.clone(), path.clone());
            let (service, sid) = (service.path.clone(), sid.clone());
            async move {
                let client = server.client_of(&account);
                let form = [("Push.FcmCredentialSid", sid.as_str())];
                if nth > 0 {
                    // Each round they come a little later.
                    for _ in 0..round {
                        tokio::task::yield_now().await;
                    }
                }
                match nth {
                    0 => client.delete(path).await.status,
                    1 => client.post(service, &form).await.status,
                    _ => {
                        let form = [("FriendlyName", "Another"), form[0]];
                        client.post("/v2/Services", &form).await.status
                    }
                }
            }
        });
        let statuses = all_at_once(tasks).await;
        let gone = client.get(&path).await.status == 404;
        let listed = client.get("/v2/Services").await.ok();
        let users = listed["services"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|service| service["push"]["fcm_credential_sid"] == sid.as_str())
            .count();
        assert_eq!(gone, statuses[0] == 204, "{statuses:?}");
        assert_eq!(gone, users == 0, "{statuses:?}");
        deleted[usize::from(gone)] += 1;
    }
    assert!(deleted.iter().all(|count| *count > 0), "both happen: {deleted:?}");
}
