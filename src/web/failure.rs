//! What the log and the metrics are told of failures.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use crate::dialect::RequestId;

/// Why a response says that we failed: an extension that whoever makes such a response attaches to it.
/// [`boundary`](super::boundary) logs it, together with the request's identifier; the client learns nothing of it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Cause(pub String);

/// What a response would be in HTTP, if it says in another place what became of the request: an extension, by which it is
/// counted, and logged if it is a 5xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountedAs(pub StatusCode);

/// What became of a request.
pub(super) fn outcome(response: &Response<Body>) -> StatusCode {
    let counted = response.extensions().get();
    counted.map_or(response.status(), |CountedAs(status)| *status)
}

/// Logs that we failed, if the response to this request says so.
pub(super) fn log(id: RequestId, response: &Response<Body>) {
    let status = outcome(response);
    if !status.is_server_error() {
        return;
    }
    let cause = response.extensions().get();
    let cause = cause.map_or("no cause was given", |Cause(cause)| cause.as_str());
    // Its identifier is a field: lines of one cause are alike, and a flood of them takes no other cause's place.
    tracing::error!(request = %id, status = status.as_u16(), "a request failed: {cause}");
}
