//! The operators' endpoints, on a listener of their own: `/health`, `/ready`, `/metrics`. They need no credentials, so
//! they tell counts and nothing of what is stored.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::metrics::{Requests, blocked_codes, code_offsets};
use super::rpc::ServerHealth;
use crate::app::App;
use crate::dialect::{AnswerForm, FailureAnswers, Http, HttpFailure, RequestId};
use crate::flows::store_format;

/// What the endpoints tell of.
#[derive(Debug)]
pub struct Ops {
    /// The parts whose state is told.
    pub app: Arc<App>,
    /// The requests of the API.
    pub requests: Arc<Requests>,
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

/// Prometheus' text format, version 0.0.4.
async fn metrics(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    let mut text = String::with_capacity(1024);
    text.push_str(
        "# HELP countersign_http_requests_total Answered requests of the API by the class of their status.\n",
    );
    text.push_str("# TYPE countersign_http_requests_total counter\n");
    for (class, count) in ops.requests.by_class() {
        let _ = writeln!(
            text,
            "countersign_http_requests_total{{status=\"{class}\"}} {count}"
        );
    }
    let waiting = ops.app.memory.waiters.waiting();
    let _ = write!(
        text,
        "# HELP countersign_waiters Requests and streams that wait for a change.\n\
         # TYPE countersign_waiters gauge\n\
         countersign_waiters {waiting}\n"
    );
    let store = ops.app.store.statistics();
    for (name, kind, help, value) in [
        (
            "commits_total",
            "counter",
            "Batches that were applied.",
            store.commits,
        ),
        (
            "conflicts_total",
            "counter",
            "Batches that came second and were decided anew.",
            store.conflicts,
        ),
        (
            "groups_total",
            "counter",
            "How often batches were made durable together.",
            store.groups,
        ),
        (
            "forged_reads_total",
            "counter",
            "Reads that were refused because somebody else changed the entry.",
            store.forged,
        ),
        (
            "disk_bytes",
            "gauge",
            "Bytes on disk; 0 if the engine cannot tell.",
            store.disk_bytes,
        ),
    ] {
        let name = format!("countersign_store_{name}");
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
        );
    }
    node_metrics(&ops.app, &mut text);
    backup_metrics(&ops.app, &mut text);
    outbox_metrics(&ops.app, &mut text);
    sender_metrics(&ops.app, &mut text);
    blocked_codes(&ops.app.memory.fraud.refused, &mut text);
    code_offsets(&ops.app.memory.code_offsets, &mut text);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

/// A server that has its store to itself is alone, and has no clock to compare its own with.
fn node_metrics(app: &App, text: &mut String) {
    let live = app.memory.nodes.live().unwrap_or(1);
    let _ = write!(
        text,
        "# HELP countersign_nodes Servers that run on the same store, this one included.\n\
         # TYPE countersign_nodes gauge\n\
         countersign_nodes {live}\n\
         # HELP countersign_clock_offset_seconds How far the database's clock is ahead of this machine's.\n\
         # TYPE countersign_clock_offset_seconds gauge\n"
    );
    if let Some(offset) = app.memory.nodes.clock() {
        let _ = writeln!(text, "countersign_clock_offset_seconds {}", offset.seconds());
    }
}

fn backup_metrics(app: &App, text: &mut String) {
    let (last, failures) = (app.memory.backups.last_good(), app.memory.backups.failures());
    let _ = write!(
        text,
        "# HELP countersign_backup_last_success_seconds When the last backup that a server made by itself was made; 0 if this \
         one knows of none.\n\
         # TYPE countersign_backup_last_success_seconds gauge\n\
         countersign_backup_last_success_seconds {last}\n\
         # HELP countersign_backup_failures_total How often none was made when one was due.\n\
         # TYPE countersign_backup_failures_total counter\n\
         countersign_backup_failures_total {failures}\n"
    );
}

fn outbox_metrics(app: &App, text: &mut String) {
    let counts = app.memory.deliveries.counts();
    for (name, kind, help, value) in [
        (
            "delivered_total",
            "counter",
            "Events, pushes and codes that their receivers took.",
            counts.delivered,
        ),
        (
            "failed_total",
            "counter",
            "Tries to deliver that failed.",
            counts.failed,
        ),
        (
            "dead_letters_total",
            "counter",
            "Events, pushes and codes that were given up.",
            counts.given_up,
        ),
        (
            "obsolete_total",
            "counter",
            "Events, pushes and codes that nobody wanted any more.",
            counts.obsolete,
        ),
        (
            "waiting_receivers",
            "gauge",
            "Receivers for whom something waits or is on its way.",
            counts.waiting_lanes,
        ),
    ] {
        let name = format!("countersign_outbox_{name}");
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
        );
    }
}

/// How the senders of codes do; they are named as the operator named them.
fn sender_metrics(app: &App, text: &mut String) {
    let counts = app.memory.senders.counts();
    for (result, help) in [
        ("sent", "Codes that the sender took."),
        ("failed", "Codes that the sender did not take."),
    ] {
        let name = format!("countersign_codes_{result}_total");
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n");
        for (sender, counts) in &counts {
            let value = if result == "sent" {
                counts.sent
            } else {
                counts.failed
            };
            let _ = writeln!(text, "{name}{{sender=\"{sender}\"}} {value}");
        }
    }
    let open = app.memory.sender_breakers.open(app.clock.now());
    let name = "countersign_code_sender_circuit_open";
    let _ = write!(
        text,
        "# HELP {name} 1 while a sender gets no codes because it failed several times in a row.\n# TYPE {name} gauge\n"
    );
    for sender in app.senders.codes.iter().map(|sender| sender.name) {
        let value = u8::from(open.contains(&sender));
        let _ = writeln!(text, "{name}{{sender=\"{sender}\"}} {value}");
    }
}
