//! Connections whose bytes only the dialect understands.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;

use tokio::io::{AsyncRead, AsyncWrite};

use super::patience::Patient;
use super::requests::{RequestPlace, RequestsAtWork};
use crate::dialect::{AcceptedStream, Acceptor, Drain, RequestHeld, RequestRoom, RequestStage};

/// Hands the connection to the dialect, with the limits of every client around it; the dialect says in `stage` what is
/// owed on it.
pub(super) async fn serve<Stream>(
    acceptor: Arc<dyn Acceptor>,
    stream: Patient<Stream>,
    stage: Arc<RequestStage>,
    peer: IpAddr,
    draining: Drain,
    requests: Arc<RequestsAtWork>,
) where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let requests = Arc::new(PeerRequests {
        all: requests,
        peer,
        draining: draining.clone(),
    });
    let client = AcceptedStream {
        bytes: Box::new(stream),
        peer,
        stage,
        draining,
        requests,
    };
    acceptor.accept(client).await;
}

/// The requests of whoever is at the other end. Nobody names others: a proxy is a client itself.
#[derive(Debug)]
struct PeerRequests {
    all: Arc<RequestsAtWork>,
    peer: IpAddr,
    draining: Drain,
}

impl RequestRoom for PeerRequests {
    fn begin(&self) -> Option<Box<dyn RequestHeld>> {
        let place = self.all.begin(self.peer, &HeaderMap::new(), &self.draining)?;
        Some(Box::new(place))
    }
}

impl RequestHeld for RequestPlace {}
