//! Attempts: listed by every filter, page by page, and counted; nobody else's, and none that is too old.

use countersign::domain::attempt::{Attempt, AttemptStatus};
use countersign::domain::channel::Channel;
use countersign::domain::country::Country;
use countersign::domain::destination::{Destination, EmailAddress};
use countersign::domain::outbox::Reason;
use countersign::domain::phone::PhoneNumber;
use countersign::domain::price::{Currency, Price};
use countersign::domain::sender_name::SenderName;
use countersign::domain::sid::{AttemptSid, ServiceSid, VerificationSid};
use countersign::domain::time::Clock as _;
use countersign::store::{Batch, keys};
use serde_json::{Value, json};

use crate::support::app::BASE;
use crate::support::{Client, TestApp};

const DAY: u64 = 24 * 3600;
const SERVICE: &str = "VA0123456789abcdef0123456789abcdef";
const OTHER_SERVICE: &str = "VAfedcba9876543210fedcba9876543210";

/// An attempt of now, as it stands in the store; `change` makes it another one.
fn attempt(server: &TestApp, change: impl FnOnce(&mut Attempt)) -> Attempt {
    let now = server.clock.now();
    let mut attempt = Attempt {
        sid: AttemptSid::generate(now, server.app.sids.as_ref()),
        account: server.account.user.parse().unwrap(),
        service: SERVICE.parse().unwrap(),
        verification: VerificationSid::generate(now, server.app.sids.as_ref()),
        channel: Channel::Sms,
        destination: phone("+573003003030"),
        country: Some(Country::parse("CO").unwrap()),
        locale: Some("es".to_owned()),
        code_length: 6,
        sender: SenderName::parse("log").unwrap(),
        status: AttemptStatus::Sent,
        converted_at: None,
        expires_at: now + std::time::Duration::from_mins(10),
        price: None,
        reference: None,
        date_created: now,
        date_updated: now,
    };
    change(&mut attempt);
    attempt
}

fn phone(number: &str) -> Destination {
    Destination::Phone(PhoneNumber::parse(number, None).unwrap())
}

async fn put(server: &TestApp, attempts: &[Attempt]) {
    for some in attempts.chunks(500) {
        let batch = some.iter().fold(Batch::new(), |batch, attempt| {
            let key = keys::attempt(attempt.account, attempt.sid);
            let until = attempt.date_created + Attempt::RETENTION;
            batch.put_new_record_until(key, attempt, until).unwrap()
        });
        server.app.store.commit(batch).await.unwrap();
    }
}

/// One attempt a minute, each of its own kind.
async fn some_of_every_kind(server: &TestApp) -> Vec<Attempt> {
    let mut all = Vec::new();
    let kinds: [fn(&mut Attempt); 6] = [
        |_| {},
        |attempt| attempt.converted_at = Some(attempt.date_created),
        |attempt| {
            attempt.channel = Channel::Call;
            attempt.destination = phone("+4915112345678");
            attempt.country = Some(Country::parse("DE").unwrap());
        },
        |attempt| {
            attempt.channel = Channel::Email;
            attempt.destination = Destination::Email(EmailAddress::parse("ada@example.com").unwrap());
            attempt.country = None;
        },
        |attempt| {
            attempt.service = OTHER_SERVICE.parse::<ServiceSid>().unwrap();
            attempt.channel = Channel::Rcs;
        },
        |attempt| attempt.destination = phone("+573053003030"),
    ];
    for kind in kinds {
        all.push(attempt(server, kind));
        server.wait(60);
    }
    put(server, &all).await;
    all
}

fn sids(body: &Value) -> Vec<String> {
    let items = body["attempts"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["sid"].as_str().unwrap().to_owned())
        .collect()
}

/// The address of a neighbouring page on this server.
fn link(body: &Value, name: &str) -> Option<String> {
    let url = body["meta"][name].as_str()?;
    Some(url.strip_prefix(BASE).unwrap().to_owned())
}

