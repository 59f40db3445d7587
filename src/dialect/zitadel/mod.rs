//! Zitadel's services for users: their phone number, and the factors they log in with, over gRPC.
//!
//! A user is who a bearer token was made for (`countersign token create --user`); its identifier is the identity of the entity
//! that its factors belong to, so that both can be reached through a protocol that knows entities, too. Each account has one
//! service for its users, which is made when it is first needed.

mod auth;
mod auth_service;
mod details;
mod error;
mod failures;
mod policy;
pub mod proto;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, Uri};
use tonic::codec::CompressionEncoding;

use self::auth_service::MyUser;
use self::failures::ZitadelFailures;
use self::proto::zitadel::auth::v1::auth_service_server::{self, AuthServiceServer};
use crate::app::App;
use crate::dialect::{Http, HttpFailure};
use crate::web::rpc;

/// As operators write it, and as tokens have it.
const NAME: &str = "zitadel";

/// What the services are, as an encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zitadel.descriptors"));

/// The dialect, as servers speak it.
#[must_use]
pub fn http(app: Arc<App>) -> Http {
    let own = AuthServiceServer::new(MyUser { app })
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(rpc::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(rpc::MAX_MESSAGE_BYTES);
    let methods = |service: &str| format!("/{service}/{{method}}");
    Http {
        router: Router::new()
            .route_service(&methods(auth_service_server::SERVICE_NAME), rpc::serve(own))
            .fallback(no_such_method),
        failures: Arc::new(ZitadelFailures),
    }
}

/// Whether a request with this head is for this dialect.
#[must_use]
pub fn claims(uri: &Uri, _: &HeaderMap) -> bool {
    uri.path().starts_with("/zitadel.")
}

async fn no_such_method(request: Request<Body>) -> Response<Body> {
    let failure = HttpFailure::NotFound {
        path: request.uri().path(),
    };
    rpc::answer(failure, rpc::form(request.headers()))
}
