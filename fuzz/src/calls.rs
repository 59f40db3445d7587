//! A server with one account and one user's token, on a store in memory and a clock that stands still.

#[path = "../../tests/doubles/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests need more of them")]
mod doubles;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Version};
use countersign::dialect::{signal, zitadel};
use countersign::domain::bearer_token::TokenUser;
use countersign::domain::text::{DialectName, FriendlyName, Identity};
use countersign::flows::bearer_token::{self, NewBearerToken};
use countersign::flows::{access, account};
use http_body_util::BodyExt;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use self::doubles::TestParts;

/// Serves one dialect.
pub struct Server {
    runtime: Runtime,
    signal: Router,
    zitadel: Router,
    token: String,
    left: Cell<u32>,
}

/// A whole answer.
pub struct Answer {
    pub http: u16,
    pub headers: HeaderMap,
    pub trailers: HeaderMap,
    pub body: Vec<u8>,
}

thread_local! {
    static SERVER: RefCell<Server> = RefCell::new(Server::new());
}

/// Asks a server that is put in the place of the last one after some thousand requests, before its store is too large.
pub fn with_server<T>(ask: impl FnOnce(&Server) -> T) -> T {
    SERVER.with_borrow_mut(|server| {
        if server.left.get() == 0 {
            *server = Server::new();
        }
        server.left.set(server.left.get() - 1);
        ask(server)
    })
}

impl Server {
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let app = Arc::new(TestParts::default().wire());
        let token = runtime.block_on(async {
            let name = FriendlyName::parse("An account").expect("a name");
            let account = account::create(&app, name).await.expect("an account").account.sid;
            let new = NewBearerToken {
                dialect: DialectName::parse("zitadel").expect("a name"),
                user: Some(TokenUser {
                    name: Identity::parse("user-0001").expect("a name"),
                    manages_users: true,
                }),
                friendly_name: FriendlyName::parse("a token").expect("a name"),
                life: None,
            };
            let (token, secret) = bearer_token::create(&app, account, new).await.expect("a token");
            access::presented(token.sid, &secret).to_string()
        });
        Self {
            runtime,
            signal: signal::http(Arc::clone(&app), signal::Callers::Anybody(None), None).router,
            zitadel: zitadel::http(app).router,
            token,
            left: Cell::new(10_000),
        }
    }

    /// What is answered to this body, in the name of the user if that is asked.
    pub fn ask(&self, method: &Method, path: &str, kind: &str, body: &[u8]) -> Answer {
        let is_grpc = kind == GRPC;
        let request = Request::builder()
            .method(method)
            .version(if is_grpc {
                Version::HTTP_2
            } else {
                Version::HTTP_11
            })
            .uri(path)
            .header("content-type", kind)
            .header("authorization", format!("Bearer {}", self.token));
        let request = request.body(Body::from(body.to_vec())).expect("a request");
        let router = if path.starts_with("/org.signal.") {
            &self.signal
        } else {
            &self.zitadel
        };
        self.runtime.block_on(async {
            let Ok(response) = router.clone().oneshot(request).await;
            let (head, body) = response.into_parts();
            let collected = body.collect().await.expect("an answer ends well");
            Answer {
                http: head.status.as_u16(),
                headers: head.headers,
                trailers: collected.trailers().cloned().unwrap_or_default(),
                body: collected.to_bytes().to_vec(),
            }
        })
    }

    /// What becomes of a call with this message: the number of its status.
    pub fn call(&self, method: &MethodDescriptor, message: &[u8]) -> i32 {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let answer = self.ask(&Method::POST, &path, GRPC, &frame(message));
        assert_eq!(answer.http, 200);
        answer.status().expect("each call has a status")
    }
}

impl Answer {
    /// The number of the status, in the headers or behind the messages.
    pub fn status(&self) -> Option<i32> {
        let places = [&self.trailers, &self.headers];
        let told = places.iter().find_map(|headers| headers.get("grpc-status"));
        told?.to_str().ok()?.parse().ok()
    }
}

/// A message that is not compressed, in its frame.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("it is short").to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// All methods that are described, in their order.
pub fn methods(descriptors: &[u8]) -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(descriptors).expect("descriptors");
    let services: Vec<_> = pool.services().collect();
    services
        .iter()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

pub const GRPC: &str = "application/grpc";

/// A mistake of ours: no request may bring that about.
pub const INTERNAL: i32 = 13;
