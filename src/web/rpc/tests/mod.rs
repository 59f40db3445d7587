//! Calls of the services that every server has, as any client could send them.

mod broken;
mod carried;
mod forms;
mod health;
mod outcomes;
mod reflection;
mod streams;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, Version};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use prost::Message;
use tokio::sync::watch;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::ServiceExt as _;

use super::{ServerHealth, about, message};
use crate::dialect::RequestId;
use crate::web::arrival::{Arrival, Entrance, Origin, RequestHold, Scheme};
use crate::web::boundary::Boundary;

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// A server that nobody has a token for.
struct Server {
    router: Router,
    health: watch::Sender<ServerHealth>,
}

/// A whole answer.
#[derive(Debug)]
struct CallAnswer {
    http: u16,
    headers: HeaderMap,
    body: Bytes,
    status: Status,
}

impl Server {
    fn new() -> Self {
        let (health, told) = watch::channel(ServerHealth::Serving);
        let http = about::http(&[], told).unwrap();
        Self {
            router: http.router,
            health,
        }
    }

    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        let Ok(response) = self.router.clone().oneshot(request).await;
        response
    }

    async fn answer(&self, request: Request<Body>) -> CallAnswer {
        whole(self.ask(request).await).await
    }

    /// A call whose body is this.
    async fn call(&self, path: &str, body: impl Into<Bytes>) -> CallAnswer {
        self.answer(native(path, Body::from(body.into()))).await
    }
}

/// A call over HTTP/2.
fn native(path: &str, body: Body) -> Request<Body> {
    sent_as("application/grpc", Version::HTTP_2, path, body)
}

fn sent_as(kind: &str, version: Version, path: &str, body: Body) -> Request<Body> {
    let request = Request::builder()
        .method(Method::POST)
        .version(version)
        .uri(path)
        .header("content-type", kind);
    request.body(body).unwrap()
}

/// The answer to a request that came through a listener, where it has this place.
async fn through(boundary: &Boundary, request: Request<Body>, held: RequestHold) -> Response<Body> {
    let entrance = Entrance {
        scheme: Scheme::Http,
        address: SocketAddr::from(([127, 0, 0, 1], 80)),
    };
    let origin = Origin {
        entrance,
        peer: entrance.address.ip(),
        stage: Arc::default(),
        held,
    };
    boundary.clone().answer(request, origin).await
}

/// The same, from there.
fn from(mut request: Request<Body>, client: &str) -> Request<Body> {
    let client: IpAddr = client.parse().unwrap();
    request.extensions_mut().insert(Arrival {
        entrance: Entrance {
            scheme: Scheme::Http,
            address: SocketAddr::from(([127, 0, 0, 1], 80)),
        },
        client,
        request_id: RequestId([0; 16]),
        stage: Arc::default(),
        held: Arc::new(()),
    });
    request
}

async fn whole(response: Response<Body>) -> CallAnswer {
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let status = Status::from_header_map(&trailers).or_else(|| Status::from_header_map(&parts.headers));
    CallAnswer {
        http: parts.status.as_u16(),
        headers: parts.headers,
        body: collected.to_bytes(),
        status: status.unwrap_or_else(|| Status::ok("said elsewhere")),
    }
}

fn framed(message: &impl Message) -> Bytes {
    message::frame(&message.encode_to_vec())
}

fn check_of(service: &str) -> Bytes {
    framed(&HealthCheckRequest {
        service: service.to_owned(),
    })
}

fn serving_status(frame: &Bytes) -> ServingStatus {
    let message = message::unframe(frame).unwrap();
    HealthCheckResponse::decode(message).unwrap().status()
}

impl CallAnswer {
    /// It says that all is well.
    fn is_good(&self) -> bool {
        self.status.code() == Code::Ok && serving_status(&self.body) == ServingStatus::Serving
    }
}
