//! The answers to requests that no operation answers.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::error::{ApiError, said};
use crate::dialect::{AnswerForm, FailureAnswers, HttpFailure, RequestId};
use crate::web::public_url::PublicUrl;

/// Answers as the operations do: with an error in JSON.
#[derive(Clone, Debug, Default)]
pub struct TwilioFailures {
    /// How clients reach this server. If only a request can tell, the link to an error's page is a path.
    pub public_url: PublicUrl,
}

impl FailureAnswers for TwilioFailures {
    /// Twilio's identifiers of requests are `RQ` and 32 hexadecimal digits.
    fn request_id(&self, id: RequestId, _: AnswerForm) -> (HeaderName, HeaderValue) {
        let mut text = *b"RQ00000000000000000000000000000000";
        text[2..].copy_from_slice(&id.digits());
        let value = HeaderValue::from_bytes(&text).expect("letters and digits are a header's value");
        (HeaderName::from_static("twilio-request-id"), value)
    }

    fn answer(&self, failure: HttpFailure<'_>, _: AnswerForm) -> Response {
        said(
            ApiError::from(failure).into_response(),
            self.public_url.fixed_base(),
        )
    }
}

impl From<HttpFailure<'_>> for ApiError {
    fn from(failure: HttpFailure<'_>) -> Self {
        match failure {
            HttpFailure::BodyBroken | HttpFailure::BodyTimedOut => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                60306,
                "The body did not arrive in time; send it again",
            ),
            HttpFailure::BodyTooLarge { most } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                60306,
                format!("The body must be at most {} KiB long", most / 1024),
            ),
            HttpFailure::HeadTooLarge { most } => Self::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                60306,
                format!("The headers must be at most {} KiB long", most / 1024),
            ),
            HttpFailure::HostUnclear => Self::new(
                StatusCode::BAD_REQUEST,
                20001,
                "The request must name one host: send one Host header, with a name or an address and perhaps a port, \
                 which says the same as the request's URI if that names a host",
            ),
            HttpFailure::HeaderTwice { name } => Self::new(
                StatusCode::BAD_REQUEST,
                20001,
                format!("The header {name} must be sent once"),
            ),
            HttpFailure::MethodNotAllowed => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                20004,
                "Method not allowed on this resource",
            ),
            HttpFailure::NotFound { path } => Self::not_found(path),
            HttpFailure::Overloaded => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                20429,
                "Too many requests at once; try again when others are answered",
            )
            .retry_after(Duration::from_secs(1)),
            HttpFailure::Panicked => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                20500,
                "An internal error occurred",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn requests_are_named_as_twilio_names_them() {
        let id = RequestId(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");
        let (name, value) = TwilioFailures::default().request_id(id, AnswerForm::default());
        assert_eq!(name, "twilio-request-id");
        assert_eq!(value, "RQ0123456789abcdef0123456789abcdef");
    }

    async fn body_of(failure: HttpFailure<'_>) -> String {
        let response = TwilioFailures::default().answer(failure, AnswerForm::default());
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn failures_are_errors_as_the_helper_libraries_read_them() {
        assert_eq!(
            body_of(HttpFailure::Panicked).await,
            r#"{"code":20500,"message":"An internal error occurred","more_info":"/docs/errors/20500","status":500}"#
        );
        assert_eq!(
            body_of(HttpFailure::HeadTooLarge { most: 32 * 1024 }).await,
            r#"{"code":60306,"message":"The headers must be at most 32 KiB long","more_info":"/docs/errors/60306","status":431}"#
        );
    }
}
