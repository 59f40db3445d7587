//! What a server says of itself to whoever asks, with or without a token: which services there are (gRPC "Server
//! Reflection", v1 and v1alpha), and whether they are served ("Health Checking").
//!
//! Both tell only what is published anyway. Their calls last, so they share places (`streams.rs`).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, Uri};
use prost_reflect::{DescriptorError, DescriptorPool};
use tokio::sync::watch;
use tonic::codec::CompressionEncoding::Gzip;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Builder;
use tonic_web::GrpcWebLayer;
use tower::Layer as _;

use super::health::HealthService;
use super::streams::{Bounded, MOST, StreamPlaces};
use super::{Bodies, CallFailures, MAX_MESSAGE_BYTES, ServerHealth, Web, answer, form, serve};
use crate::dialect::{Http, HttpFailure};
use crate::web::routes::noted;

/// What dialects with these services say of themselves: the encoded `FileDescriptorSet` of each.
///
/// # Errors
/// When one is none, or two contradict each other.
pub fn http(described: &[&[u8]], health: watch::Receiver<ServerHealth>) -> Result<Http, DescriptorError> {
    let own = [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut pool = DescriptorPool::new();
    let mut builders = [reflection(), reflection()];
    for set in described.iter().chain(&own) {
        pool.decode_file_descriptor_set(*set)?;
        builders = builders.map(|builder| builder.register_encoded_file_descriptor_set(set));
    }
    let services = pool.services().map(|service| service.full_name().to_owned());
    let places = StreamPlaces::new(MOST);
    let health = HealthServer::new(HealthService {
        health,
        services: services.collect(),
    });
    let health = health
        .accept_compressed(Gzip)
        .send_compressed(Gzip)
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let [v1, v1alpha] = builders;
    // What is not a set of descriptors was found out above.
    let (Ok(v1), Ok(v1alpha)) = (v1.build_v1(), v1alpha.build_v1alpha()) else {
        unreachable!("the pool holds every set")
    };
    let v1 = v1
        .accept_compressed(Gzip)
        .send_compressed(Gzip)
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let v1alpha = v1alpha
        .accept_compressed(Gzip)
        .send_compressed(Gzip)
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let watched = serve(Bounded {
        service: health,
        places: places.clone(),
        most: LONGEST_WATCH,
    });
    let router = Router::new()
        .route_service("/grpc.health.v1.Health/{method}", watched)
        .route_service(
            "/grpc.reflection.v1.ServerReflection/{method}",
            asked(v1, places.clone()),
        )
        .route_service(
            "/grpc.reflection.v1alpha.ServerReflection/{method}",
            asked(v1alpha, places),
        );
    Ok(Http {
        router: noted(router).fallback(no_such_method),
        failures: Arc::new(CallFailures),
    })
}

fn reflection<'a>() -> Builder<'a> {
    Builder::configure().include_reflection_service(false)
}

/// A service whose calls bring several messages.
fn asked<S>(service: S, places: StreamPlaces) -> Web<Bounded<S>>
where
    Bounded<S>: tower::Service<Request<tonic::body::Body>>,
{
    Web {
        service: GrpcWebLayer::new().layer(Bounded {
            service,
            places,
            most: LONGEST_QUESTIONS,
        }),
        bodies: Bodies::AsTheyCome,
    }
}

/// Whether a request with this head is for what is served here.
#[must_use]
pub fn claims(uri: &Uri, _: &HeaderMap) -> bool {
    let path = uri.path();
    path.starts_with("/grpc.health.") || path.starts_with("/grpc.reflection.")
}

async fn no_such_method(request: Request<Body>) -> Response<Body> {
    let failure = HttpFailure::NotFound {
        path: request.uri().path(),
    };
    answer(failure, form(request.headers()))
}

/// Clients of a stream that ended ask again.
const LONGEST_WATCH: Duration = Duration::from_hours(1);

/// Programs ask all that they want to know at once.
const LONGEST_QUESTIONS: Duration = Duration::from_mins(1);
