//! What an answer says to the server itself. In HTTP almost every answer is 200, whatever became of the call.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Extensions, Response, StatusCode};
use tonic::{Code, Status};

use crate::dialect::Stranger;
use crate::web::failure::{Cause, CountedAs};

/// `told`, for a call that failed because of us: it counts as a 5xx. Callers learn nothing of `cause`; the log has it, beside
/// the request's identifier.
#[must_use]
pub fn failed(mut told: Status, cause: impl fmt::Display) -> Status {
    told.set_source(Arc::new(Cause(cause.to_string())));
    told
}

/// Notes what the service said in `answer`, unless that stands behind its body: then all went well, or it went on for a
/// while.
pub(super) fn note_said(answer: &mut Response<Body>) {
    let said = answer.extensions_mut().remove::<Status>();
    if let Some(status) = said.or_else(|| Status::from_header_map(answer.headers())) {
        note(&status, answer.extensions_mut());
    }
}

/// Notes in an answer that it says `status`.
pub(super) fn note(status: &Status, answer: &mut Extensions) {
    if status.code() == Code::Unauthenticated {
        answer.insert(Stranger);
    }
    let cause = status.source().and_then(|source| source.downcast_ref::<Cause>());
    answer.insert(CountedAs(counted_as(status.code(), cause.is_some())));
    if let Some(cause) = cause {
        answer.insert(cause.clone());
    }
}

/// What `code` would be in HTTP. `INTERNAL` is also what gRPC calls a message that cannot be read, and `UNAVAILABLE` what it
/// tells a caller with too many calls at once, so it is by its cause that a failure of ours is known: nobody can make us log
/// failures by sending nonsense.
fn counted_as(code: Code, has_cause: bool) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Unavailable if has_cause => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        _ if has_cause => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Cancelled | Code::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
        Code::NotFound | Code::Unimplemented => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted | Code::Unavailable => StatusCode::TOO_MANY_REQUESTS,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::FailedPrecondition | Code::Internal | Code::InvalidArgument | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
    }
}
