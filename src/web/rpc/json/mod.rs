//! The same calls as JSON over plain HTTP, as `grpc-gateway` maps them: the body is the message in Protocol Buffers' JSON
//! form, parts of the path are fields of it.
//!
//! A request becomes a call of the same service, in its usual form, so there is one reader of credentials, deadlines and
//! messages. What differs from the gateway: the type of a body must be `application/json`, and a body that says something
//! twice is refused, as is what follows it.

mod answer;
mod read;
mod routes;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, TE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::Full;
use prost_reflect::DescriptorPool;
use prost_reflect::prost::Message as _;
use tonic::Status;
use tower::{Service, ServiceExt as _};

pub use self::answer::JsonFailures;
use self::answer::{JsonError, said};
use self::read::message;
pub use self::routes::{JsonRoute, Unroutable};
use self::routes::{Match, Routes};
use super::form::media_type;
use super::{form, is_call, message as frames};
use crate::dialect::HttpFailure;
use crate::web::body;

/// Serves `routes` of what `calls` serves as gRPC; `descriptors`, an encoded `FileDescriptorSet`, says what its messages are.
///
/// # Errors
/// When a route is of no method, or names what its request does not have.
pub fn serve(calls: Router, descriptors: &[u8], routes: &[JsonRoute]) -> Result<Json, Unroutable> {
    let pool = DescriptorPool::decode(descriptors)?;
    Ok(Json {
        calls,
        routes: Arc::new(Routes::new(&pool, routes)?),
    })
}

/// Turns requests into calls.
#[derive(Clone, Debug)]
pub struct Json {
    calls: Router,
    routes: Arc<Routes>,
}

impl Service<Request<Body>> for Json {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let json = self.clone();
        Box::pin(async move {
            if is_call(request.headers()) {
                let failure = HttpFailure::NotFound {
                    path: request.uri().path(),
                };
                return Ok(super::answer(failure, form(request.headers())));
            }
            let pool = json.routes.pool().clone();
            let answered = json.answer(request).await;
            Ok(answered.unwrap_or_else(|error| error.answer(&pool)))
        })
    }
}

impl Json {
    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, JsonError> {
        let (parts, body) = request.into_parts();
        let found = match self.routes.find(&parts.method, parts.uri.path()) {
            Match::Found(found) => found,
            Match::OtherMethod => return Err(HttpFailure::MethodNotAllowed.into()),
            Match::Nothing => return Err(HttpFailure::NotFound { path: "" }.into()),
        };
        let takes_body = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
        // Even one that says nothing must not be left in the way of what follows on the connection.
        let bytes = body::read(&parts, body).await?;
        let text = if takes_body { &bytes[..] } else { &[] };
        if !text.is_empty() && media_type(&parts.headers).as_deref() != Some("application/json") {
            return Err(JsonError::wrong_type());
        }
        let mut asked = message(found.method.input(), text).map_err(Status::invalid_argument)?;
        for (field, value) in &found.fields {
            let value = value.as_ref().ok_or_else(|| {
                Status::invalid_argument(format!("{} in the path is no text in UTF-8", field.name()))
            })?;
            asked.set_field(field, prost_reflect::Value::String(value.clone()));
        }
        let call = call(parts, found.path.clone(), &asked.encode_to_vec());
        let Ok(reply) = self.calls.oneshot(call).await;
        said(reply, &found.method.output()).await
    }
}

/// The call with this message, as the same caller would make it.
fn call(asked: Parts, path: Uri, message: &[u8]) -> Request<Body> {
    let mut call = Request::new(Body::new(Full::new(frames::frame(message))));
    *call.method_mut() = Method::POST;
    *call.uri_mut() = path;
    *call.version_mut() = Version::HTTP_2;
    for name in PASSED_ON {
        for value in asked.headers.get_all(&name) {
            call.headers_mut().append(&name, value.clone());
        }
    }
    for (name, value) in [(CONTENT_TYPE, "application/grpc"), (TE, "trailers")] {
        call.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    *call.extensions_mut() = asked.extensions;
    call
}

/// What callers say of themselves, and how long they wait.
const PASSED_ON: [HeaderName; 3] = [
    AUTHORIZATION,
    ACCEPT_LANGUAGE,
    HeaderName::from_static("grpc-timeout"),
];
