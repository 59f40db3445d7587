//! The answers to requests that no operation answers: statuses of HTTP, with the protocol's fields in their bodies.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;

use super::reply::{ReplyFormat, VerifyReply};
use super::routes;
use crate::dialect::{AnswerForm, FailureAnswers, HttpFailure, RequestId};

/// Answers as the operations do, in the form that the path asks for.
#[derive(Clone, Copy, Debug)]
pub struct VonageFailures;

impl FailureAnswers for VonageFailures {
    fn request_id(&self, id: RequestId, _: AnswerForm) -> (HeaderName, HeaderValue) {
        let value = HeaderValue::from_bytes(&id.digits()).expect("letters and digits are a header's value");
        (HeaderName::from_static("x-request-id"), value)
    }

    fn form(&self, uri: &Uri, _: &HeaderMap) -> AnswerForm {
        let path = uri.path();
        let xml = u8::from(routes::format(path) == ReplyFormat::Xml);
        let control = u8::from(routes::root(path) == CONTROL);
        AnswerForm(xml | control << 1)
    }

    fn answer(&self, failure: HttpFailure<'_>, form: AnswerForm) -> Response {
        let format = if form.0 & 1 == 0 {
            ReplyFormat::Json
        } else {
            ReplyFormat::Xml
        };
        let root = if form.0 & 2 == 0 {
            "verify_response"
        } else {
            CONTROL
        };
        respond(failure, root, format)
    }
}

/// The answer to a request that no operation answers.
pub(super) fn respond(failure: HttpFailure<'_>, root: &'static str, format: ReplyFormat) -> Response {
    let is_overload = failure == HttpFailure::Overloaded;
    let (http, status, text) = told(failure);
    let reply = VerifyReply::new(root)
        .with("status", status)
        .with("error_text", text);
    let mut response = reply.respond(http, format);
    if is_overload {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn told(failure: HttpFailure<'_>) -> (StatusCode, &'static str, String) {
    match failure {
        HttpFailure::BodyBroken | HttpFailure::BodyTimedOut => (
            StatusCode::REQUEST_TIMEOUT,
            "6",
            "The body did not arrive in time; send it again".to_owned(),
        ),
        HttpFailure::BodyTooLarge { most } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "6",
            format!("The body must be at most {} KiB long", most / 1024),
        ),
        HttpFailure::HeadTooLarge { most } => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "6",
            format!("The headers must be at most {} KiB long", most / 1024),
        ),
        HttpFailure::HeaderTwice { name } => (
            StatusCode::BAD_REQUEST,
            "6",
            format!("The header {name} must be sent once"),
        ),
        HttpFailure::HostUnclear => (
            StatusCode::BAD_REQUEST,
            "6",
            "The request must name one host, in one Host header".to_owned(),
        ),
        HttpFailure::MethodNotAllowed => (
            StatusCode::METHOD_NOT_ALLOWED,
            "6",
            "This path takes GET and POST, and /verify/network-unblock takes POST".to_owned(),
        ),
        HttpFailure::NotFound { .. } => (
            StatusCode::NOT_FOUND,
            "6",
            "There is no such path; paths end in /json or /xml".to_owned(),
        ),
        HttpFailure::Overloaded => (
            StatusCode::TOO_MANY_REQUESTS,
            "1",
            "Throttled: too many requests at once; try again when others are answered".to_owned(),
        ),
        HttpFailure::Panicked => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "5",
            "Internal Error".to_owned(),
        ),
    }
}

const CONTROL: &str = "response";
