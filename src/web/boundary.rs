//! Around every request: its identifier, the limits of its head, panics, counting, and the one line that a failure gets.
//!
//! What a client is told of a failure, and in which header it finds the identifier, the dialect says.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, HOST, USER_AGENT};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Request, Response, Version};
use bytes::Bytes;
use tokio::runtime::Handle;
use tower::Service as _;

use super::arrival::{Arrival, Origin, RequestHold};
use super::client_address::TrustedProxies;
use super::cross_origin::PageOrigins;
use super::failure::{self, Cause};
use super::metrics::Requests;
use super::panics;
use super::request_id::RequestIds;
use super::routes;
use crate::dialect::{AnswerForm, FailureAnswers, Http, HttpFailure, RequestId, Stage};
use crate::domain::audit::{AuditRequest, clipped};
use crate::domain::entropy::Entropy;
use crate::flows::audit::{self, AuditScope};

/// What is logged as slow.
const SLOW: Duration = Duration::from_secs(2);

/// The largest head (first line and headers) that is answered.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Hands requests to a dialect's router, and has the dialect answer those that its router cannot.
#[derive(Clone, Debug)]
pub struct Boundary {
    router: Router,
    shared: Arc<BoundaryParts>,
}

#[derive(Clone, Debug)]
struct BoundaryParts {
    failures: Arc<dyn FailureAnswers>,
    requests: Arc<Requests>,
    ids: Arc<RequestIds>,
    proxies: TrustedProxies,
    pages: PageOrigins,
}

impl Boundary {
    /// A boundary around a dialect that counts in `requests`.
    #[must_use]
    pub fn new(http: Http, requests: Arc<Requests>, entropy: &dyn Entropy) -> Self {
        let shared = BoundaryParts {
            failures: http.failures,
            requests,
            ids: Arc::new(RequestIds::new(entropy)),
            proxies: TrustedProxies::default(),
            pages: PageOrigins::default(),
        };
        Self {
            router: http.router,
            shared: Arc::new(shared),
        }
    }

    /// The same boundary, behind these proxies and open to pages of these origins.
    #[must_use]
    pub fn set_up(self, proxies: TrustedProxies, pages: PageOrigins) -> Self {
        let shared = BoundaryParts {
            proxies,
            pages,
            ..BoundaryParts::clone(&self.shared)
        };
        Self {
            router: self.router,
            shared: Arc::new(shared),
        }
    }

    /// Checks the head, asks the dialect, and signs the answer with the request's identifier.
    pub async fn answer<B>(self, mut request: Request<B>, origin: Origin) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let shared = &*self.shared;
        let began = Instant::now();
        let method = routes::known(request.method());
        let request_id = shared.ids.next();
        let form = shared.failures.form(request.uri(), request.headers());
        let page = shared.pages.page(request.uri(), request.headers());
        let mut response = if let Err(failure) = check_head(&request) {
            shared.failures.answer(failure, form)
        } else if let Some(response) = page.preflight(&request) {
            response
        } else {
            origin.stage.reach(if request.body().is_end_stream() {
                Stage::Answering
            } else {
                Stage::Body
            });
            let client = shared.proxies.client(origin.peer, request.headers());
            let audited = audit_scope(&request, request_id, client);
            request.extensions_mut().insert(Arrival {
                entrance: origin.entrance,
                client,
                request_id,
                stage: origin.stage,
                held: Arc::clone(&origin.held),
            });
            let asking = Asking {
                shared: Arc::clone(&self.shared),
                id: request_id,
                form,
                held: origin.held,
            };
            asking.ask(self.router, request, audited).await
        };
        page.admit(response.headers_mut());
        shared.time(&response, method, request_id, began.elapsed());
        shared.sign(response, request_id, form)
    }

    /// The answer to `request`, which is not to be served.
    pub fn refuse<B>(&self, request: &Request<B>, failure: HttpFailure<'_>) -> Response<Body> {
        let shared = &*self.shared;
        let form = shared.failures.form(request.uri(), request.headers());
        let mut response = shared.failures.answer(failure, form);
        let page = shared.pages.page(request.uri(), request.headers());
        page.admit(response.headers_mut());
        shared.sign(response, shared.ids.next(), form)
    }
}

impl BoundaryParts {
    fn panicked(&self, place: &str, form: AnswerForm) -> Response<Body> {
        let mut response = self.failures.answer(HttpFailure::Panicked, form);
        response
            .extensions_mut()
            .insert(Cause(format!("panicked at {place}")));
        response
    }

    /// Counts how long the answer took, and logs what should have been quick and was not: whoever reads may have waited for
    /// something to change.
    fn time(&self, response: &Response<Body>, method: &'static str, id: RequestId, took: Duration) {
        let route = routes::of(response);
        let status = failure::outcome(response);
        self.requests.time(method, route, status, took);
        if took >= SLOW && !["GET", "HEAD", "OPTIONS"].contains(&method) {
            tracing::warn!(
                request = %id,
                ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                status = status.as_u16(),
                "slow: {method} {route}"
            );
        }
    }

