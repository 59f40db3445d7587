//! The seven workflows: when which event comes, which code it brings, and when all is over.

use serde_json::{Value, json};

use super::world::{Form, Verify, another};

/// What the table says: the events, and the seconds that each is followed by.
const TABLE: [(&str, &[(&str, u64)]); 7] = [
    ("1", &[("sms", 125), ("tts", 180), ("tts", 300)]),
    ("2", &[("sms", 125), ("sms", 180), ("tts", 300)]),
    ("3", &[("tts", 150), ("tts", 150)]),
    ("4", &[("sms", 120), ("sms", 180)]),
    ("5", &[("sms", 125), ("tts", 300)]),
    ("6", &[("sms", 300)]),
    ("7", &[("tts", 300)]),
];

fn events(found: &Value) -> Vec<&str> {
    let events = found["events"].as_array().unwrap().iter();
    events.map(|event| event["type"].as_str().unwrap()).collect()
}

/// One after the other, each event comes at its second and none before, and after the last wait it is over.
#[tokio::test]
async fn each_workflow_is_what_its_table_says() {
    let verify = Verify::new().await;
    for wait in [None, Some("77")] {
        for (index, (workflow, table)) in TABLE.iter().enumerate() {
            let number = format!("49151123{}{index:04}", u8::from(wait.is_some()));
            let mut chosen = vec![("workflow_id", *workflow)];
            chosen.extend(wait.map(|wait| ("next_event_wait", wait)));
            let id = verify.begin(&number, &chosen).await;
            for position in 0..table.len() {
                let so_far: Vec<_> = table[..=position].iter().map(|(kind, _)| *kind).collect();
                let seconds = wait.map_or(table[position].1, |wait| wait.parse().unwrap());
                let found = verify.search(&id).await;
                assert_eq!(events(&found), so_far, "workflow {workflow}");
                verify.wait(seconds - 1).await;
                let found = verify.search(&id).await;
                assert_eq!(events(&found), so_far, "workflow {workflow}");
                assert_eq!(found["status"], "IN PROGRESS", "workflow {workflow}");
                assert_eq!(found["date_finalized"], "");
                verify.wait(1).await;
            }
            let found = verify.search(&id).await;
            assert_eq!(found["status"], "EXPIRED", "workflow {workflow}");
            assert_ne!(found["date_finalized"], "");
            assert_eq!(events(&found).len(), table.len());
            verify.begin(&number, &chosen).await;
        }
    }
}

/// The workflow of requests that name none is the first.
#[tokio::test]
async fn without_a_name_it_is_the_first_workflow() {
    let verify = Verify::new().await;
    let id = verify.begin("4915112345678", &[]).await;
    for (after, expected) in [
        (125, vec!["sms", "tts"]),
        (180, vec!["sms", "tts", "tts"]),
        (300, vec!["sms", "tts", "tts"]),
    ] {
        verify.wait(after).await;
        assert_eq!(events(&verify.search(&id).await), expected);
    }
    assert_eq!(verify.search(&id).await["status"], "EXPIRED");
}

