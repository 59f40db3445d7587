//! What a dialect without HTTP is handed: connections as streams of bytes.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::RequestStage;

/// A dialect that is spoken in bytes of its own.
#[async_trait]
pub trait Acceptor: fmt::Debug + Send + Sync {
    /// Speaks with one client until one side has enough, or [`AcceptedStream::draining`] says that it is time to end; the
    /// connection is closed when it returns. A server that stops waits for it no longer than for requests in flight.
    async fn accept(&self, client: AcceptedStream);
}

/// A connection, behind TLS if there is any.
pub struct AcceptedStream {
    /// What the client sends and is sent. A read fails with `TimedOut` when the client takes longer than what it owes may
    /// take, a write when it leaves unread what it is sent.
    pub bytes: Box<dyn ByteStream>,
    /// Who is at the other end.
    pub peer: IpAddr,
    /// What the client owes; the dialect says so. A new connection owes a [`Stage::Head`](super::Stage::Head), a byte in
    /// [`Stage::Idle`](super::Stage::Idle) begins the next one.
    pub stage: Arc<RequestStage>,
    /// When to end.
    pub draining: Drain,
    /// Where each thing that the client asks for has its place while it is at work.
    pub requests: Arc<dyn RequestRoom>,
}

/// The requests at work, as one client sees them: it has its share of all that the server works at, whatever protocols and
/// connections they come over.
pub trait RequestRoom: fmt::Debug + Send + Sync {
    /// A place for a request, until dropped; `None` if the client has its share.
    fn begin(&self) -> Option<Box<dyn RequestHeld>>;
}

/// A place of a request at work, given back when dropped.
pub trait RequestHeld: fmt::Debug + Send + Sync {}

/// Bytes in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Says when the server stops: what is at work is finished, nothing new is begun. The server waits for those that hold
/// one.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

impl Drain {
    /// One that begins when `true` is sent, or the sender is gone.
    #[must_use]
    pub fn new(stops: watch::Receiver<bool>) -> Self {
        Self(stops)
    }

    /// Waits until it begins; not at all when it has begun before.
    pub async fn begun(&mut self) {
        // An error says that the server is gone: that is an end as well.
        let _sent_or_gone = self.0.wait_for(|begun| *begun).await;
    }
}
