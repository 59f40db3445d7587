//! Signal's registration service: proves that somebody has a phone number, over gRPC.
//!
//! A session is a verification that is begun without a sending; its identifier is the verification's. Each account has one
//! service for its sessions, which is made when it is first needed.

mod auth;
mod errors;
mod language;
mod metadata;
mod policy;
mod registration;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, Uri};
use tonic::codec::CompressionEncoding;
use tower::util::MapRequest;

pub use self::auth::Callers;
use self::proto::registration_service_server::{RegistrationServiceServer, SERVICE_NAME};
use self::registration::Registration;
use crate::app::App;
use crate::dialect::{Http, HttpFailure};
use crate::domain::text::AppHash;
use crate::web::routes::noted;
use crate::web::rpc;

/// As operators write it.
const NAME: &str = "signal";

/// The messages and the service, made of `registration.proto`.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    reason = "it is generated; what it means stands in the .proto file"
)]
pub mod proto {
    tonic::include_proto!("org.signal.registration.rpc");
}

/// What the service is, as an encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/signal.descriptors"));

/// The dialect, as servers speak it, for these callers. What text messages to Android apps end in is `android_app_hash`.
#[must_use]
pub fn http(app: Arc<App>, callers: Callers, android_app_hash: Option<AppHash>) -> Http {
    let registration = Registration {
        app,
        callers,
        android_app_hash,
    };
    let service = RegistrationServiceServer::new(registration)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(rpc::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(rpc::MAX_MESSAGE_BYTES);
    let service = MapRequest::new(rpc::serve(service), in_todays_spelling);
    let path = format!("/{SERVICE_NAME}/{{method}}");
    Http {
        router: noted(Router::new().route_service(&path, service)).fallback(no_such_method),
        failures: Arc::new(rpc::CallFailures),
    }
}

/// Whether a request with this head is for this dialect.
#[must_use]
pub fn claims(uri: &Uri, _: &HeaderMap) -> bool {
    uri.path().starts_with("/org.signal.registration.")
}

async fn no_such_method(request: Request<Body>) -> Response<Body> {
    let failure = HttpFailure::NotFound {
        path: request.uri().path(),
    };
    rpc::answer(failure, rpc::form(request.headers()))
}

/// Calls of before July 2023 are spelt `create_session`, those of today `CreateSession`.
const SPELLINGS: [(&str, &str); 5] = [
    ("check_verification_code", "CheckVerificationCode"),
    ("create_session", "CreateSession"),
    ("get_session_metadata", "GetSessionMetadata"),
    ("legacy_check_verification_code", "LegacyCheckVerificationCode"),
    ("send_verification_code", "SendVerificationCode"),
];

fn in_todays_spelling<B>(mut request: Request<B>) -> Request<B> {
    let method = request.uri().path().rsplit('/').next();
    let spelt = SPELLINGS.iter().find(|(older, _)| Some(*older) == method);
    if let Some((_, today)) = spelt
        && let Ok(uri) = format!("/{SERVICE_NAME}/{today}").parse::<Uri>()
    {
        *request.uri_mut() = uri;
    }
    request
}