/// How many codes there are after each event.
#[tokio::test]
async fn which_events_share_a_code_follows_from_its_life() {
    let verify = Verify::new().await;
    let cases: [(Form<'_>, [usize; 3]); 7] = [
        (&[], [1, 1, 2]),
        (&[("pin_expiry", "360"), ("next_event_wait", "120")], [1, 1, 1]),
        (&[("pin_expiry", "240"), ("next_event_wait", "120")], [1, 1, 2]),
        (&[("pin_expiry", "120"), ("next_event_wait", "120")], [1, 2, 3]),
        (&[("pin_expiry", "90"), ("next_event_wait", "120")], [1, 2, 3]),
        (&[("pin_expiry", "200"), ("next_event_wait", "120")], [1, 2, 3]),
        (&[("pin_expiry", "3600")], [1, 1, 1]),
    ];
    for (index, (chosen, expected)) in cases.into_iter().enumerate() {
        let id = verify.begin(&format!("491511234567{index}"), chosen).await;
        let mut counts = Vec::new();
        for wait in [125, 180, 0] {
            counts.push(verify.server.codes(&format!("VE{id}")).await.len());
            let wait = if chosen.len() == 2 { 120.min(wait) } else { wait };
            verify.wait(wait).await;
        }
        assert_eq!(counts, expected, "{chosen:?}");
    }
}

#[tokio::test]
async fn wrong_codes_count_for_each_code_and_the_third_ends_all() {
    let verify = Verify::new().await;
    let id = verify.begin("4915112345678", &[]).await;
    let code = verify.code(&id).await;
    let statuses = async |codes: &[&str]| {
        let mut statuses = Vec::new();
        for code in codes {
            statuses.push(verify.check(&id, code).await["status"].clone());
        }
        statuses
    };
    let wrong = another(&code);
    assert_eq!(statuses(&[&wrong, &wrong]).await, ["16", "16"]);
    // The third event brings another code, whose count begins anew.
    verify.wait(125).await;
    verify.wait(180).await;
    let second = verify.code(&id).await;
    let wrong = another(&second);
    assert_eq!(
        statuses(&[&wrong, &wrong, &wrong, &wrong, &second]).await,
        ["16", "16", "16", "17", "17"]
    );
    let found = verify.search(&id).await;
    assert_eq!(found["status"], "FAILED");
    assert_eq!(found["checks"].as_array().unwrap().len(), 5);
    assert_eq!(verify.control(&id, "cancel").await["status"], "6");
    verify.begin("4915112345678", &[]).await;
    verify.wait(300).await;
    assert_eq!(verify.check(&id, &second).await["status"], "6");
}

#[tokio::test]
async fn a_success_ends_the_sequence() {
    let verify = Verify::new().await;
    let id = verify
        .begin("4915112345678", &[("code_length", "6"), ("sender_id", "OWL")])
        .await;
    let code = verify.code(&id).await;
    assert_eq!(code.len(), 6);
    assert_eq!(verify.check(&id, &another(&code)).await["status"], "16");
    verify.server.wait(9);
    let form = [
        ("request_id", &*id),
        ("code", &*code),
        ("ip_address", "192.0.2.7"),
    ];
    let checked = verify.ask("/verify/check", &form).await;
    let found = verify.search(&id).await;
    assert_eq!(
        checked,
        json!({
            "request_id": id,
            "event_id": found["events"][0]["id"],
            "status": "0",
            "price": "0.00000000",
            "currency": "EUR",
        })
    );
    let again = verify.check(&id, &code).await;
    assert_eq!(again["status"], "6");
    assert!(again["error_text"].as_str().unwrap().contains(&format!(
        "Request '{id}' was not found or it has been verified already."
    )));
    verify.wait(700).await;
    let date = |seconds| format!("2027-01-15 08:00:{seconds:02}");
    assert_eq!(
        verify.search(&id).await,
        json!({
            "request_id": id,
            "account_id": verify.server.account.user,
            "number": "4915112345678",
            "price": "0.00000000",
            "currency": "EUR",
            "sender_id": "OWL",
            "date_submitted": date(0),
            "date_finalized": date(9),
            "first_event_date": date(0),
            "last_event_date": date(0),
            "checks": [
                { "date_received": date(0), "code": another(&code), "ip_address": "", "status": "INVALID" },
                { "date_received": date(9), "code": code, "ip_address": "192.0.2.7", "status": "VALID" },
            ],
            "events": [{ "type": "sms", "id": found["events"][0]["id"] }],
            "status": "SUCCESS",
        })
    );
}

#[tokio::test]
async fn a_request_is_canceled_after_thirty_seconds_and_while_events_are_left() {
    let verify = Verify::new().await;
    let id = verify.begin("4915112345678", &[]).await;
    verify.wait(29).await;
    let early = verify.control(&id, "cancel").await;
    assert_eq!(early["status"], "19");
    assert_eq!(
        early["error_text"],
        format!("Verification request ['{id}'] can't be cancelled within the first 30 seconds.")
    );
    let other = verify
        .ask("/verify", &[("number", "4915112345678"), ("brand", "Owl")])
        .await;
    assert_eq!(
        other,
        json!({
            "request_id": id,
            "status": "10",
            "error_text": "Concurrent verifications to the same number are not allowed",
        })
    );
    verify.wait(1).await;
    let canceled = verify.control(&id, "cancel").await;
    assert_eq!(canceled, json!({ "status": "0", "command": "cancel" }));
    assert_eq!(verify.search(&id).await["status"], "CANCELLED");
    verify.wait(700).await;
    assert_eq!(events(&verify.search(&id).await), ["sms"]);

    let id = verify.begin("4915112345678", &[]).await;
    for expected in [vec!["sms", "tts"], vec!["sms", "tts", "tts"]] {
        let next = verify.control(&id, "trigger_next_event").await;
        assert_eq!(next, json!({ "status": "0", "command": "trigger_next_event" }));
        assert_eq!(events(&verify.search(&id).await), expected);
    }
    let none = verify.control(&id, "trigger_next_event").await;
    assert_eq!(none["status"], "19");
    assert_eq!(
        none["error_text"],
        format!("No more events are left to execute for the request ['{id}']")
    );
    verify.wait(31).await;
    let late = verify.control(&id, "cancel").await;
    assert_eq!(late["status"], "19");
    assert_eq!(
        late["error_text"],
        format!(
            "Verification request  ['{id}'] can't be cancelled now. Too many attempts to re-deliver have already been made."
        )
    );
    verify.wait(269).await;
    assert_eq!(verify.search(&id).await["status"], "EXPIRED");
}
