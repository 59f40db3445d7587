//! Listeners: connections, their limits, TLS, graceful shutdown.
//!
//! What goes over a connection is spoken by `http1` or `http2`, which hand requests to
//! [`web::boundary`](crate::web::boundary) without a stack of layers in between, or by the dialect itself, to which `stream`
//! hands the bytes. Clients say with ALPN that they speak HTTP/2, or without TLS by how they begin.
//!
//! Invariant: no dialect is known here by its name; whatever a client is told comes from the dialect, but for whoever
//! speaks HTTP where TLS is spoken (`plain`).

mod connection;
pub mod connections;
mod http1;
mod http2;
mod patience;
mod plain;
mod requests;
pub mod self_signed;
mod stream;
pub mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use self::connection::HttpVersion;
use self::connections::{ConnectionPlace, OpenConnections};
use crate::dialect::{Acceptor, Dialect, Drain, Http, Speaks};
use crate::web::arrival::{Entrance, Scheme};
use crate::web::boundary::Boundary;
use crate::web::client_address::TrustedProxies;
use crate::web::connection_tally::{ConnectionRefusal, ListenerTally};

/// A socket that connections come in through. Whoever makes it owns it; port 0 is fine.
pub struct Listener {
    socket: TcpListener,
    entrance: Entrance,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// A listener for HTTP.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn plain(address: SocketAddr) -> io::Result<Self> {
        let socket = bind(address)?;
        let entrance = Entrance {
            scheme: Scheme::Http,
            address: socket.local_addr()?,
        };
        Ok(Self {
            socket,
            entrance,
            tls: None,
        })
    }

    /// A listener for HTTPS.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn tls(address: SocketAddr, settings: Arc<rustls::ServerConfig>) -> io::Result<Self> {
        let socket = bind(address)?;
        let entrance = Entrance {
            scheme: Scheme::Https,
            address: socket.local_addr()?,
        };
        Ok(Self {
            socket,
            entrance,
            tls: Some(TlsAcceptor::from(settings)),
        })
    }

    /// Where it is bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.entrance.address
    }

    /// The URL that leads to it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.entrance.scheme.as_str(), self.entrance.address)
    }
}

/// What is spoken on connections.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// HTTP/1.1 or HTTP/2.
    Http(Boundary),
    /// What the dialect makes of the bytes.
    Streams(Arc<dyn Acceptor>),
}

impl Protocol {
    /// What `dialect` speaks; `boundary` is put around it if that is HTTP.
    #[must_use]
    pub fn of(dialect: Dialect, boundary: impl FnOnce(Http) -> Boundary) -> Self {
        tracing::debug!("serving the dialect {}", dialect.name);
        match dialect.speaks {
            Speaks::Http(http) => Self::Http(boundary(http)),
            Speaks::Streams(acceptor) => Self::Streams(acceptor),
        }
    }
}

/// How much of the server one client may take up, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// How many connections are open at the same time.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take, from its first byte on.
    pub head: Duration,
    /// How long the body of a request may take.
    pub body: Duration,
    /// How long a client may leave an answer unread.
    pub write: Duration,
    /// How long a connection is kept open between two requests, or behind the last one.
    pub idle: Duration,
    /// The same behind an answer to somebody who is not known ([`Stranger`](crate::dialect::Stranger)).
    pub stranger: Duration,
    /// How many requests of one connection are served at once, where the protocol has that.
    pub streams: u32,
    /// How often a client that waits is asked whether it is still there, where the protocol has that.
    pub ping: Duration,
    /// How long it may take to say so.
    pub pong: Duration,
    /// How long requests in flight are waited for when the server stops.
    pub drain: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections: 8192,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            stranger: Duration::from_secs(5),
            streams: 100,
            ping: Duration::from_mins(1),
            pong: Duration::from_secs(20),
            drain: Duration::from_secs(10),
        }
    }
}

/// Serves until `shutdown` is over; then accepts nothing more, lets requests in flight finish, and returns. Has as many
/// connections for itself as `limits` say.
pub async fn run(
    listeners: Vec<Listener>,
    protocol: Protocol,
    limits: ClientLimits,
    shutdown: impl Future<Output = ()>,
) {
    let connections = OpenConnections::new(limits.connections, TrustedProxies::default(), Arc::default());
    run_among(connections, listeners, protocol, limits, shutdown).await;
}

