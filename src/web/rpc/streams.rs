//! Calls that are answered bit by bit, which nobody needs a token for: bounded in number and in time.
//!
//! All such calls of a process share [`MOST`] places, of which one client gets three quarters at the most, and less if others
//! want some too; so whoever takes what there is leaves places to others, and none of what needs a token.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, HeaderValue, Request, Version};
use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::{Sleep, sleep_until};
use tonic::Status;
use tower::{Service, ServiceExt as _};

use super::CallReply;
use super::deadline::Deadline;
use crate::domain::shares::Shares;
use crate::web::arrival::Arrival;
use crate::web::client_address::network;

/// The places of a process for such calls.
#[derive(Clone, Debug)]
pub(super) struct StreamPlaces(Arc<Mutex<Shares<IpAddr>>>);

impl StreamPlaces {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Shares::three_quarters(most))))
    }

    fn take(&self, client: IpAddr) -> Option<StreamPlace> {
        self.lock().take(client).then(|| StreamPlace {
            among: self.clone(),
            client,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Shares<IpAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one call, until dropped.
#[derive(Debug)]
struct StreamPlace {
    among: StreamPlaces,
    client: IpAddr,
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.among.lock().give_back(self.client);
    }
}

/// Hands on calls for which there is a place, and ends those that go on for longer than they may.
#[derive(Clone, Debug)]
pub(super) struct Bounded<S> {
    pub(super) service: S,
    pub(super) places: StreamPlaces,
    /// The longest that one goes on.
    pub(super) most: Duration,
}

impl<S> Service<Request<tonic::body::Body>> for Bounded<S>
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
        let Self {
            service,
            places,
            most,
        } = self.clone();
        Box::pin(async move {
            let client = request.extensions().get::<Arrival>();
            let client = client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |arrival| {
                network(arrival.client)
            });
            let Some(place) = places.take(client) else {
                let why = "too many calls of this kind at once; end some, or try again later";
                return Ok(Status::resource_exhausted(why).into_http());
            };
            let deadline = match Deadline::of(request.headers()) {
                Ok(deadline) => deadline.or_within(most),
                Err(refused) => return Ok(refused.into_http()),
            };
            let version = request.version();
            let mut reply = service.oneshot(request).await?;
            if version != Version::HTTP_2 && !reply.body().is_end_stream() {
                // So that the listener sees that its client owes nothing while it lasts.
                let close = HeaderValue::from_static("close");
                reply.headers_mut().insert(CONNECTION, close);
            }
            Ok(reply.map(|body| {
                tonic::body::Body::new(Timed {
                    body,
                    timer: Box::pin(sleep_until(deadline)),
                    place: Some(place),
                })
            }))
        })
    }
}

/// An answer that ends with a status when its time is over.
struct Timed {
    body: tonic::body::Body,
    timer: Pin<Box<Sleep>>,
    /// Until it is over.
    place: Option<StreamPlace>,
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.place.is_none() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if frame.is_none() {
                self.place = None;
            }
            return Poll::Ready(frame);
        }
        ready!(self.timer.as_mut().poll(cx));
        self.place = None;
        let mut trailers = HeaderMap::new();
        // What it says is short, so it always fits a header.
        let _always_written =
            Status::deadline_exceeded("the call went on for as long as it may").add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.place.is_none() || self.body.is_end_stream()
    }
}

/// How many such calls a process answers at once. Each holds some kilobytes.
pub(super) const MOST: usize = 256;
