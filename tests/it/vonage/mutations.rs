//! Recorded requests, broken at random: whatever comes, the answer is one of the protocol's, what is refused changes nothing,
//! and nothing is approved.
//!
//! `COUNTERSIGN_MUTATION_SEED` breaks them in other places.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, Uri};
use countersign::app::Policy;
use countersign::domain::fraud::settings::Settings;
use countersign::domain::verification::{Verification, VerificationStatus};
use countersign::flows::check_store::check_store;
use countersign::flows::store_format;
use countersign::store::counting::CountingStore;
use countersign::store::memory::MemoryStore;
use countersign::store::records::decode;
use serde_json::{Value, json};

use super::world::{Raw, Verify, elements, urlencoded};
use crate::server_kill::random::Random;
use crate::support::{TestApp, number_from};

const MUTATIONS: u64 = 10_000;

/// Everything that the table of statuses has.
const STATUSES: [&str; 18] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "15", "16", "17", "18", "19", "20", "29",
];

#[derive(Clone)]
struct Recorded {
    path: String,
    query: Vec<u8>,
    json: bool,
    body: Vec<u8>,
}

/// All that may be asked of a request, in every way to ask it.
fn recorded(id: &str, number: &str) -> Vec<Recorded> {
    let calls: [(&str, &[(&str, &str)]); 6] = [
        (
            "/verify",
            &[
                ("number", number),
                ("brand", "Owl Bank"),
                ("workflow_id", "4"),
                ("lg", "de-de"),
                ("sender_id", "OWL"),
                ("pin_expiry", "240"),
                ("next_event_wait", "120"),
            ],
        ),
        (
            "/verify/psd2",
            &[("number", number), ("payee", "Owl Shop"), ("amount", "12.5")],
        ),
        (
            "/verify/check",
            &[
                ("request_id", id),
                ("code", "wrong7"),
                ("ip_address", "192.0.2.7"),
            ],
        ),
        ("/verify/search", &[("request_ids", id), ("request_ids", "x,y")]),
        (
            "/verify/control",
            &[("request_id", id), ("cmd", "trigger_next_event")],
        ),
        ("/verify/control", &[("request_id", id), ("cmd", "cancel")]),
    ];
    let mut all = Vec::new();
    for (path, form) in calls {
        let object: serde_json::Map<_, _> = form
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let encoded = urlencoded(form).into_bytes();
        for (format, query, json, body) in [
            ("json", encoded.clone(), false, Vec::new()),
            ("xml", encoded.clone(), false, Vec::new()),
            ("json", Vec::new(), false, encoded),
            ("xml", Vec::new(), true, serde_json::to_vec(&object).unwrap()),
        ] {
            let path = format!("{path}/{format}");
            all.push(Recorded {
                path,
                query,
                json,
                body,
            });
        }
    }
    all
}

/// One to three changes: a bit, a byte, bytes more or less, the end cut off, a piece of another request.
fn changed(random: &mut Random, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
    for _ in 0..=random.below(3) {
        let at = usize::try_from(random.below(bytes.len() as u64 + 1)).unwrap();
        let [byte, more @ ..]: [u8; 5] = random.bytes();
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
            1 if at < bytes.len() => bytes[at] = byte,
            2 => drop(bytes.splice(at..at, more)),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            _ => bytes.extend_from_slice(&other[at.min(other.len())..]),
        }
    }
    bytes
}

/// The status that an answer in either form tells.
fn status(answer: &Raw) -> String {
    let kind = answer.headers[CONTENT_TYPE].to_str().unwrap();
    if kind == "application/json" {
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        let several = body.get("verification_requests").is_some();
        return if several {
            "0".to_owned()
        } else {
            body["status"].as_str().unwrap().to_owned()
        };
    }
    let found = elements(&answer.text);
    let status = found.iter().rev().find(|(name, _)| name == "status");
    let status = status.map(|(_, text)| text.clone());
    status.unwrap()
}

#[tokio::test]
async fn ten_thousand_broken_requests_are_answered_and_change_nothing_that_they_may_not() {
    let store = Arc::new(CountingStore::new(MemoryStore::new()));
    let policy = Policy {
        toll_fraud: Settings::off(),
        ..crate::doubles::policy()
    };
    let server = TestApp::on(store.clone()).await.with_policy(policy);
    store_format::check(&server.app).await.unwrap();
    let verify = Verify::of(server);
    let seed = u64::try_from(number_from("COUNTERSIGN_MUTATION_SEED", 0x766f)).unwrap();
    let mut random = Random::new(seed);
    let (mut well, mut refused) = (0, 0);
    let mut all = Vec::new();
    for round in 0..MUTATIONS {
        if round % 100 == 0 {
            verify.server.wait(1000);
            let number = format!("49151123{:05}", round / 100);
            let id = verify.begin(&number, &[]).await;
            all = recorded(&id, &number);
        }
        let index = usize::try_from(random.below(all.len() as u64)).unwrap();
        let other = usize::try_from(random.below(all.len() as u64)).unwrap();
        let Recorded {
            path,
            query,
            json,
            body,
        } = all[index].clone();
        let (other_query, other_body) = (all[other].query.clone(), all[other].body.clone());
        let query = changed(&mut random, query, &other_query);
        let body = changed(&mut random, body, &other_body);
        let text = String::from_utf8_lossy(&query);
        let Ok(uri) = format!("{path}?{text}").parse::<Uri>() else {
            continue;
        };
        let kind = match random.below(8) {
            0 => "text/plain",
            1 => "application/json",
            _ if json => "application/json; charset=utf-8",
            _ => "application/x-www-form-urlencoded",
        };
        let method = if random.below(4) == 0 { "GET" } else { "POST" };
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(AUTHORIZATION, verify.server.account.header())
            .header(CONTENT_TYPE, kind)
            .body(Body::from(body.clone()))
            .unwrap();
        store.take();
        let answer = verify.send(request).await;
        let told = format!(
            "{method} {path}?{text} {kind} {:?}: {} {}",
            String::from_utf8_lossy(&body),
            answer.status,
            answer.text
        );
        assert_eq!(answer.status, 200, "{told}");
        let status = status(&answer);
        let found = ["IN PROGRESS", "SUCCESS", "FAILED", "EXPIRED", "CANCELLED", "101"];
        assert!(
            STATUSES.contains(&&*status) || found.contains(&&*status),
            "{told}"
        );
        assert!(
            !["1", "4", "5", "7", "8", "9", "SUCCESS"].contains(&&*status),
            "{told}"
        );
        // A wrong code is counted.
        if ["0", "16", "17"].contains(&&*status) || found.contains(&&*status) {
            well += 1;
        } else {
            refused += 1;
            assert_eq!(store.take().commit, 0, "{told}");
        }
    }
    for (_, entry) in verify.server.scan(b"v".to_vec()).await {
        let verification: Verification = decode(&entry.value).unwrap();
        let now = verification.status(verify.server.app.clock.now());
        assert_ne!(now, VerificationStatus::Approved);
    }
    let report = check_store(&verify.server.app).await.unwrap();
    assert!(report.is_healthy(), "{report}");
    assert!(
        well > 500 && refused > 5000,
        "{well} went well, {refused} were refused"
    );
}
