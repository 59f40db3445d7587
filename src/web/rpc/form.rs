//! The forms in which calls arrive and are answered, and the answer to a call that fails outside of its operation.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};
use tonic::Status;

use super::outcome::{self, failed};
use crate::dialect::{AnswerForm, FailureAnswers, HttpFailure, RequestId};

/// The form of a call (gRPC over HTTP/2, "Requests"; gRPC-Web, "Protocol differences vs gRPC over HTTP2").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallForm {
    /// Over HTTP/2, with trailers.
    Native,
    /// gRPC-Web: trailers are the last frame of the body.
    Web,
    /// gRPC-Web in base64.
    WebText,
}

impl CallForm {
    /// The form that these headers announce, if it is one whose messages are of Protocol Buffers.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let media_type = media_type(headers)?;
        let forms = [
            ("application/grpc-web-text", Self::WebText),
            ("application/grpc-web", Self::Web),
            ("application/grpc", Self::Native),
        ];
        forms.into_iter().find_map(|(name, form)| {
            let rest = media_type.strip_prefix(name)?;
            matches!(rest, "" | "+proto").then_some(form)
        })
    }

    /// As the libraries spell it, which want it without parameters.
    pub(super) fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Native => "application/grpc",
            Self::Web => "application/grpc-web+proto",
            Self::WebText => "application/grpc-web-text+proto",
        })
    }

    pub(super) fn answer_form(self) -> AnswerForm {
        match self {
            Self::Native => AnswerForm::default(),
            Self::Web => WEB,
            Self::WebText => WEB_TEXT,
        }
    }
}

const WEB: AnswerForm = AnswerForm(1);
const WEB_TEXT: AnswerForm = AnswerForm(2);

/// Without parameters, in lower case; nothing if there are two, of which whoever stands in between may have gone by the
/// other.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let value = value.to_str().ok()?;
    let media_type = value.split(';').next().unwrap_or_default();
    Some(media_type.trim().to_ascii_lowercase())
}

/// Whether a request with these headers is one of gRPC, in whichever form. What is none is never handed to a service.
#[must_use]
pub fn is_call(headers: &HeaderMap) -> bool {
    CallForm::of(headers).is_some()
}

/// In which form such a request is answered when it fails.
#[must_use]
pub fn form(headers: &HeaderMap) -> AnswerForm {
    CallForm::of(headers).unwrap_or(CallForm::Native).answer_form()
}

/// The answer to a call that failed outside of its operation: a status in the headers, without any message (gRPC over
/// HTTP/2, "Trailers-Only").
#[must_use]
pub fn answer(failure: HttpFailure<'_>, form: AnswerForm) -> Response<Body> {
    refuse(&status(failure), form)
}

/// The answer that consists of `status` alone.
#[must_use]
pub fn refuse(status: &Status, form: AnswerForm) -> Response<Body> {
    let kind = match form {
        WEB => CallForm::Web,
        WEB_TEXT => CallForm::WebText,
        _ => CallForm::Native,
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind.media_type());
    // What it says is short, so it always fits a header.
    let _always_written = status.add_header(headers);
    outcome::note(status, response.extensions_mut());
    response
}

/// The answer to what is no call at all (gRPC over HTTP/2, "Requests": 415).
pub(super) fn no_call() -> Response<Body> {
    let why = Status::invalid_argument("send content-type: application/grpc, or application/grpc-web");
    let mut response = refuse(&why, AnswerForm::default());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

pub(super) fn status(failure: HttpFailure<'_>) -> Status {
    match failure {
        HttpFailure::BodyBroken => Status::cancelled("the request ended before it was complete"),
        HttpFailure::BodyTimedOut => Status::deadline_exceeded("the request took too long to arrive"),
        HttpFailure::BodyTooLarge { most } => {
            Status::resource_exhausted(format!("the request may have {most} bytes at the most"))
        }
        HttpFailure::HeadTooLarge { most } => {
            Status::resource_exhausted(format!("the metadata may have {most} bytes at the most"))
        }
        HttpFailure::HeaderTwice { name } => {
            Status::invalid_argument(format!("the header {name} must be sent once"))
        }
        HttpFailure::HostUnclear => Status::invalid_argument("the request must name one host"),
        HttpFailure::MethodNotAllowed => Status::unimplemented("calls are made with POST"),
        HttpFailure::NotFound { .. } => Status::unimplemented("there is no such method"),
        HttpFailure::Overloaded => Status::unavailable("too many calls at once; try again"),
        HttpFailure::Panicked => failed(Status::internal("an internal error occurred"), "panicked"),
    }
}

/// Answers with a status, as gRPC does.
#[derive(Clone, Copy, Debug)]
pub struct CallFailures;

impl FailureAnswers for CallFailures {
    fn request_id(&self, id: RequestId, _: AnswerForm) -> (HeaderName, HeaderValue) {
        let value = HeaderValue::from_bytes(&id.digits()).expect("digits are a header's value");
        (HeaderName::from_static("x-request-id"), value)
    }

    fn form(&self, _: &Uri, headers: &HeaderMap) -> AnswerForm {
        form(headers)
    }

    fn answer(&self, failure: HttpFailure<'_>, form: AnswerForm) -> Response<Body> {
        answer(failure, form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart_whatever_stands_behind_them() {
        for (text, expected) in [
            ("application/grpc", Some(CallForm::Native)),
            ("application/grpc+proto", Some(CallForm::Native)),
            ("Application/gRPC; charset=utf-8", Some(CallForm::Native)),
            ("application/grpc-web", Some(CallForm::Web)),
            ("application/grpc-web+proto", Some(CallForm::Web)),
            ("application/grpc-web+proto;x=1", Some(CallForm::Web)),
            ("application/grpc-web-text", Some(CallForm::WebText)),
            ("application/grpc-web-text+proto", Some(CallForm::WebText)),
            ("application/grpc+json", None),
            ("application/grpcs", None),
            ("application/json", None),
            ("text/plain", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, text.parse().unwrap());
            assert_eq!(CallForm::of(&headers), expected, "{text}");
        }
        assert_eq!(CallForm::of(&HeaderMap::new()), None);
    }
}
