//! Which operation is where.

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};

use super::call::Vonage;
use super::failures::respond;
use super::reply::ReplyFormat;
use super::{check, control, network_unblock, search, start};
use crate::dialect::HttpFailure;
use crate::web::routes::noted;

/// Where everything of this protocol is.
pub(super) const PREFIX: &str = "/verify/";

macro_rules! operations {
    ($($path:literal => $handler:path;)+) => {
        /// The paths of all operations that answer in both forms, to GET as well as to POST.
        pub const PATHS: &[&str] = &[$($path),+];

        fn operations() -> Router<Vonage> {
            Router::new()$(
                .route(&format!("{}/json", $path), get($handler).post($handler).head(method_not_allowed))
                .route(&format!("{}/xml", $path), get($handler).post($handler).head(method_not_allowed))
            )+
        }
    };
}

operations! {
    "/verify" => start::start;
    "/verify/psd2" => start::start_psd2;
    "/verify/check" => check::check;
    "/verify/search" => search::search;
    "/verify/control" => control::control;
}

/// The one operation that answers in JSON only, to POST only, and with statuses of HTTP.
pub const NETWORK_UNBLOCK: &str = "/verify/network-unblock";

pub(super) fn router(vonage: Vonage) -> Router {
    noted(operations().route(NETWORK_UNBLOCK, post(network_unblock::unblock)))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown_path)
        .with_state(vonage)
}

/// What the answer to a request for `path` is called in XML if it is an error.
pub(super) fn root(path: &str) -> &'static str {
    if path.starts_with("/verify/control/") {
        "response"
    } else {
        "verify_response"
    }
}

/// In which form a request for `path` is answered.
pub(super) fn format(path: &str) -> ReplyFormat {
    let name = path.rsplit('/').next().unwrap_or_default();
    ReplyFormat::parse(name).unwrap_or(ReplyFormat::Json)
}

async fn unknown_path(request: Request) -> Response {
    let path = request.uri().path();
    respond(HttpFailure::NotFound { path }, root(path), format(path))
}

async fn method_not_allowed(request: Request) -> Response {
    let path = request.uri().path();
    respond(HttpFailure::MethodNotAllowed, root(path), format(path))
}

/// Whether a request with this head is for this dialect.
#[must_use]
pub fn claims(uri: &axum::http::Uri, _: &HeaderMap) -> bool {
    uri.path().starts_with(PREFIX)
}
