//! What an account should hear of at once, whichever of its services a webhook is of: new API keys, forged entries, copies of the
//! store.

use countersign::delivery::DeliveryOutcome;
use countersign::domain::events::EventType;
use countersign::domain::sid::AccountSid;
use countersign::domain::text::FriendlyName;
use countersign::domain::time::Clock;
use countersign::flows::{api_key, audit};
use serde_json::{Value, json};

use super::{deliver_all, server_on_loopback, subscribe};
use crate::support::receiver::OK;
use crate::support::{Receiver, User};

#[tokio::test]
async fn every_service_hears_of_what_concerns_the_account_if_it_wants_to() {
    let server = server_on_loopback().await;
    let client = server.client();
    let (one, two) = (User::create(&client).await, User::create(&client).await);
    let (forms, objects, others) = (
        Receiver::answering(OK).await,
        Receiver::answering(OK).await,
        Receiver::answering(OK).await,
    );
    subscribe(&client, &one, &forms.url("/"), "key.created", "v1").await;
    subscribe(&client, &two, &objects.url("/"), "*", "v2").await;
    subscribe(&client, &one, &others.url("/"), "factor.created", "v2").await;
    // Another account's webhooks hear nothing of it.
    let other = server.another_account().await;
    let their_client = server.client_of(&other);
    let theirs = User::create(&their_client).await;
    let elsewhere = Receiver::answering(OK).await;
    subscribe(&their_client, &theirs, &elsewhere.url("/"), "key.created", "v2").await;

    let account: AccountSid = server.account.user.parse().unwrap();
    let name = FriendlyName::parse("CI").unwrap();
    let (key, _) = api_key::create(&server.app, account, name).await.unwrap();
    audit::tell_accounts(&server.app, EventType::StoreExported).await;
    let outcomes = deliver_all(&server, server.outbox().await).await;
    assert_eq!(outcomes, vec![DeliveryOutcome::Delivered; 3]);
    assert_eq!((others.connections(), elsewhere.connections()), (0, 0));

    let mut told: Vec<Value> = objects
        .requests()
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    for body in &mut told {
        assert!(body["uuid"].take().as_str().is_some_and(|uuid| uuid.len() == 36));
    }
    told.sort_by_key(|body| body["type"].to_string());
    let body = |event: &str, subject: Option<String>| {
        json!({
            "uuid": null,
            "type": event,
            "account_sid": server.account.user,
            "service_sid": two.service.sid,
            "subject": subject,
            "date_created": server.clock.now().to_string(),
        })
    };
    let subject = format!("API key {}", key.sid);
    assert_eq!(
        told,
        [
            body("key.created", Some(subject.clone())),
            body("store.exported", None)
        ]
    );
    let form: Vec<(String, String)> = form_urlencoded::parse(&forms.requests()[0].body)
        .into_owned()
        .skip(1)
        .collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        form,
        [
            pair("type", "key.created"),
            pair("account_sid", &server.account.user),
            pair("service_sid", &one.service.sid),
            pair("subject", &subject),
        ]
    );
}