async fn listed(client: &Client<'_>, query: &str) -> Vec<String> {
    sids(&client.get(format!("/v2/Attempts?{query}")).await.ok())
}

#[tokio::test]
async fn an_attempt_shows_what_the_document_says() {
    let server = TestApp::new().await;
    let client = server.client();
    let waiting = attempt(&server, |attempt| attempt.status = AttemptStatus::Queued);
    let failed = attempt(&server, |attempt| {
        attempt.status = AttemptStatus::Failed {
            why: Reason::new("the provider at 10.0.0.7 says no"),
        };
        attempt.price = Some(Price {
            micros: 5000,
            currency: Currency::parse("usd").unwrap(),
        });
    });
    let call = attempt(&server, |attempt| {
        attempt.channel = Channel::Call;
        attempt.converted_at = Some(attempt.date_created);
    });
    put(&server, &[waiting.clone(), failed.clone(), call.clone()]).await;
    let path = |attempt: &Attempt| format!("/v2/Attempts/{}", attempt.sid);
    let shown = client.get(path(&failed)).await.ok();
    assert_eq!(
        shown,
        json!({
            "sid": failed.sid.to_string(),
            "account_sid": server.account.user,
            "service_sid": SERVICE,
            "verification_sid": failed.verification.to_string(),
            "date_created": "2027-01-15T08:00:00Z",
            "date_updated": "2027-01-15T08:00:00Z",
            "conversion_status": "unconverted",
            "channel": "sms",
            "price": {"value": "0.005", "currency": "usd"},
            "channel_data": {
                "verification_sid": failed.verification.to_string(),
                "to": "+573003003030",
                "status": "unconfirmed",
                "message_status": "failed",
                "error_code": "30008",
                "country": "CO",
                "code_length": 6,
                "locale": "es",
                "mcc": null,
                "mnc": null,
                "carrier": null,
            },
            "url": format!("{BASE}{}", path(&failed)),
        })
    );
    let shown = client.get(path(&call)).await.ok();
    assert_eq!(shown["conversion_status"], "converted");
    assert_eq!(shown["channel_data"]["status"], "confirmed");
    assert_eq!(shown["channel_data"]["call_status"], "completed");
    assert_eq!(shown["price"], Value::Null);
    let shown = client.get(path(&waiting)).await.ok();
    assert_eq!(shown["channel_data"]["message_status"], "queued");
    server.wait(600);
    let shown = client.get(path(&waiting)).await.ok();
    assert_eq!(shown["channel_data"]["status"], "expired");
}

#[tokio::test]
async fn every_filter_leaves_the_right_ones_the_newest_first() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = some_of_every_kind(&server).await;
    let newest_first = |positions: &[usize]| -> Vec<String> {
        let chosen = positions.iter().rev();
        chosen.map(|position| all[*position].sid.to_string()).collect()
    };
    let first = all[0].date_created;
    let third = all[2].date_created;
    for (query, expected) in [
        (String::new(), vec![0, 1, 2, 3, 4, 5]),
        ("Channel=sms".to_owned(), vec![0, 1, 5]),
        ("Channel=SMS&Country=co".to_owned(), vec![0, 1, 5]),
        ("Channel=call".to_owned(), vec![2]),
        ("Channel=rbm".to_owned(), vec![4]),
        ("Country=DE".to_owned(), vec![2]),
        ("Country=FR".to_owned(), vec![]),
        ("ChannelData.To=%2B573003003030".to_owned(), vec![0, 1, 4]),
        ("ChannelData.To=+4915112345678".to_owned(), vec![2]),
        ("ChannelData.To=ADA@example.com".to_owned(), vec![3]),
        (format!("VerifyServiceSid={OTHER_SERVICE}"), vec![4]),
        (format!("VerifyServiceSid={SERVICE}&Status=CONVERTED"), vec![1]),
        ("Status=unconverted".to_owned(), vec![0, 2, 3, 4, 5]),
        (format!("DateCreatedAfter={third}"), vec![2, 3, 4, 5]),
        (format!("DateCreatedBefore={third}"), vec![0, 1]),
        (
            format!("DateCreatedAfter={first}&DateCreatedBefore={third}"),
            vec![0, 1],
        ),
        (
            "DateCreatedAfter=2027-01-15T08:00:00.000001Z".to_owned(),
            vec![0, 1, 2, 3, 4, 5],
        ),
        (
            "DateCreatedAfter=2027-01-15T08:00:00.001Z".to_owned(),
            vec![1, 2, 3, 4, 5],
        ),
        ("DateCreatedAfter=2027-01-16".to_owned(), vec![]),
        (
            format!("DateCreatedAfter={third}&DateCreatedBefore={first}"),
            vec![],
        ),
        (format!("VerificationSid={}", all[1].verification), vec![1]),
    ] {
        assert_eq!(listed(&client, &query).await, newest_first(&expected), "{query}");
    }
}

