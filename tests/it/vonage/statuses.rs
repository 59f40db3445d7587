//! The statuses that say that the account, the store or the operator is in the way.

use countersign::app::Policy;
use countersign::domain::country::Country;
use countersign::domain::fraud::settings::{Countries, Settings};
use countersign::domain::sid::VerificationSid;
use countersign::domain::text::DialectName;
use countersign::flows::account;
use countersign::store::records::{self, DialectServiceRecord};
use countersign::store::{Batch, keys};
use serde_json::{Value, json};

use super::world::Verify;
use crate::support::{Credentials, TestApp};

async fn with(toll_fraud: Settings, outbox_rows_per_account: usize) -> Verify {
    let policy = Policy {
        toll_fraud,
        outbox_rows_per_account,
        ..crate::doubles::policy()
    };
    Verify::of(TestApp::new().await.with_policy(policy))
}

async fn start(verify: &Verify, number: &str) -> Value {
    let form = [("number", number), ("brand", "Owl Bank")];
    verify.ask("/verify", &form).await
}

/// The account's messages wait for senders that do not answer.
#[tokio::test]
async fn a_full_outbox_is_status_1() {
    let verify = with(Settings::off(), 1).await;
    let id = verify.begin("4915112345678", &[]).await;
    let text = "Throttled: too many messages of this account wait for their senders; see to it that these answer, and try again";
    let throttled = json!({ "status": "1", "error_text": text });
    assert_eq!(start(&verify, "4915112345679").await, throttled);
    assert_eq!(verify.control(&id, "trigger_next_event").await, throttled);
    assert_eq!(verify.search(&id).await["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_store_cannot_read_is_status_5_and_says_nothing() {
    let verify = Verify::new().await;
    let id = verify.begin("4915112345678", &[]).await;
    let store = verify.server.app.store.clone();
    let account = verify.server.account.user.parse().unwrap();
    let pointer = keys::dialect_service(account, &DialectName::parse("vonage").unwrap());
    let pointer = store.get(pointer.bytes()).await.unwrap().unwrap();
    let DialectServiceRecord { service } = records::decode(&pointer.value).unwrap();
    let sid: VerificationSid = format!("VE{id}").parse().unwrap();
    let key = keys::verification(service, sid);
    let damage = Batch::new().put(key.bytes().to_vec(), vec![0xff; 3]);
    store.commit(damage).await.unwrap();
    let failed = json!({ "status": "5", "error_text": "Internal Error" });
    assert_eq!(verify.search(&id).await, failed);
    assert_eq!(verify.control(&id, "cancel").await, failed);
    let checked = verify.check(&id, "1234").await;
    assert_eq!(
        (&checked["status"], &checked["request_id"]),
        (&json!("5"), &json!(id))
    );
}

/// Only who has the secret learns of it.
#[tokio::test]
async fn a_suspended_account_is_status_8() {
    let verify = Verify::new().await;
    let key = verify.server.api_key().await;
    let own = verify.server.account.clone();
    let sid = own.user.parse().unwrap();
    account::suspend(&verify.server.app, sid).await.unwrap();
    let form = [("number", "4915112345678"), ("brand", "Owl Bank")];
    let barred = "The api_key you supplied is for an account that has been barred from submitting messages";
    for (who, status) in [
        (own.clone(), "8"),
        (key.clone(), "8"),
        (Credentials::new(&own.user, "wrong"), "4"),
        (Credentials::new(&key.user, "wrong"), "4"),
    ] {
        let answer = verify.ask_as(&who, "/verify", &form).await;
        assert_eq!(answer["status"], status, "{answer}");
        assert_eq!(answer["error_text"] == barred, status == "8");
    }
    account::resume(&verify.server.app, sid).await.unwrap();
    assert_eq!(start(&verify, "4915112345678").await["status"], "0");
}

#[tokio::test]
async fn a_service_that_sent_its_share_is_status_9() {
    let toll_fraud = Settings {
        service_per_day: Some(1),
        ..Settings::off()
    };
    let verify = with(toll_fraud, 1000).await;
    verify.begin("4915112345678", &[]).await;
    assert_eq!(
        start(&verify, "4915112345679").await,
        json!({ "status": "9", "error_text": "Partner quota exceeded" })
    );
}

#[tokio::test]
async fn a_country_that_the_operator_does_not_want_is_status_29() {
    let toll_fraud = Settings {
        countries: Countries::Only(vec![Country::parse("BE").unwrap()]),
        ..Settings::off()
    };
    let verify = with(toll_fraud, 1000).await;
    verify.begin("32470123456", &[]).await;
    assert_eq!(
        start(&verify, "4915112345678").await,
        json!({ "status": "29", "error_text": "Non-Permitted Destination" })
    );
}

/// What nobody sent is no event, and has no date.
#[tokio::test]
async fn a_step_that_was_passed_over_is_nowhere_in_a_search() {
    let verify = Verify::new().await;
    let id = verify.begin("4915112345678", &[("workflow_id", "2")]).await;
    let sid = verify.server.account.user.parse().unwrap();
    account::suspend(&verify.server.app, sid).await.unwrap();
    verify.wait(125).await;
    account::resume(&verify.server.app, sid).await.unwrap();
    let found = verify.search(&id).await;
    assert_eq!(found["events"].as_array().unwrap().len(), 1);
    assert_eq!(found["last_event_date"], found["date_submitted"]);
    verify.wait(180).await;
    let found = verify.search(&id).await;
    let kinds: Vec<_> = found["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["type"])
        .collect();
    assert_eq!(kinds, ["sms", "tts"]);
    assert_eq!(found["last_event_date"], "2027-01-15 08:05:05");
}
