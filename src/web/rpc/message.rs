//! The frame around the one message of a unary call (gRPC over HTTP/2, "Length-Prefixed-Message").

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::Request;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tonic::Status;
use tower::{Service, ServiceExt as _};

use super::{CallReply, MAX_MESSAGE_BYTES};

/// Hands on calls whose body is exactly one message. The body was read before, and is short.
#[derive(Clone, Debug)]
pub struct OneMessage<S>(pub(super) S);

impl<S> Service<Request<tonic::body::Body>> for OneMessage<S>
where
    S: Service<Request<tonic::body::Body>, Response = CallReply, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = CallReply;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<CallReply, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(collected) = body.collect().await else {
                // What arrived was complete, so it is the form that is wrong.
                return Ok(Status::internal("the body is not in base64").into_http());
            };
            let bytes = collected.to_bytes();
            if let Err(refused) = check(&bytes) {
                return Ok(refused.into_http());
            }
            let body = tonic::body::Body::new(Full::new(bytes));
            service.oneshot(Request::from_parts(parts, body)).await
        })
    }
}

/// Whether this is a frame with a whole message, and nothing else.
fn check(body: &[u8]) -> Result<(), Status> {
    let Some((head, message)) = body.split_first_chunk::<HEAD_BYTES>() else {
        return Err(Status::internal(if body.is_empty() {
            "the call has no message"
        } else {
            "the call ends within the head of its message"
        }));
    };
    let [flag, length @ ..] = *head;
    if flag > COMPRESSED {
        return Err(Status::internal(format!(
            "a message begins with 0, or with 1 if it is compressed, not with {flag}"
        )));
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_MESSAGE_BYTES {
        return Err(Status::resource_exhausted(format!(
            "a message may have {MAX_MESSAGE_BYTES} bytes at the most"
        )));
    }
    if message.len() < length {
        return Err(Status::internal("the call ends within its message"));
    }
    if message.len() > length {
        return Err(Status::internal("the call has more than one message"));
    }
    Ok(())
}

/// The frame around `message`, which is not compressed.
pub(super) fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

/// The message in a frame that is not compressed.
pub(super) fn unframe(body: &Bytes) -> Option<Bytes> {
    let (head, message) = body.split_first_chunk::<HEAD_BYTES>()?;
    let [flag, length @ ..] = *head;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    (flag == 0 && message.len() == length).then(|| body.slice(HEAD_BYTES..))
}

/// A flag and the length.
const HEAD_BYTES: usize = 5;

/// The greatest flag.
const COMPRESSED: u8 = 1;