#[tokio::test]
async fn pages_lead_to_the_end_and_back() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = some_of_every_kind(&server).await;
    let expected: Vec<String> = all
        .iter()
        .rev()
        .filter(|attempt| attempt.channel == Channel::Sms)
        .map(|attempt| attempt.sid.to_string())
        .collect();
    for (query, expected) in [
        ("PageSize=2&Channel=sms", expected),
        (
            "PageSize=2",
            all.iter().rev().map(|attempt| attempt.sid.to_string()).collect(),
        ),
    ] {
        let mut page = client.get(format!("/v2/Attempts?{query}")).await.ok();
        assert_eq!(link(&page, "previous_page_url"), None);
        let mut found = sids(&page);
        while let Some(next) = link(&page, "next_page_url") {
            page = client.get(next).await.ok();
            found.extend(sids(&page));
        }
        assert_eq!(found, expected, "{query}");
        let mut back = sids(&page);
        while let Some(previous) = link(&page, "previous_page_url") {
            page = client.get(previous).await.ok();
            back = [sids(&page), back].concat();
        }
        assert_eq!(back, expected, "{query}");
    }
}

/// One page looks at 5,000 attempts and no more; the next one goes on where it stopped.
#[tokio::test]
async fn a_page_may_be_empty_and_have_a_next_one() {
    let server = TestApp::new().await;
    let client = server.client();
    let wanted = attempt(&server, |attempt| attempt.channel = Channel::Whatsapp);
    server.wait(1);
    let others: Vec<Attempt> = (0..5_200).map(|_| attempt(&server, |_| {})).collect();
    put(&server, &others).await;
    put(&server, std::slice::from_ref(&wanted)).await;
    let first = client.get("/v2/Attempts?Channel=whatsapp").await.ok();
    assert_eq!(sids(&first), Vec::<String>::new());
    let next = link(&first, "next_page_url").unwrap();
    assert!(next.contains("Channel=whatsapp"), "{next}");
    let second = client.get(next).await.ok();
    assert_eq!(sids(&second), [wanted.sid.to_string()]);
    assert_eq!(link(&second, "next_page_url"), None);
    let back = client.get(link(&second, "previous_page_url").unwrap()).await.ok();
    assert_eq!(sids(&back), Vec::<String>::new());
    let summary = client.get("/v2/Attempts/Summary?Channel=whatsapp").await.ok();
    assert_eq!(summary["total_attempts"], 1);
}

