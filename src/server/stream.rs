//! Connections whose bytes only the dialect understands.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::ClientLimits;
use super::patience::Patient;
use crate::dialect::{AcceptedStream, Acceptor, Drain, RequestStage};

/// Hands the connection to the dialect, with the limits of every client around it.
pub(super) async fn serve<Stream>(
    acceptor: Arc<dyn Acceptor>,
    stream: Stream,
    peer: IpAddr,
    limits: ClientLimits,
    draining: Drain,
) where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stage = Arc::new(RequestStage::default());
    let bytes = Box::new(Patient::new(stream, Arc::clone(&stage), limits));
    let client = AcceptedStream {
        bytes,
        peer,
        stage,
        draining,
    };
    acceptor.accept(client).await;
}
