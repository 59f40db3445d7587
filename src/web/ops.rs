//! The operators' endpoints, on a listener of their own: `/health`, `/ready`, `/metrics`. They need no credentials, so
//! they tell counts and nothing of what is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::metrics::Metrics;
use super::rpc::ServerHealth;
use crate::app::App;
use crate::dialect::{AnswerForm, FailureAnswers, Http, HttpFailure, RequestId};
use crate::flows::store_format;

/// What the endpoints tell of.
#[derive(Debug)]
pub struct Ops {
    /// The parts whose state is told.
    pub app: Arc<App>,
    /// What `/metrics` tells.
    pub figures: Metrics,
    /// Set once no new requests are to be sent here.
    pub draining: AtomicBool,
}

/// The endpoints.
pub fn http(ops: Arc<Ops>) -> Http {
    let router = Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(ops);
    Http {
        router,
        failures: Arc::new(StatusOnly),
    }
}

/// Operators' programs go by the status.
#[derive(Debug)]
struct StatusOnly;

impl FailureAnswers for StatusOnly {
    fn request_id(&self, id: RequestId, _: AnswerForm) -> (HeaderName, HeaderValue) {
        let value = HeaderValue::from_bytes(&id.digits()).expect("digits are a header's value");
        (HeaderName::from_static("x-request-id"), value)
    }

    fn answer(&self, failure: HttpFailure<'_>, _: AnswerForm) -> Response {
        let status = match failure {
            HttpFailure::BodyBroken | HttpFailure::HeaderTwice { .. } | HttpFailure::HostUnclear => {
                StatusCode::BAD_REQUEST
            }
            HttpFailure::BodyTimedOut => StatusCode::REQUEST_TIMEOUT,
            HttpFailure::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            HttpFailure::HeadTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            HttpFailure::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            HttpFailure::NotFound { .. } => StatusCode::NOT_FOUND,
            HttpFailure::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            HttpFailure::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        status.into_response()
    }
}

/// 200 while the server serves.
async fn ready(State(ops): State<Arc<Ops>>) -> (StatusCode, &'static str) {
    match ops.health().await {
        ServerHealth::Serving => (StatusCode::OK, "ready\n"),
        ServerHealth::ClockIsWrong => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the clock of this machine is too far from the database's\n",
        ),
        ServerHealth::Failing => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
        ServerHealth::Ending => (StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down\n"),
    }
}

impl Ops {
    /// It serves while the store answers: one that failed to make a change durable refuses reads too.
    pub async fn health(&self) -> ServerHealth {
        const PATIENCE: Duration = Duration::from_secs(5);
        if self.draining.load(Ordering::Relaxed) {
            return ServerHealth::Ending;
        }
        if self.app.memory.nodes.clock_is_wrong() {
            return ServerHealth::ClockIsWrong;
        }
        match tokio::time::timeout(PATIENCE, store_format::check(&self.app)).await {
            Ok(Ok(())) => ServerHealth::Serving,
            Ok(Err(_)) | Err(_) => ServerHealth::Failing,
        }
    }
}

/// Prometheus' text format, or `OpenMetrics` 1.0 for whoever asks for that: it is the same text, but for how counters are described.
async fn metrics(State(ops): State<Arc<Ops>>, headers: HeaderMap) -> impl IntoResponse {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let wants_open_metrics = accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    let form = if wants_open_metrics {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4"
    };
    ([(header::CONTENT_TYPE, form)], ops.figures.text())
}
