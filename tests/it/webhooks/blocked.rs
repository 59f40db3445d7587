//! What a webhook is told when codes are refused: why, of whom, until when; and no whole number.

use serde_json::{Value, json};

use super::{deliver_all, server_on_loopback, subscribe};
use crate::support::receiver::OK;
use crate::support::{Receiver, TestApp, User};
use countersign::delivery::DeliveryOutcome;
use countersign::domain::channel::Channel;
use countersign::domain::country::Country;
use countersign::domain::destination::Destination;
use countersign::domain::phone::{LineKind, NumberFacts, PhoneNumber};
use countersign::domain::sid::AccountSid;
use countersign::domain::time::{Clock, Timestamp};
use countersign::flows::fraud::{Admittance, admit};
use countersign::flows::reading::Reading;
use countersign::flows::service;
use countersign::store::Batch;

/// Has codes refused: those to a premium-rate number for good, those to a number that had enough of them for a day.
async fn refuse(server: &TestApp, user: &User) {
    let account: AccountSid = server.account.user.parse().unwrap();
    let service = service::fetch(&server.app, account, user.service.sid.parse().unwrap())
        .await
        .unwrap();
    let number = |text: &str| Destination::Phone(PhoneNumber::try_from(text.to_owned()).unwrap());
    let (dear, plain) = (number("+449060001234"), number("+32470123456"));
    for (destination, country, kind, times) in [
        (&dear, "GB", LineKind::PremiumRate, 3),
        (&plain, "BE", LineKind::Mobile, 35),
    ] {
        for _ in 0..times {
            let asked = Admittance {
                account,
                service: &service,
                destination,
                facts: Some(NumberFacts {
                    country: Country::parse(country).ok(),
                    kind,
                }),
                channel: Channel::Sms,
                device_ip: None,
                risk_check: true,
                price: None,
                now: server.clock.now(),
            };
            let mut reading = Reading::new(&server.app);
            if let Ok(permit) = admit(&server.app, &mut reading, &asked).await {
                let batch = permit.put(Batch::new()).unwrap();
                reading.commit(batch).await.unwrap();
                permit.commit("VE00000000000000000000000000000001".parse().unwrap());
            }
        }
    }
}

#[tokio::test]
async fn a_block_is_told_once_in_both_forms() {
    let server = server_on_loopback().await;
    let client = server.client();
    let user = User::create(&client).await;
    let (forms, objects, others) = (
        Receiver::answering(OK).await,
        Receiver::answering(OK).await,
        Receiver::answering(OK).await,
    );
    subscribe(&client, &user, &forms.url("/"), "verification.blocked", "v1").await;
    subscribe(&client, &user, &objects.url("/"), "*", "v2").await;
    subscribe(&client, &user, &others.url("/"), "factor.created", "v2").await;
    refuse(&server, &user).await;
    let outcomes = deliver_all(&server, server.outbox().await).await;
    assert_eq!(outcomes, vec![DeliveryOutcome::Delivered; 4]);
    assert_eq!(others.connections(), 0);

    let now = server.clock.now();
    let day = 24 * 3600;
    let midnight = Timestamp::from_seconds((now.seconds() / day + 1) * day).to_string();
    let mut told: Vec<Value> = objects
        .requests()
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    for body in &mut told {
        assert!(body["uuid"].take().as_str().is_some_and(|uuid| uuid.len() == 36));
    }
    told.sort_by_key(|body| body["reason"].to_string());
    let body = |reason, subject, country, until: Option<&str>| {
        json!({
            "uuid": null,
            "type": "verification.blocked",
            "account_sid": server.account.user,
            "service_sid": user.service.sid,
            "reason": reason,
            "subject": subject,
            "country": country,
            "blocked_until": until,
            "date_created": now.to_string(),
        })
    };
    assert_eq!(
        told,
        [
            body("number_budget", "+32*******56", "BE", Some(&midnight)),
            body("number_kind", "GB", "GB", None),
        ]
    );

    let mut pairs: Vec<Vec<(String, String)>> = forms
        .requests()
        .iter()
        .map(|request| {
            form_urlencoded::parse(&request.body)
                .into_owned()
                .skip(1)
                .collect()
        })
        .collect();
    pairs.sort();
    let form = |parts: &[(&str, &str)]| -> Vec<(String, String)> {
        let shared = [
            ("type", "verification.blocked"),
            ("account_sid", server.account.user.as_str()),
            ("service_sid", user.service.sid.as_str()),
        ];
        let all = shared.iter().chain(parts);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    assert_eq!(
        pairs,
        [
            form(&[
                ("reason", "number_budget"),
                ("subject", "+32*******56"),
                ("country", "BE"),
                ("blocked_until", &midnight),
            ]),
            form(&[("reason", "number_kind"), ("subject", "GB"), ("country", "GB")]),
        ]
    );
}
