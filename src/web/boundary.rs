//! Around every request: its identifier, the limits of its head, panics, counting, and the one line that a failure gets.
//!
//! What a client is told of a failure, and in which header it finds the identifier, the dialect says.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, HOST, USER_AGENT};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Request, Response, Version};
use bytes::Bytes;
use tokio::sync::oneshot;
use tower::Service as _;

use super::arrival::{Arrival, Origin, RequestHold};
use super::client_address::TrustedProxies;
use super::cross_origin::PageOrigins;
use super::failure::{self, Cause};
use super::metrics::Requests;
use super::panics;
use super::request_id::RequestIds;
use crate::dialect::{AnswerForm, FailureAnswers, Http, HttpFailure, RequestId, Stage};
use crate::domain::audit::{AuditRequest, clipped};
use crate::domain::entropy::Entropy;
use crate::flows::audit::{self, AuditScope};

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
        // A client that goes away ends only what was merely read for it: a change that is under way is carried to its end,
        // and whoever waits for it is told. If nobody does, the log is.
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let _until_the_end = held;
            if let Err(unheard) = tell.send(asking.await) {
                failure::log(id, &unheard);
            }
        });
        told.await
            .unwrap_or_else(|_| shared.panicked("an end of the process", form))
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
mod tests {
    use std::net::SocketAddr;

    use axum::http::{HeaderMap, HeaderName, Method, Uri};
    use axum::response::IntoResponse as _;
    use axum::routing::{any, get};
    use http_body_util::BodyExt as _;
    use tokio::sync::{Notify, mpsc};

    use super::*;
    use crate::doubles::SeededEntropy;
    use crate::web::arrival::{Entrance, Scheme};

    /// Answers in the words of its own log, in capitals if the path asks for them.
    #[derive(Debug)]
    struct Plain;

    impl FailureAnswers for Plain {
        fn request_id(&self, id: RequestId, _: AnswerForm) -> (HeaderName, HeaderValue) {
            let value = HeaderValue::try_from(format!("plain-{id}")).unwrap();
            (HeaderName::from_static("request-name"), value)
        }

        fn form(&self, uri: &Uri, _: &HeaderMap) -> AnswerForm {
            AnswerForm(uri.path().starts_with("/loud").into())
        }

        fn answer(&self, failure: HttpFailure<'_>, form: AnswerForm) -> Response<Body> {
            let status: u16 = match failure {
                HttpFailure::HeadTooLarge { .. } => 431,
                HttpFailure::HostUnclear | HttpFailure::HeaderTwice { .. } => 400,
                HttpFailure::Panicked => 500,
                _ => 503,
            };
            let text = format!("{failure:?}");
            let text = if form == AnswerForm(1) {
                text.to_uppercase()
            } else {
                text
            };
            (axum::http::StatusCode::from_u16(status).unwrap(), text).into_response()
        }
    }

    fn around(router: Router) -> Boundary {
        let http = Http {
            router,
            failures: Arc::new(Plain),
        };
        Boundary::new(http, Arc::default(), &SeededEntropy::new(1))
    }

    async fn answer(boundary: &Boundary, request: Request<Body>) -> Response<Body> {
        let entrance = Entrance {
            scheme: Scheme::Http,
            address: SocketAddr::from(([127, 0, 0, 1], 80)),
        };
        let origin = Origin {
            entrance,
            peer: entrance.address.ip(),
            stage: Arc::default(),
            held: Arc::new(()),
        };
        boundary.clone().answer(request, origin).await
    }

