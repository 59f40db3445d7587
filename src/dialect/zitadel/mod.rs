//! Zitadel's services for users: their phone number, and the factors they log in with, over gRPC, gRPC-Web and
//! as JSON.
//!
//! A user is who a bearer token was made for (`countersign token create --user`); its identifier is the identity of the entity
//! that its factors belong to, so that both can be reached through a protocol that knows entities, too. Each account has one
//! service for its users, which is made when it is first needed.

mod auth;
mod auth_service;
mod details;
mod error;
mod policy;
pub mod proto;
mod routes;
#[cfg(test)]
mod tests;
mod user_service;
mod values;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use tonic::codec::CompressionEncoding;

use self::auth_service::MyUser;
use self::proto::zitadel::auth::v1::auth_service_server::{self, AuthServiceServer};
use self::proto::zitadel::user::v2::user_service_server::{self, UserServiceServer};
use self::routes::ROUTES;
pub use self::routes::claims;
use self::user_service::NamedUsers;
use crate::app::App;
use crate::dialect::{Http, HttpFailure};
use crate::web::routes::noted;
use crate::web::rpc;
use crate::web::rpc::json::JsonFailures;

/// As operators write it, and as tokens have it.
const NAME: &str = "zitadel";

/// What the services are, as an encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zitadel.descriptors"));

/// The dialect, as servers speak it.
#[must_use]
#[expect(
    clippy::missing_panics_doc,
    reason = "a test looks for the call of each route"
)]
pub fn http(app: Arc<App>) -> Http {
    let own = AuthServiceServer::new(MyUser {
        app: Arc::clone(&app),
    })
    .accept_compressed(CompressionEncoding::Gzip)
    .send_compressed(CompressionEncoding::Gzip)
    .max_decoding_message_size(rpc::MAX_MESSAGE_BYTES)
    .max_encoding_message_size(rpc::MAX_MESSAGE_BYTES);
    let named = UserServiceServer::new(NamedUsers { app })
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(rpc::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(rpc::MAX_MESSAGE_BYTES);
    let methods = |service: &str| format!("/{service}/{{method}}");
    let calls = Router::new()
        .route_service(&methods(auth_service_server::SERVICE_NAME), rpc::serve(own))
        .route_service(&methods(user_service_server::SERVICE_NAME), rpc::serve(named));
    let calls = noted(calls);
    let json = rpc::json::serve(calls.clone().fallback(no_such_method), DESCRIPTORS, ROUTES);
    Http {
        router: calls.fallback_service(json.expect("each route is of a call")),
        failures: Arc::new(JsonFailures),
    }
}

async fn no_such_method(request: Request<Body>) -> Response<Body> {
    let failure = HttpFailure::NotFound {
        path: request.uri().path(),
    };
    rpc::answer(failure, rpc::form(request.headers()))
}
