//! Around every request: its identifier, the limits of its head, panics, counting, and the one line that a failure gets.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderName, Request, Response};
use bytes::Bytes;
use tower::Service as _;

use super::arrival::{Arrival, Entrance, Progress, Stage};
use super::client_address::TrustedProxies;
use super::failure::{self, Cause};
use super::metrics::Requests;
use super::panics;
use super::request_id::{RequestId, RequestIds};
use crate::domain::entropy::Entropy;

/// The largest head (first line and headers) that is answered.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Hands requests to a router, and answers for it when it cannot.
#[derive(Clone, Debug)]
pub struct Boundary {
    router: Router,
    requests: Arc<Requests>,
    ids: Arc<RequestIds>,
    proxies: TrustedProxies,
}

impl Boundary {
    /// A boundary around `router` that counts in `requests`.
    #[must_use]
    pub fn new(router: Router, requests: Arc<Requests>, entropy: &dyn Entropy) -> Self {
        Self {
            router,
            requests,
            ids: Arc::new(RequestIds::new(entropy)),
            proxies: TrustedProxies::default(),
        }
    }

    /// The same boundary, behind these proxies.
    #[must_use]
    pub fn behind(self, proxies: TrustedProxies) -> Self {
        Self { proxies, ..self }
    }

    /// The answer to `request`, which came from `peer`.
    pub async fn answer<B>(
        self,
        mut request: Request<B>,
        entrance: Entrance,
        peer: IpAddr,
        progress: Arc<Progress>,
    ) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let request_id = self.ids.next();
        let mut response = if head_bytes(&request) > MAX_HEAD_BYTES {
            failure::response(431, 60306, "The headers must be at most 32 KiB long")
        } else {
            let owed = if request.body().is_end_stream() {
                Stage::Answering
            } else {
                Stage::Body
            };
            progress.reach(owed);
            let client = self.proxies.client(peer, request.headers());
            request.extensions_mut().insert(Arrival {
                entrance,
                client,
                request_id,
                progress,
            });
            self.ask(request).await
        };
        let status = response.status();
        self.requests.count(status);
        if status.is_server_error() {
            log_failure(request_id, &response);
        }
        response
            .headers_mut()
            .insert(REQUEST_ID, request_id.header_value());
        response
    }

    async fn ask<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut router = self.router.clone();
        let changes = !request.method().is_safe();
        let asking = panics::guard(async move { router.call(request).await });
        // A client that goes away ends only what was merely read for it: a change that is under way is carried to its end,
        // and whoever waits for it is told.
        let asked = if changes {
            let carried = tokio::spawn(asking).await;
            carried.unwrap_or_else(|_| Err("an end of the process".to_owned()))
        } else {
            asking.await
        };
        match asked {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(place) => {
                let mut response = failure::response(500, 20500, "An internal error occurred");
                response
                    .extensions_mut()
                    .insert(Cause(format!("panicked at {place}")));
                response
            }
        }
    }
}

fn head_bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let line =
        request.method().as_str().len() + uri.path().len() + uri.query().map_or(0, str::len) + LINE_OVERHEAD;
    let headers = request.headers().iter();
    headers.fold(line, |sum, (name, value)| {
        sum + name.as_str().len() + value.len() + LINE_OVERHEAD
    })
}

fn log_failure(id: RequestId, response: &Response<Body>) {
    let status = response.status();
    let cause = response.extensions().get();
    let cause = cause.map_or("no cause was given", |Cause(cause)| cause.as_str());
    tracing::error!(request.id = %id, status = status.as_u16(), "request {id} failed: {cause}");
}

/// What stands around a header's name and value, and around the path in the first line.
const LINE_OVERHEAD: usize = 4;

const REQUEST_ID: HeaderName = HeaderName::from_static("twilio-request-id");

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::http::Method;
    use axum::routing::{any, get};
    use http_body_util::BodyExt as _;
    use tokio::sync::{Notify, mpsc};

    use super::*;
    use crate::doubles::SeededEntropy;
    use crate::web::arrival::Scheme;

    async fn answer(boundary: &Boundary, request: Request<Body>) -> Response<Body> {
        let entrance = Entrance {
            scheme: Scheme::Http,
            address: SocketAddr::from(([127, 0, 0, 1], 80)),
        };
        boundary
            .clone()
            .answer(request, entrance, entrance.address.ip(), Arc::default())
            .await
    }

    fn boundary() -> Boundary {
        let router = Router::new().route("/", get(async || "fine")).route(
            "/panic",
            get(async || -> &'static str { panic!("a secret: {}", 1 + 1) }),
        );
        Boundary::new(router, Arc::default(), &SeededEntropy::new(1))
    }

    #[tokio::test]
    async fn a_panic_is_a_plain_500_and_the_next_request_is_answered() {
        let boundary = boundary();
        let request = Request::get("/panic").body(Body::empty()).unwrap();
        let response = answer(&boundary, request).await;
        assert_eq!(response.status(), 500);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            body,
            r#"{"code":20500,"message":"An internal error occurred","more_info":"https://www.twilio.com/docs/errors/20500","status":500}"#
        );
        let response = answer(&boundary, Request::get("/").body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        let counts: Vec<_> = boundary.requests.by_class().map(|(_, count)| count).collect();
        assert_eq!(counts, [0, 1, 0, 0, 1]);
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
            let router = Router::new().route("/", any(handler));
            let boundary = Boundary::new(router, Arc::default(), &SeededEntropy::new(1));
            let request = Request::builder().method(&method).uri("/").body(Body::empty());
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
                .header("x", "y".repeat(length))
                .body(Body::empty())
                .unwrap();
            let response = answer(&boundary(), request).await;
            assert_eq!(response.status(), status);
            let id = response.headers()["twilio-request-id"].to_str().unwrap();
            assert!(id.len() == 34 && id.starts_with("RQ"), "{id}");
        }
    }
}
