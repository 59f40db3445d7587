//! Networks that are closed because of suspected fraud, and opened again.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use countersign::app::Policy;
use countersign::domain::fraud::settings::Settings;
use serde_json::{Value, json};

use super::world::Verify;
use crate::support::{Credentials, TestApp};

/// A server on which two codes an hour may go to numbers that begin alike.
async fn narrow() -> Verify {
    let policy = Policy {
        toll_fraud: Settings {
            prefix_per_hour: Some(2),
            ..Settings::off()
        },
        ..crate::doubles::policy()
    };
    Verify::of(TestApp::new().await.with_policy(policy))
}

async fn unblock(verify: &Verify, who: Option<&Credentials>, body: &Value) -> (u16, Value) {
    let mut request = Request::post("/verify/network-unblock").header(CONTENT_TYPE, "application/json");
    if let Some(who) = who {
        request = request.header(AUTHORIZATION, who.header());
    }
    let answer = verify
        .send(request.body(Body::from(body.to_string())).unwrap())
        .await;
    let kind = if answer.status == 200 {
        "application/json"
    } else {
        "application/problem+json"
    };
    assert_eq!(answer.headers[CONTENT_TYPE], kind);
    (answer.status, serde_json::from_str(&answer.text).unwrap())
}

async fn start(verify: &Verify, number: &str) -> Value {
    let form = [("number", number), ("brand", "Owl Bank"), ("workflow_id", "6")];
    verify.ask("/verify", &form).await
}

#[tokio::test]
async fn a_network_that_is_closed_is_told_and_opened_for_a_while() {
    let verify = narrow().await;
    let own = Some(verify.server.account.clone());
    for number in ["4915112340001", "4915112340002"] {
        assert_eq!(start(&verify, number).await["status"], "0");
    }
    let closed = start(&verify, "4915112340003").await;
    assert_eq!(
        closed,
        json!({
            "status": "7",
            "network": "491511234",
            "error_text": "The network you are trying to verify has been blocked due to possible fraudulent activity",
        })
    );
    let body = json!({ "network": closed["network"], "unblock_duration": 600 });
    let (status, opened) = unblock(&verify, own.as_ref(), &body).await;
    assert_eq!(status, 200, "{opened}");
    assert_eq!(
        opened,
        json!({ "network": "491511234", "unblocked_until": "2027-01-15T08:10:00Z" })
    );
    for number in 3..9 {
        let begun = start(&verify, &format!("491511234000{number}")).await;
        assert_eq!(begun["status"], "0", "{begun}");
    }
    verify.wait(599).await;
    assert_eq!(start(&verify, "4915112340010").await["status"], "0");
    verify.wait(1).await;
    assert_eq!(start(&verify, "4915112340011").await["status"], "7");
    // Other accounts' networks are theirs.
    let other = verify.server.another_account().await;
    assert_eq!(unblock(&verify, Some(&other), &body).await.0, 404);
}

#[tokio::test]
async fn what_is_no_closed_network_is_a_problem() {
    let verify = narrow().await;
    let own = verify.server.account.clone();
    let wrong = Credentials::new(&own.user, "wrong");
    for (who, body, status) in [
        (Some(&own), json!({ "network": "491511234" }), 404),
        (Some(&own), json!({ "network": "25503" }), 404),
        (Some(&own), json!({ "network": "@example.com" }), 404),
        (Some(&own), json!({ "network": "x" }), 404),
        (Some(&own), json!({}), 422),
        (Some(&own), json!({ "network": "491511234", "duration": 0 }), 422),
        (
            Some(&own),
            json!({ "network": "491511234", "unblock_duration": 86401 }),
            422,
        ),
        (
            Some(&own),
            json!({ "network": "491511234", "unblock_duration": 60, "duration": 61 }),
            422,
        ),
        (Some(&own), json!([]), 422),
        (Some(&wrong), json!({ "network": "491511234" }), 401),
        (None, json!({ "network": "491511234" }), 401),
    ] {
        let (found, problem) = unblock(&verify, who, &body).await;
        assert_eq!(found, status, "{body} {problem}");
        let names: Vec<_> = problem.as_object().unwrap().keys().collect();
        assert_eq!(names, ["type", "title", "detail", "instance"]);
    }
}
