//! What an answer says to the server itself. In HTTP almost every answer is 200, whatever became of the call.

use axum::body::Body;
use axum::http::{Extensions, Response};
use tonic::{Code, Status};

use crate::dialect::Stranger;

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
}