#[tokio::test]
async fn a_summary_counts_what_the_filters_leave() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = some_of_every_kind(&server).await;
    let summary = |query: String| {
        let client = client.clone();
        async move { client.get(format!("/v2/Attempts/Summary{query}")).await.ok() }
    };
    assert_eq!(
        summary(String::new()).await,
        json!({
            "total_attempts": 6,
            "total_converted": 1,
            "total_unconverted": 5,
            "conversion_rate_percentage": "16.666666666",
            "url": format!("{BASE}/v2/Attempts/Summary"),
        })
    );
    let third = all[2].date_created;
    for (query, total, rate) in [
        ("?DestinationPrefix=%2B57305".to_owned(), 1, json!("0.000000000")),
        ("?DestinationPrefix=+57".to_owned(), 4, json!("25.000000000")),
        ("?DestinationPrefix=4".to_owned(), 1, json!("0.000000000")),
        ("?Country=CO&Channel=sms".to_owned(), 3, json!("33.333333333")),
        (format!("?DateCreatedBefore={third}"), 2, json!("50.000000000")),
        (format!("?DateCreatedAfter={third}"), 4, json!("0.000000000")),
        (
            format!("?VerifyServiceSid={OTHER_SERVICE}"),
            1,
            json!("0.000000000"),
        ),
        ("?Channel=whatsapp".to_owned(), 0, Value::Null),
    ] {
        let found = summary(query.clone()).await;
        assert_eq!(
            (&found["total_attempts"], &found["conversion_rate_percentage"]),
            (&json!(total), &rate),
            "{query}"
        );
    }
}

/// After thirty days an attempt is gone, whether the sweeper came by or not.
#[tokio::test]
async fn attempts_are_gone_after_thirty_days() {
    let server = TestApp::new().await;
    let client = server.client();
    let old = attempt(&server, |_| {});
    put(&server, std::slice::from_ref(&old)).await;
    let path = format!("/v2/Attempts/{}", old.sid);
    server.wait(30 * DAY);
    client.get(&path).await.ok();
    assert_eq!(listed(&client, "").await.len(), 1);
    server.wait(1);
    client.get(&path).await.refused(404, 20404);
    assert_eq!(listed(&client, "").await.len(), 0);
    assert_eq!(listed(&client, "DateCreatedAfter=2020-01-01").await.len(), 0);
    let summary = client.get("/v2/Attempts/Summary").await.ok();
    assert_eq!(summary["total_attempts"], 0);
    server.sweep().await;
    assert_eq!(server.scan(b"l".to_vec()).await.len(), 0);
}

#[tokio::test]
async fn nobody_sees_another_accounts_attempts() {
    let server = TestApp::new().await;
    let stranger = server.another_account().await;
    let theirs = server.client_of(&stranger);
    let all = some_of_every_kind(&server).await;
    let path = format!("/v2/Attempts/{}", all[0].sid);
    server.client().get(&path).await.ok();
    theirs.get(&path).await.refused(404, 20404);
    let verification = all[0].verification;
    for query in [String::new(), format!("VerificationSid={verification}")] {
        assert_eq!(listed(&theirs, &query).await.len(), 0, "{query}");
    }
    let summary = theirs.get("/v2/Attempts/Summary").await.ok();
    assert_eq!(summary["total_attempts"], 0);
}

#[tokio::test]
async fn filters_that_mean_nothing_are_refused_by_name() {
    let server = TestApp::new().await;
    let client = server.client();
    let both = [
        ("DateCreatedAfter", "yesterday"),
        ("DateCreatedBefore", "2027-01-15T08:00"),
        ("Channel", "pigeon"),
        ("Country", "Colombia"),
        ("VerifyServiceSid", "VE0123456789abcdef0123456789abcdef"),
    ];
    let of_lists = [
        ("ChannelData.To", "nobody"),
        ("VerificationSid", "VA0123456789abcdef0123456789abcdef"),
        ("Status", "maybe"),
    ];
    let refused = |path: String, name: &'static str| {
        let client = client.clone();
        async move {
            client.get(path).await.refused(400, 60200).naming(name);
        }
    };
    for (name, value) in both.into_iter().chain(of_lists) {
        refused(format!("/v2/Attempts?{name}={value}"), name).await;
    }
    for (name, value) in both.into_iter().chain([("DestinationPrefix", "1-800")]) {
        refused(format!("/v2/Attempts/Summary?{name}={value}"), name).await;
    }
    client.get("/v2/Attempts?PageSize=1001").await.refused(400, 20007);
}
