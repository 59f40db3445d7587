//! gRPC, as every dialect that speaks it has it: over HTTP/2, and as gRPC-Web over either version.
//!
//! A dialect's service is made of its `.proto` files by `build.rs` beside this file. [`serve`] puts around it what all have:
//! bodies are read within the limits that all bodies have, a deadline holds, and answers go to browsers in their form.
//! [`about`] tells what there is, and whether it is served.

pub mod about;
mod deadline;
mod form;
mod health;
pub mod json;
mod message;
mod outcome;
mod streams;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request, Response, Version};
use http_body_util::Limited;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer as _, Service, ServiceExt as _};

use self::deadline::Deadline;
use self::form::CallForm;
pub use self::form::{CallFailures, answer, form, is_call, refuse};
pub use self::health::ServerHealth;
pub use self::message::OneMessage;
pub use self::outcome::failed;
use super::arrival::Arrival;
use super::body;
use crate::dialect::HttpFailure;

/// The longest message that is read or written, in bytes, compressed or not.
pub const MAX_MESSAGE_BYTES: usize = body::MAX_BODY_BYTES;

/// The token that a call shows as `authorization: Bearer` (RFC 6750, 2.1), in whatever case the scheme is.
#[must_use]
pub fn bearer_token(metadata: &MetadataMap) -> Option<&str> {
    let (scheme, token) = metadata.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// What a service answers a call with.
type CallReply = Response<tonic::body::Body>;

/// Serves a dialect's `service` of unary calls: what the service that is returned gets of a listener, it reads, and hands on.
#[must_use]
pub fn serve<S>(service: S) -> Web<OneMessage<S>>
where
    OneMessage<S>: Service<Request<tonic::body::Body>>,
{
    Web {
        service: GrpcWebLayer::new().layer(OneMessage(service)),
        bodies: Bodies::Whole,
    }
}

/// How the bodies of calls are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bodies {
    /// To the end, before the operation is asked.
    Whole,
    /// By the operation, which answers one message before the next comes. gRPC-Web has no such calls: there, all messages
    /// come first.
    AsTheyCome,
}

/// Takes calls in every form.
#[derive(Clone, Debug)]
pub struct Web<S> {
    service: GrpcWebService<S>,
    bodies: Bodies,
}

impl<S> Service<Request<Body>> for Web<S>
where
    S: Service<Request<tonic::body::Body>, Response = CallReply, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let web = self.clone();
        Box::pin(async move {
            // What pages may send anywhere without being asked has another type.
            let Some(form) = CallForm::of(request.headers()) else {
                return Ok(form::no_call());
            };
            let answered = web.answer(request, form).await;
            Ok(answered.unwrap_or_else(|refused| refuse(&refused, form.answer_form())))
        })
    }
}

impl<S> Web<S>
where
    S: Service<Request<tonic::body::Body>, Response = CallReply, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    async fn answer(self, request: Request<Body>, form: CallForm) -> Result<Response<Body>, Status> {
        // Trailers are the only place for what became of a call, and HTTP/1.1 has none that arrive.
        if form == CallForm::Native && request.version() != Version::HTTP_2 {
            return Err(Status::failed_precondition(
                "gRPC needs HTTP/2; over HTTP/1.1 there is gRPC-Web",
            ));
        }
        if request.method() != Method::POST {
            return Err(form::status(HttpFailure::MethodNotAllowed));
        }
        let deadline = Deadline::of(request.headers())?;
        let arrival = request.extensions().get::<Arrival>().cloned();
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(CONTENT_TYPE, form.media_type());
        let body = if self.bodies == Bodies::AsTheyCome && form == CallForm::Native {
            Body::new(Limited::new(body, body::MAX_BODY_BYTES))
        } else {
            let read = deadline.give_up(body::read(&parts, body)).await?;
            Body::from(read.map_err(form::status)?)
        };
        let call = self.service.oneshot(Request::from_parts(parts, body));
        let answering = async move {
            let Ok(response) = call.await;
            let mut answer = response.map(Body::new);
            outcome::note_said(&mut answer);
            answer
        };
        deadline.hold(answering, arrival).await
    }
}
