//! Failures that no dialect answered: refused before one was asked, or of our own making.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

/// Why a response is a 5xx: an extension that whoever makes such a response attaches to it. [`boundary`](super::boundary)
/// logs it, together with the request's identifier; the client learns nothing of it.
#[derive(Clone, Debug)]
pub struct Cause(pub String);

/// An error in the form that the Twilio clients read.
pub(super) fn response(status: u16, code: u32, message: &str) -> Response<Body> {
    let body = serde_json::json!({
        "code": code,
        "message": message,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
