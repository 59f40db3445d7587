//! Connections whose bytes only the dialect understands.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::patience::Patient;
use crate::dialect::{AcceptedStream, Acceptor, Drain, RequestStage};

/// Hands the connection to the dialect, with the limits of every client around it; the dialect says in `stage` what is
/// owed on it.
pub(super) async fn serve<Stream>(
    acceptor: Arc<dyn Acceptor>,
    stream: Patient<Stream>,
    stage: Arc<RequestStage>,
    peer: IpAddr,
    draining: Drain,
) where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let client = AcceptedStream {
        bytes: Box::new(stream),
        peer,
        stage,
        draining,
    };
    acceptor.accept(client).await;
}
