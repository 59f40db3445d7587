//! One connection, from the moment that it is open: what is spoken on it.

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{ClientLimits, Protocol, http1, stream};
use crate::dialect::Drain;
use crate::web::arrival::Entrance;

/// What a connection needs to be served.
pub(super) struct Accepted {
    pub(super) protocol: Protocol,
    pub(super) entrance: Entrance,
    pub(super) peer: IpAddr,
    pub(super) limits: ClientLimits,
    pub(super) draining: Drain,
}

impl Accepted {
    /// Speaks with the client until one side has enough.
    pub(super) async fn serve<Stream>(self, stream: Stream)
    where
        Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            protocol,
            entrance,
            peer,
            limits,
            draining,
        } = self;
        match protocol {
            Protocol::Http(boundary) => {
                let client = http1::Client {
                    boundary,
                    entrance,
                    peer,
                };
                http1::serve(client, stream, limits, draining).await;
            }
            // Boxed: those who speak HTTP, of whom thousands may wait, are not to take up what others need.
            Protocol::Streams(acceptor) => {
                Box::pin(stream::serve(acceptor, stream, peer, limits, draining)).await
            }
        }
    }
}
