//! One connection, from the moment that it is open: what is spoken on it.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::patience::Patient;
use super::requests::RequestsAtWork;
use super::{ClientLimits, Protocol, http1, http2, stream};
use crate::dialect::{Drain, RequestStage};
use crate::web::arrival::Entrance;
use crate::web::boundary::Boundary;

/// What a connection needs to be served.
pub(super) struct Accepted {
    pub(super) protocol: Protocol,
    pub(super) entrance: Entrance,
    pub(super) peer: IpAddr,
    pub(super) limits: Arc<ClientLimits>,
    pub(super) draining: Drain,
    /// Where it is said whether a request is being answered.
    pub(super) occupied: Arc<RequestStage>,
    /// The requests of everybody.
    pub(super) requests: Arc<RequestsAtWork>,
}

/// A connection on which it is clear what is spoken, until one side has enough. Boxed, so that none takes up more than
/// what is spoken on it needs.
pub(super) type Spoken = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who asks in HTTP, and who is asked.
pub(super) struct HttpPeer {
    pub(super) boundary: Boundary,
    pub(super) entrance: Entrance,
    pub(super) peer: IpAddr,
    /// Where it is said whether a request is being answered.
    pub(super) occupied: Arc<RequestStage>,
    /// The requests of everybody.
    pub(super) requests: Arc<RequestsAtWork>,
}

/// Which HTTP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpVersion {
    One,
    Two,
    /// What it sends first says so.
    Untold,
}

impl Accepted {
    /// Finds out what the client speaks; `None` if it said nothing in time, or the server stops.
    pub(super) async fn begin<Stream>(self, stream: Stream, version: HttpVersion) -> Option<Spoken>
    where
        Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            protocol,
            entrance,
            peer,
            limits,
            mut draining,
            occupied,
            requests,
        } = self;
        // What is owed on the connection; where requests follow each other, it is the stage of each of them.
        let stage = match &protocol {
            Protocol::Http(_) => Arc::<RequestStage>::default(),
            Protocol::Streams(_) => Arc::clone(&occupied),
        };
        let mut stream = Patient::new(stream, Arc::clone(&stage), Arc::clone(&limits));
        let boundary = match protocol {
            Protocol::Http(boundary) => boundary,
            Protocol::Streams(acceptor) => {
                let serving = stream::serve(acceptor, stream, stage, peer, draining, requests);
                return Some(Box::pin(serving));
            }
        };
        let is_two = match version {
            HttpVersion::One => false,
            HttpVersion::Two => true,
            HttpVersion::Untold => tokio::select! {
                biased;
                is_two = stream.begins_with(http2::PREFACE) => is_two
                    .inspect_err(|error| tracing::debug!("a connection ended early: {error}"))
                    .ok()?,
                // Nothing was asked yet.
                () = draining.begun() => return None,
            },
        };
        let client = HttpPeer {
            boundary,
            entrance,
            peer,
            occupied,
            requests,
        };
        Some(if is_two {
            Box::pin(http2::serve(client, stream, limits, draining))
        } else {
            Box::pin(http1::serve(client, stream, stage, draining))
        })
    }
}