    fn boundary() -> Boundary {
        let panics = get(async || -> &'static str { panic!("a secret: {}", 1 + 1) });
        let router = Router::new()
            .route("/", get(async || "fine"))
            .route("/panic", panics.clone())
            .route("/loud/panic", panics);
        around(router)
    }

    async fn text_of(response: Response<Body>) -> String {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_answered_by_the_dialect_in_its_form_and_the_next_request_is_served() {
        let boundary = boundary();
        for (path, text) in [("/panic", "Panicked"), ("/loud/panic", "PANICKED")] {
            let request = Request::get(path).header(HOST, "x").body(Body::empty()).unwrap();
            let response = answer(&boundary, request).await;
            assert_eq!(response.status(), 500);
            assert_eq!(text_of(response).await, text);
        }
        let response = answer(
            &boundary,
            Request::get("/").header(HOST, "x").body(Body::empty()).unwrap(),
        )
        .await;
        assert_eq!(response.status(), 200);
        let refused = boundary.refuse(
            &Request::get("/").header(HOST, "x").body(()).unwrap(),
            HttpFailure::Overloaded,
        );
        assert_eq!(refused.status(), 503);
        let counts = boundary.shared.requests.by_class().map(|(_, count)| count);
        assert_eq!(counts.collect::<Vec<_>>(), [0, 1, 0, 0, 3]);
    }

    /// The client's connection breaks while its request is served, as that of a phone does in a lift.
    #[tokio::test]
    async fn a_change_is_carried_to_its_end_when_the_client_goes_away_and_a_read_is_not() {
        for (method, carried) in [(Method::POST, true), (Method::DELETE, true), (Method::GET, false)] {
            let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (done, mut is_done) = mpsc::channel::<()>(1);
            let handler = {
                let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
                async move || {
                    begun.notify_one();
                    go_on.notified().await;
                    let _ = done.send(()).await;
                }
            };
            let boundary = around(Router::new().route("/", any(handler)));
            let request = Request::builder()
                .method(&method)
                .uri("/")
                .header(HOST, "x")
                .body(Body::empty());
            let mut answering = Box::pin(answer(&boundary, request.unwrap()));
            tokio::select! {
                _ = &mut answering => panic!("it waits"),
                () = begun.notified() => drop(answering),
            }
            drop(boundary);
            go_on.notify_one();
            assert_eq!(is_done.recv().await.is_some(), carried, "{method}");
        }
    }

    #[tokio::test]
    async fn heads_up_to_the_limit_are_answered() {
        for (length, status) in [(32_000, 200), (33_000, 431)] {
            let request = Request::get("/")
                .header(HOST, "x")
                .header("x", "y".repeat(length))
                .body(Body::empty())
                .unwrap();
            let response = answer(&boundary(), request).await;
            assert_eq!(response.status(), status);
            let id = response.headers()["request-name"].to_str().unwrap();
            assert!(id.len() == 38 && id.starts_with("plain-"), "{id}");
        }
    }

    #[tokio::test]
    async fn a_request_is_for_one_host() {
        for (version, uri, hosts, status) in [
            (Version::HTTP_2, "http://one.example/", &[][..], 200),
            (Version::HTTP_2, "http://one.example/", &["One.Example"], 200),
            (Version::HTTP_2, "/", &["one.example"], 200),
            (Version::HTTP_2, "/", &[], 200),
            (Version::HTTP_2, "http://one.example/", &["two.example"], 400),
            (Version::HTTP_2, "http://one.example/", &["one.example:80"], 400),
            (Version::HTTP_2, "/", &["one.example", "one.example"], 400),
            (Version::HTTP_2, "/", &["one.example/?"], 400),
            (Version::HTTP_11, "/", &["one.example"], 200),
            (Version::HTTP_11, "/", &["one.example:8080"], 200),
            (Version::HTTP_11, "/", &["[::1]:8080"], 200),
            (Version::HTTP_11, "/", &["127.0.0.1"], 200),
            (Version::HTTP_11, "http://one.example/", &["one.example"], 200),
            (Version::HTTP_11, "http://one.example/", &["two.example"], 400),
            (Version::HTTP_11, "/", &[], 400),
            (Version::HTTP_11, "http://one.example/", &[], 400),
            (Version::HTTP_11, "/", &["one.example", "two.example"], 400),
            (Version::HTTP_11, "/", &["one.example", "one.example"], 400),
            (Version::HTTP_11, "/", &[""], 400),
            (Version::HTTP_11, "/", &[":80"], 400),
            (Version::HTTP_11, "/", &["one.example:port"], 400),
            (Version::HTTP_11, "/", &["one.example:80:90"], 400),
            (Version::HTTP_11, "/", &["one.example, two.example"], 400),
            (Version::HTTP_11, "/", &["one.example/path"], 400),
            (Version::HTTP_11, "/", &["user@one.example"], 400),
            (Version::HTTP_11, "/", &["one example"], 400),
            // As old health checks ask.
            (Version::HTTP_10, "/", &[], 200),
            (Version::HTTP_10, "/", &["one.example", "two.example"], 400),
        ] {
            let mut request = Request::get(uri).version(version);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            let response = answer(&boundary(), request.body(Body::empty()).unwrap()).await;
            assert_eq!(response.status(), status, "{version:?} {uri} {hosts:?}");
        }
    }
    #[tokio::test]
    async fn what_there_can_be_one_of_is_sent_once() {
        for name in ["authorization", "content-length"] {
            for (times, status) in [(1, 200), (2, 400)] {
                let mut request = Request::get("/").header(HOST, "one.example");
                for _ in 0..times {
                    request = request.header(name, "0");
                }
                let response = answer(&boundary(), request.body(Body::empty()).unwrap()).await;
                assert_eq!(response.status(), status, "{name}");
            }
        }
    }
}
