//! The answers to calls that no operation answers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::Response;

use crate::dialect::{AnswerForm, FailureAnswers, HttpFailure, RequestId};
use crate::web::rpc;

/// Answers with a status, as gRPC does.
#[derive(Clone, Copy, Debug)]
pub(super) struct ZitadelFailures;

impl FailureAnswers for ZitadelFailures {
    fn request_id(&self, id: RequestId, _: AnswerForm) -> (HeaderName, HeaderValue) {
        let value = HeaderValue::from_bytes(&id.digits()).expect("digits are a header's value");
        (HeaderName::from_static("x-request-id"), value)
    }

    fn form(&self, _: &Uri, headers: &HeaderMap) -> AnswerForm {
        rpc::form(headers)
    }

    fn answer(&self, failure: HttpFailure<'_>, form: AnswerForm) -> Response {
        rpc::answer(failure, form)
    }
}