/// Serves as [`run`] does; `connections` are those of others, too, and count instead of those that `limits` name.
pub async fn run_among(
    connections: Arc<OpenConnections>,
    listeners: Vec<Listener>,
    protocol: Protocol,
    limits: ClientLimits,
    shutdown: impl Future<Output = ()>,
) {
    let (drain, draining) = watch::channel(false);
    let draining = Drain::new(draining);
    // Shared: thousands who wait are not to have it in memory each.
    let limits = Arc::new(limits);
    for listener in listeners {
        tokio::spawn(accept(
            listener,
            protocol.clone(),
            Arc::clone(&limits),
            Arc::clone(&connections),
            draining.clone(),
        ));
    }
    drop(draining);
    shutdown.await;
    // Every connection holds a receiver, so the channel is closed when the last one is gone.
    drain.send_replace(true);
    if tokio::time::timeout(limits.drain, drain.closed()).await.is_err() {
        tracing::warn!(
            "requests were still unanswered after {:?}; stopping all the same",
            limits.drain
        );
    }
}

/// A socket that listens. Its queue of new connections is long: everybody who waited comes again when a server was
/// restarted, and whoever finds the queue full is heard of only seconds later. The system may shorten it
/// (`net.core.somaxconn`).
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    const QUEUE: u32 = 4096;
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restarted server gets its port back while connections of the last one linger. On Windows it would mean more.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

async fn accept(
    listener: Listener,
    protocol: Protocol,
    limits: Arc<ClientLimits>,
    connections: Arc<OpenConnections>,
    draining: Drain,
) {
    let mut stopping = draining.clone();
    let tally = connections.tally().listener(listener.entrance.address);
    loop {
        let next = next(&listener, &connections, &tally);
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = stopping.begun() => return,
        };
        let (stream, peer, place) = match accepted {
            Ok(Some(accepted)) => accepted,
            Ok(None) => continue,
            Err(error) => {
                recover(&error).await;
                continue;
            }
        };
        // Answers are small and complete: waiting for more to send would only delay them.
        let _only_slower = stream.set_nodelay(true);
        let client = connection::Accepted {
            protocol: protocol.clone(),
            entrance: listener.entrance,
            peer: peer.ip().to_canonical(),
            limits: Arc::clone(&limits),
            draining: draining.clone(),
            occupied: place.stage(),
            requests: place.requests(),
        };
        let acceptor = listener.tls.clone();
        let tally = Arc::clone(&tally);
        tokio::spawn(async move {
            let _counted = tally.opened();
            let serving = async {
                // On the heap for as long as it lasts: it is large, and the connection outlives it by far.
                let spoken = match acceptor {
                    None => Box::pin(client.begin(stream, HttpVersion::Untold)).await,
                    Some(acceptor) => Box::pin(shake_hands(acceptor, client, stream, &tally)).await,
                };
                if let Some(spoken) = spoken {
                    spoken.await;
                }
            };
            tokio::select! {
                // What has come is looked at first.
                biased;
                () = serving => {}
                () = place.given_up() => tracing::debug!("an idle connection was closed for a new one"),
            }
        });
    }
}

async fn shake_hands(
    acceptor: TlsAcceptor,
    client: connection::Accepted,
    stream: TcpStream,
    tally: &ListenerTally,
) -> Option<connection::Spoken> {
    let begun = async {
        if plain::begins(&stream).await? {
            return Ok(Err(stream));
        }
        acceptor.accept(stream).await.map(Ok)
    };
    let shaken = tokio::time::timeout(client.limits.handshake, begun).await;
    let stream = match shaken {
        Ok(Ok(Ok(stream))) => stream,
        Ok(Ok(Err(stream))) => {
            tracing::debug!("a client speaks HTTP where TLS is spoken");
            tally.refused(ConnectionRefusal::PlainHttp);
            plain::refuse(stream).await;
            return None;
        }
        Ok(Err(error)) => {
            tally.refused(ConnectionRefusal::Handshake);
            tracing::debug!("a TLS handshake failed: {error}");
            return None;
        }
        Err(_) => {
            tally.refused(ConnectionRefusal::HandshakeTime);
            tracing::debug!("a TLS handshake took too long");
            return None;
        }
    };
    let version = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => HttpVersion::Two,
        _ => HttpVersion::One,
    };
    client.begin(stream, version).await
}

/// The next connection that has a place; `None` for one that is turned away.
async fn next(
    listener: &Listener,
    connections: &Arc<OpenConnections>,
    tally: &ListenerTally,
) -> io::Result<Option<(TcpStream, SocketAddr, ConnectionPlace)>> {
    let (stream, peer) = listener.socket.accept().await?;
    let place = connections.enter(peer.ip()).await;
    if place.is_none() {
        tally.refused(ConnectionRefusal::Share);
    }
    Ok(place.map(|place| (stream, peer, place)))
}

/// A connection that ended before it was accepted is nobody's problem. Anything else (no more file descriptors, mostly)
/// would fail again at once, so it is given time to pass.
async fn recover(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    const PAUSE: Duration = Duration::from_secs(1);
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        tracing::error!("cannot accept connections: {error}; trying again in {PAUSE:?}");
        tokio::time::sleep(PAUSE).await;
    }
}
