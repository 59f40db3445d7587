//! A connection by HTTP/2, with one request on the way at a time.

use std::io;
use std::net::SocketAddr;

use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;

/// One connection.
pub(super) struct Http2Lane(SendRequest<Bytes>);

/// A whole answer.
pub(super) struct Http2Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
}

impl Http2Lane {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, String> {
        connect(address)
            .await
            .map(Self)
            .map_err(|error| format!("cannot connect to {address} by HTTP/2: {error}"))
    }

    /// Sends one request and waits for its whole answer.
    pub(super) async fn exchange(
        &mut self,
        request: Request<()>,
        body: Bytes,
    ) -> Result<Http2Answer, String> {
        self.send(request, body)
            .await
            .map_err(|error| format!("the connection broke: {error}"))
    }

    /// Whether it still takes requests.
    pub(super) async fn is_open(&self) -> bool {
        self.0.clone().ready().await.is_ok()
    }

    async fn send(&mut self, request: Request<()>, body: Bytes) -> Result<Http2Answer, h2::Error> {
        let mut requests = self.0.clone().ready().await?;
        let (answer, mut out) = requests.send_request(request, false)?;
        out.send_data(body, true)?;
        let (head, mut body) = answer.await?.into_parts();
        let mut bytes = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            bytes.extend_from_slice(&piece);
        }
        Ok(Http2Answer {
            status: head.status,
            headers: head.headers,
            body: bytes,
            trailers: body.trailers().await?.unwrap_or_default(),
        })
    }
}

async fn connect(address: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (requests, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    // It ends with the requests.
    tokio::spawn(connection);
    Ok(requests)
}
