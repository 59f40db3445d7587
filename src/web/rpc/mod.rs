//! gRPC, as every dialect that speaks it has it: over HTTP/2, and as gRPC-Web over either version.
//!
//! A dialect's service is made of its `.proto` files by `build.rs` beside this file. [`serve`] puts around it what all have:
//! bodies are read within the limits that all bodies have, a deadline holds, and answers go to browsers in their form.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::Full;
use tonic::Status;
use tower::{Layer as _, Service, ServiceExt as _};

use super::body;
use crate::dialect::{AnswerForm, HttpFailure};

/// The longest message that is read or written, in bytes, compressed or not.
pub const MAX_MESSAGE_BYTES: usize = body::MAX_BODY_BYTES;

/// Whether a request with these headers is one of gRPC, in whichever form.
#[must_use]
pub fn is_call(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|kind| kind.starts_with("application/grpc"))
}

/// In which form such a request is answered when it fails.
#[must_use]
pub fn form(headers: &HeaderMap) -> AnswerForm {
    match content_type(headers) {
        Some(kind) if kind.starts_with("application/grpc-web-text") => WEB_TEXT,
        Some(kind) if kind.starts_with("application/grpc-web") => WEB,
        _ => AnswerForm::default(),
    }
}

const WEB: AnswerForm = AnswerForm(1);
const WEB_TEXT: AnswerForm = AnswerForm(2);

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// The answer to a call that failed outside of its operation: a status in the headers, without any message (gRPC over
/// HTTP/2, "Trailers-Only").
#[must_use]
pub fn answer(failure: HttpFailure<'_>, form: AnswerForm) -> Response<Body> {
    refuse(&status(failure), form)
}

/// The answer that consists of `status` alone.
#[must_use]
pub fn refuse(status: &Status, form: AnswerForm) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let kind = match form {
        WEB => "application/grpc-web+proto",
        WEB_TEXT => "application/grpc-web-text+proto",
        _ => "application/grpc",
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // What it says is short, so it always fits a header.
    let _always_written = status.add_header(headers);
    response
}

fn status(failure: HttpFailure<'_>) -> Status {
    match failure {
        HttpFailure::BodyBroken => Status::cancelled("the request ended before it was complete"),
        HttpFailure::BodyTimedOut => Status::deadline_exceeded("the request took too long to arrive"),
        HttpFailure::BodyTooLarge { most } => {
            Status::resource_exhausted(format!("the request may have {most} bytes at the most"))
        }
        HttpFailure::HeadTooLarge { most } => {
            Status::resource_exhausted(format!("the metadata may have {most} bytes at the most"))
        }
        HttpFailure::HeaderTwice { name } => {
            Status::invalid_argument(format!("the header {name} must be sent once"))
        }
        HttpFailure::HostUnclear => Status::invalid_argument("the request must name one host"),
        HttpFailure::MethodNotAllowed => Status::unimplemented("calls are made with POST"),
        HttpFailure::NotFound { .. } => Status::unimplemented("there is no such method"),
        HttpFailure::Overloaded => Status::unavailable("too many calls at once; try again"),
        HttpFailure::Panicked => Status::internal("an internal error occurred"),
    }
}

/// Serves a dialect's `service` of unary calls: what the service that is returned gets of a listener, it reads, and hands on.
#[must_use]
pub fn serve<S>(service: S) -> Web<Unary<S>>
where
    Unary<S>: Service<Request<tonic::body::Body>>,
{
    Web(tonic_web::GrpcWebLayer::new().layer(Unary(service)))
}

/// Takes calls in every form.
#[derive(Clone, Debug)]
pub struct Web<S>(tonic_web::GrpcWebService<S>);

impl<S> Service<Request<Body>> for Web<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            let form = form(request.headers());
            // Trailers are the only place for what became of a call, and HTTP/1.1 has none that arrive.
            if form == AnswerForm::default() && request.version() != Version::HTTP_2 {
                let why = "gRPC needs HTTP/2; over HTTP/1.1 there is gRPC-Web";
                return Ok(refuse(&Status::failed_precondition(why), form));
            }
            Ok(service.oneshot(request).await?.map(Body::new))
        })
    }
}

/// Reads the one message of each call, and ends calls whose time is over.
#[derive(Clone, Debug)]
pub struct Unary<S>(S);

impl<S> Service<Request<tonic::body::Body>> for Unary<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let deadline = match deadline(&parts.headers) {
                Ok(deadline) => deadline,
                Err(refused) => return Ok(refused.into_http()),
            };
            let call = async {
                match body::read(&parts, Body::new(body)).await {
                    Ok(bytes) => {
                        let body = tonic::body::Body::new(Full::new(bytes));
                        service.oneshot(Request::from_parts(parts, body)).await
                    }
                    Err(failure) => Ok(status(failure).into_http()),
                }
            };
            let Some(deadline) = deadline else {
                return call.await;
            };
            // A change that is under way is carried to its end, whoever still waits for it.
            match tokio::time::timeout(deadline, tokio::spawn(call)).await {
                Ok(Ok(answered)) => answered,
                Ok(Err(ended)) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
                Ok(Err(_)) => Ok(Status::cancelled("the server is stopping").into_http()),
                Err(_) => Ok(Status::deadline_exceeded("the call took longer than its deadline").into_http()),
            }
        })
    }
}

/// How long a call may take, if its caller says so (gRPC over HTTP/2, `grpc-timeout`).
fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(parse_timeout);
    parsed.map(Some).ok_or_else(|| {
        Status::invalid_argument("grpc-timeout must be up to 8 digits and one of H, M, S, m, u and n")
    })
}

fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let written = (1..=8).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    let count: u64 = Some(digits).filter(|_| written)?.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_hours(count),
        "M" => Duration::from_mins(count),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}
