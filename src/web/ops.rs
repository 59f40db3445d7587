//! The operators' endpoints, on a listener of their own: `/livez`, `/readyz`, `/startupz`, `/metrics`, and the manual at `/docs`.
//! They need no credentials, so they tell counts and nothing of what is stored. `/health` and `/ready` are what `/livez` and
//! `/readyz` were called first.
//!
//! They are served while the server starts, too, which may take long: a store may have to be read, or a key be asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::docs::{self, ManualScope};
use super::metrics::Metrics;
use super::readiness::{Readiness, ReadinessForm, Unready};
use crate::app::App;
use crate::dialect::{AnswerForm, FailureAnswers, Http, HttpFailure, RequestId};
use crate::domain::store_condition::StoreCondition;
use crate::flows::store_format;

/// What the endpoints tell of. At first that is a server that starts.
#[derive(Debug, Default)]
pub struct Ops {
    /// Set once the server serves.
    served: OnceLock<ServedApp>,
    /// Set once no new requests are to be sent here.
    draining: AtomicBool,
}

#[derive(Debug)]
struct ServedApp {
    app: Arc<App>,
    figures: Metrics,
}

/// The endpoints.
pub fn http(ops: Arc<Ops>) -> Http {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/health", get(live))
        .route("/readyz", get(ready))
        .route("/ready", get(ready))
        .route("/startupz", get(started))
        .route("/metrics", get(metrics))
        .with_state(ops)
        .merge(docs::router(ManualScope::Whole));
    Http {
        router,
        failures: Arc::new(StatusOnly),
    }
}

/// Operators' programs go by the status.
#[derive(Debug)]
pub(super) struct StatusOnly;

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

/// 200 unless the process is of no more use: it ends by itself then, or whoever asks ends it.
async fn live(State(ops): State<Arc<Ops>>) -> Response {
    if ops.store_has_failed() {
        return Readiness::not(Unready::StoreFailed).answer(ReadinessForm::Text);
    }
    "ok\n".into_response()
}

/// 200 once everything that a start does is done, from then on.
async fn started(State(ops): State<Arc<Ops>>) -> Response {
    if ops.served.get().is_none() {
        return Readiness::not(Unready::Starting).answer(ReadinessForm::Text);
    }
    "started\n".into_response()
}

/// 200 while the server serves.
async fn ready(State(ops): State<Arc<Ops>>, headers: HeaderMap) -> Response {
    let form = if accepts(&headers, "application/json") {
        ReadinessForm::Json
    } else {
        ReadinessForm::Text
    };
    ops.readiness().await.answer(form)
}

impl Ops {
    /// Everything that a start does is done: the server serves.
    pub fn begin(&self, app: Arc<App>, figures: Metrics) {
        let _begun_already = self.served.set(ServedApp { app, figures });
    }

    /// No new requests are to be sent here from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server serves. The store has to answer within five seconds: one that failed to make a change durable refuses
    /// reads too, and one whose disk is full says so.
    pub(crate) async fn readiness(&self) -> Readiness {
        const PATIENCE: Duration = Duration::from_secs(5);
        let Some(ServedApp { app, .. }) = self.served.get() else {
            return Readiness::not(Unready::Starting);
        };
        let warnings = app.memory.machine.warnings(app.clock.now(), Instant::now());
        let store = app.engine.condition();
        let mut unready = Vec::new();
        if self.draining.load(Ordering::Relaxed) {
            unready.push(Unready::Ending);
        }
        if app.memory.nodes.clock_is_wrong() {
            unready.push(Unready::ClockIsWrong);
        }
        match store {
            StoreCondition::Failed(_) => unready.push(Unready::StoreFailed),
            StoreCondition::Full(low) => unready.push(Unready::DiskIsFull(low)),
            // What ends is not asked: that may take as long as the end.
            StoreCondition::Working if unready.is_empty() => {
                let answered = tokio::time::timeout(PATIENCE, store_format::check(app)).await;
                if !matches!(answered, Ok(Ok(()))) {
                    unready.push(Unready::StoreIsSilent);
                }
            }
            StoreCondition::Working => {}
        }
        if unready.is_empty() && app.memory.nodes.store_takes_no_change() {
            unready.push(Unready::StoreTakesNoChange);
        }
        Readiness { unready, warnings }
    }

    fn store_has_failed(&self) -> bool {
        let served = self.served.get();
        served.is_some_and(|served| matches!(served.app.engine.condition(), StoreCondition::Failed(_)))
    }
}

/// Prometheus' text format, or `OpenMetrics` 1.0 for whoever asks for that: it is the same text, but for how counters are described.
async fn metrics(State(ops): State<Arc<Ops>>, headers: HeaderMap) -> Response {
    let Some(ServedApp { figures, .. }) = ops.served.get() else {
        return Readiness::not(Unready::Starting).answer(ReadinessForm::Text);
    };
    let form = if accepts(&headers, "application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4"
    };
    ([(header::CONTENT_TYPE, form)], figures.text()).into_response()
}

/// Whether whoever asks names this form.
fn accepts(headers: &HeaderMap, form: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains(form))
}
