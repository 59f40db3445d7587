//! Whoever holds answers to a document must find what differs from it.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{faults, operation};

const RATE_LIMIT: &str = "/v2/Services/VA0/RateLimits/RK0";
const VERIFICATIONS: &str = "/v2/Services/VA0/Verifications";

fn rate_limit() -> Value {
    let sid = |prefix: &str| format!("{prefix}{}", "0a".repeat(16));
    json!({
        "sid": sid("RK"), "service_sid": sid("VA"), "account_sid": sid("AC"), "unique_name": "ip", "description": null,
        "date_created": "2026-01-31T12:00:00Z", "date_updated": "2026-01-31T12:00:00Z",
        "url": "https://verify.example/v2/x", "links": {"buckets": "https://verify.example/v2/y"},
    })
}

fn of(status: u16, body: &Value) -> String {
    faults("GET", RATE_LIMIT, status, &HeaderMap::new(), body).join("; ")
}

fn with(member: &str, value: Value) -> String {
    let mut body = rate_limit();
    body[member] = value;
    of(200, &body)
}

#[test]
fn what_differs_from_the_document_is_found() {
    assert_eq!(of(200, &rate_limit()), "");
    assert!(of(201, &rate_limit()).contains("does not declare 201"));
    for (member, value) in [
        ("sid", json!("RK0")),
        ("sid", json!(format!("VA{}", "0a".repeat(16)))),
        ("unique_name", json!(7)),
        ("date_created", json!("2026-01-31T12:00:00+00:00")),
        ("date_created", json!("2026-01-31T12:00:00.5Z")),
        ("date_created", json!("yesterday")),
        ("url", json!("/v2/x")),
        ("links", json!({"buckets": "/v2/y"})),
        ("links", json!([])),
        ("beyond", json!(null)),
    ] {
        let found = with(member, value.clone());
        assert!(found.contains(member), "{member} {value}: {found}");
    }
    let mut body = rate_limit();
    body.as_object_mut().unwrap().remove("description");
    assert!(
        of(200, &body).ends_with("description is absent"),
        "{}",
        of(200, &body)
    );
}

#[test]
fn errors_have_one_form_wherever_they_come_from() {
    let error = json!({"code": 20404, "message": "x", "more_info": "x", "status": 404});
    assert_eq!(of(404, &error), "");
    assert_ne!(of(400, &error), "", "the body says another status");
    assert_ne!(
        of(
            418,
            &json!({"code": 1, "message": "x", "more_info": "x", "status": 418})
        ),
        ""
    );
    assert_ne!(
        of(
            404,
            &json!({"code": "20404", "message": "x", "more_info": "x", "status": 404})
        ),
        ""
    );
    assert_ne!(
        of(404, &json!({"code": 20404, "message": "x", "status": 404})),
        ""
    );
}

#[test]
fn headers_are_sent_where_they_are_declared() {
    let error = json!({"code": 20429, "message": "x", "more_info": "x", "status": 429});
    let of = |path: &str, name: &'static str, value: &'static str| {
        let headers = [(HeaderName::from_static(name), HeaderValue::from_static(value))];
        let headers = headers.into_iter().collect();
        faults("POST", path, 429, &headers, &error).join("; ")
    };
    assert_eq!(of(VERIFICATIONS, "retry-after", "5"), "");
    assert_eq!(of(VERIFICATIONS, "twilio-reached-rate-limit", "ip"), "");
    assert_ne!(of(VERIFICATIONS, "retry-after", "6"), "");
    assert_ne!(
        of(VERIFICATIONS, "retry-after", "Sat, 31 Jan 2026 12:00:00 GMT"),
        ""
    );
    assert_ne!(of(RATE_LIMIT, "retry-after", "1"), "");
    assert_ne!(of(RATE_LIMIT, "twilio-reached-rate-limit", "ip"), "");
}

#[test]
fn the_operation_is_found_by_its_path() {
    assert_eq!(
        operation("GET", "/v2/Attempts/Summary"),
        Some("GET /v2/Attempts/Summary")
    );
    assert_eq!(
        operation("GET", "/v2/Attempts/VL0"),
        Some("GET /v2/Attempts/{Sid}")
    );
    for (method, path) in [
        ("PUT", "/v2/Services"),
        ("GET", "/v2/Services/"),
        ("GET", "/v1/Credentials"),
    ] {
        assert_eq!(operation(method, path), None, "{method} {path}");
    }
}
