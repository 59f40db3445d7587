//! What is written.

use prost_types::Any;
use serde_json::json;
use tonic::Code;
use tonic::metadata::MetadataMap;

use super::*;
use crate::dialect::{FailureAnswers as _, HttpFailure};

const GET: &str = "/auth/v1/users/me/phone";

#[tokio::test]
async fn answers_have_camel_case_long_numbers_as_text_dates_and_nothing_that_says_nothing() {
    let world = JsonWorld::new();
    for (given, expected) in [
        (
            json!({
                "details": {
                    "sequence": "18446744073709551615",
                    "creationDate": "2026-11-29T10:00:00Z",
                    "changeDate": "2026-11-29T10:00:00.250Z",
                    "resourceOwner": "AC1",
                },
                "phone": {"phone": "+32470123456", "isPhoneVerified": true},
            }),
            r#"{"details":{"sequence":"18446744073709551615","creationDate":"2026-11-29T10:00:00Z","changeDate":"2026-11-29T10:00:00.250Z","resourceOwner":"AC1"},"phone":{"phone":"+32470123456","isPhoneVerified":true}}"#,
        ),
        (
            json!({"details": {"sequence": 0, "resourceOwner": ""}, "phone": {"isPhoneVerified": false}}),
            r#"{"details":{},"phone":{}}"#,
        ),
        (json!({}), "{}"),
    ] {
        world.answers("zitadel.auth.v1.GetMyPhoneResponse", &given);
        let (status, headers, text) = world.ask(request("GET", GET, "")).await;
        assert_eq!((status, &*text), (200, expected));
        assert_eq!(headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn lists_and_enumerations_are_written() {
    let world = JsonWorld::new();
    world.answers(
        "zitadel.user.v2.ListAuthenticationFactorsResponse",
        &json!({"result": [{"state": 2, "otp": {}}, {"state": 1, "u2f": {"id": "1"}}]}),
    );
    let path = "/v2/users/a-user-1/authentication_factors/_search";
    let (_, _, text) = world.ask(request("POST", path, "{}")).await;
    assert_eq!(
        text,
        r#"{"result":[{"state":"AUTH_FACTOR_STATE_READY","otp":{}},{"state":"AUTH_FACTOR_STATE_NOT_READY","u2f":{"id":"1"}}]}"#
    );
}

fn detailed(code: Code, text: &str, details: Vec<(&str, Vec<u8>)>) -> Status {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Rich {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    let details = details.into_iter().map(|(kind, value)| Any {
        type_url: format!("type.googleapis.com/{kind}"),
        value,
    });
    let rich = Rich {
        code: code.into(),
        message: text.to_owned(),
        details: details.collect(),
    };
    Status::with_details(code, text, rich.encode_to_vec().into())
}

#[tokio::test]
async fn errors_bring_their_details() {
    let world = JsonWorld::new();
    let kind = "zitadel.v1.ErrorDetail";
    let detail = DynamicMessage::deserialize(
        pool().get_message_by_name(kind).unwrap(),
        json!({"id": "COMMAND-sM0cs", "message": "Code is \"invalid\""}),
    );
    let detail = detail.unwrap().encode_to_vec();
    world.refuses(detailed(
        Code::InvalidArgument,
        "Code is \"invalid\" (COMMAND-sM0cs)",
        vec![(kind, detail), ("nobody.Knows", vec![1, 2]), (kind, vec![0xff])],
    ));
    let (status, headers, text) = world
        .ask(request(
            "POST",
            "/auth/v1/users/me/phone/_verify",
            r#"{"code":"1"}"#,
        ))
        .await;
    assert_eq!(status, 400);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(
        text,
        r#"{"code":3,"message":"Code is \"invalid\" (COMMAND-sM0cs)","details":[{"@type":"type.googleapis.com/zitadel.v1.ErrorDetail","id":"COMMAND-sM0cs","message":"Code is \"invalid\""}]}"#
    );
    // Details that are none are no reason to say nothing.
    world.refuses(Status::with_details(Code::NotFound, "gone", vec![0xff].into()));
    let (status, _, text) = world.ask(request("GET", GET, "")).await;
    assert_eq!((status, &*text), (404, r#"{"code":5,"message":"gone"}"#));
}

#[tokio::test]
async fn each_status_has_its_number_in_http() {
    let world = JsonWorld::new();
    for (code, number, http) in [
        (Code::Cancelled, 1, 499),
        (Code::Unknown, 2, 500),
        (Code::InvalidArgument, 3, 400),
        (Code::DeadlineExceeded, 4, 504),
        (Code::NotFound, 5, 404),
        (Code::AlreadyExists, 6, 409),
        (Code::PermissionDenied, 7, 403),
        (Code::ResourceExhausted, 8, 429),
        (Code::FailedPrecondition, 9, 400),
        (Code::Aborted, 10, 409),
        (Code::OutOfRange, 11, 400),
        (Code::Unimplemented, 12, 501),
        (Code::Internal, 13, 500),
        (Code::Unavailable, 14, 503),
        (Code::DataLoss, 15, 500),
        (Code::Unauthenticated, 16, 401),
    ] {
        world.refuses(Status::new(code, "no"));
        let (status, _, text) = world.ask(request("GET", GET, "")).await;
        assert_eq!(status, http, "{code:?}");
        assert_eq!(text, format!(r#"{{"code":{number},"message":"no"}}"#));
    }
    let mut metadata = MetadataMap::new();
    metadata.insert("retry-after", "17".parse().unwrap());
    world.refuses(Status::with_metadata(Code::ResourceExhausted, "later", metadata));
    let (status, headers, _) = world.ask(request("GET", GET, "")).await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "17"));
}

#[tokio::test]
async fn what_fails_outside_of_a_call_is_answered_in_the_form_of_the_request() {
    let call = request("POST", GET, "");
    let mut grpc = HeaderMap::new();
    grpc.insert("content-type", "application/grpc-web+proto".parse().unwrap());
    for (failure, http, code) in [
        (HttpFailure::BodyBroken, 400, 1),
        (HttpFailure::BodyTimedOut, 408, 4),
        (HttpFailure::BodyTooLarge { most: 1 }, 413, 8),
        (HttpFailure::HeadTooLarge { most: 1 }, 431, 8),
        (
            HttpFailure::HeaderTwice {
                name: "authorization",
            },
            400,
            3,
        ),
        (HttpFailure::HostUnclear, 400, 3),
        (HttpFailure::MethodNotAllowed, 501, 12),
        (HttpFailure::NotFound { path: "/x" }, 404, 5),
        (HttpFailure::Overloaded, 503, 14),
        (HttpFailure::Panicked, 500, 13),
    ] {
        let form = JsonFailures.form(call.uri(), call.headers());
        let response = JsonFailures.answer(failure, form);
        assert_eq!(response.status(), http, "{failure:?}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let error: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(error["code"], code, "{failure:?}");
        let form = JsonFailures.form(call.uri(), &grpc);
        let response = JsonFailures.answer(failure, form);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc-web+proto");
    }
    // A call of gRPC to a path of JSON.
    let world = JsonWorld::new();
    let mut call = request("POST", "/auth/v1/users/me/phone/_verify", "");
    *call.headers_mut() = grpc;
    let (status, headers, _) = world.ask(call).await;
    assert_eq!((status, headers["grpc-status"].to_str().unwrap()), (200, "12"));
}

#[tokio::test]
async fn what_the_service_should_not_answer_is_said_without_saying_more() {
    let world = JsonWorld::new();
    *world.answer.lock().unwrap() = Ok(vec![0xff; 3]);
    let (status, _, text) = world.ask(request("GET", GET, "")).await;
    assert_eq!(
        (status, &*text),
        (500, r#"{"code":13,"message":"an internal error occurred"}"#)
    );
}