    /// Counts the answer, logs it if it says that we failed, gives it the request's identifier, and has nobody keep it on
    /// the way: answers carry secrets, or names of people at least.
    fn sign(&self, mut response: Response<Body>, id: RequestId, form: AnswerForm) -> Response<Body> {
        self.requests.count(failure::outcome(&response));
        failure::log(id, &response);
        let (name, value) = self.failures.request_id(id, form);
        let headers = response.headers_mut();
        headers.insert(name, value);
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        response
    }
}

/// A request that the router is asked.
struct Asking {
    shared: Arc<BoundaryParts>,
    id: RequestId,
    form: AnswerForm,
    held: RequestHold,
}

impl Asking {
    /// The router's answer.
    async fn ask<B>(self, mut router: Router, request: Request<B>, audited: AuditScope) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let Self {
            shared,
            id,
            form,
            held,
        } = self;
        let changes = !request.method().is_safe();
        let parts = Arc::clone(&shared);
        let asking = async move {
            let told = audit::within(audited, async move { router.call(request).await });
            let asked = panics::guard(told).await;
            asked.map_or_else(|place| parts.panicked(&place, form), |Ok(response)| response)
        };
        if !changes {
            return asking.await;
        }
        CarriedChange {
            asking: Some(Box::pin(asking)),
            id,
            held,
        }
        .await
    }
}

/// A change under way, which is carried to its end: a client that goes away ends only what was merely read for it.
///
/// It is worked at where its client waits, which takes no task of its own. Where nobody waits any more, a task goes on with it, and
/// the log is told how it ended.
struct CarriedChange {
    /// Empty once it is at its end.
    asking: Option<Pin<Box<dyn Future<Output = Response<Body>> + Send>>>,
    id: RequestId,
    held: RequestHold,
}

impl Future for CarriedChange {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let Some(asking) = &mut self.asking else {
            return Poll::Pending;
        };
        let response = ready!(asking.as_mut().poll(cx));
        self.asking = None;
        Poll::Ready(response)
    }
}

impl Drop for CarriedChange {
    fn drop(&mut self) {
        let Some(asking) = self.asking.take() else { return };
        // Without a runtime nothing goes on: the process is at its end.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (id, held) = (self.id, Arc::clone(&self.held));
        runtime.spawn(async move {
            let _until_the_end = held;
            failure::log(id, &asking.await);
        });
    }
}

/// What the audit log is told of a request, until it is known who sends it.
fn audit_scope<B>(request: &Request<B>, id: RequestId, client: IpAddr) -> AuditScope {
    let agent = request.headers().get(USER_AGENT);
    AuditScope::of_request(AuditRequest {
        id: id.0,
        dialect: String::new(),
        address: client.to_string(),
        agent: agent.map(|agent| clipped(&String::from_utf8_lossy(agent.as_bytes()), MOST_OF_AGENT)),
    })
}

/// How much of what a client calls itself is kept.
const MOST_OF_AGENT: usize = 120;

/// Whether the head is one that is answered.
fn check_head<B>(request: &Request<B>) -> Result<(), HttpFailure<'static>> {
    if head_bytes(request) > MAX_HEAD_BYTES {
        return Err(HttpFailure::HeadTooLarge { most: MAX_HEAD_BYTES });
    }
    if !names_one_host(request) {
        return Err(HttpFailure::HostUnclear);
    }
    for (header, name) in [
        (AUTHORIZATION, "authorization"),
        (CONTENT_LENGTH, "content-length"),
    ] {
        if request.headers().get_all(header).iter().nth(1).is_some() {
            return Err(HttpFailure::HeaderTwice { name });
        }
    }
    Ok(())
}

/// A request says whom it is for in its URI (in HTTP/2 that is `:authority`), in `Host`, or in both: whoever stands in
/// between may have gone by either, so they must agree (RFC 9113, 8.3.1). In HTTP/1.1 there is one `Host`, always, and what
/// it says is a host (RFC 9112, 3.2).
fn names_one_host<B>(request: &Request<B>) -> bool {
    let authority = request.uri().authority();
    let mut hosts = request.headers().get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        return request.version() != Version::HTTP_11;
    };
    let named = std::str::from_utf8(host.as_bytes())
        .ok()
        .filter(|host| is_host(host));
    let agrees = |host: &str| authority.is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(host));
    hosts.next().is_none() && named.is_some_and(agrees)
}

/// Whether this is a name or an address, with or without a port.
fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let is_port = |rest: &str| {
        rest.strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()))
    };
    // Whatever else there may be around a host, such as a user's name, is not to be there.
    !host.is_empty()
        && text
            .strip_prefix(host)
            .is_some_and(|rest| rest.is_empty() || is_port(rest))
}

/// How long the head of a request is, as HTTP/1.1 writes it.
pub fn head_bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let target = uri.path().len() + uri.query().map_or(0, str::len) + authority;
    let line = request.method().as_str().len() + target + LINE_OVERHEAD;
    let headers = request.headers().iter();
    headers.fold(line, |sum, (name, value)| {
        sum + name.as_str().len() + value.len() + LINE_OVERHEAD
    })
}

/// What stands around a header's name and value, and around the path in the first line.
const LINE_OVERHEAD: usize = 4;

#[cfg(test)]
mod tests;
