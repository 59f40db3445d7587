//! How many connections each listener has and had, and which it refused, for the operators' metrics.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The listeners of a process, each by its address, which the operator gave.
#[derive(Debug, Default)]
pub struct ConnectionTally(Mutex<Vec<Arc<ListenerTally>>>);

/// The connections of one listener.
#[derive(Debug)]
pub struct ListenerTally {
    address: SocketAddr,
    open: AtomicU64,
    accepted: AtomicU64,
    refused: [AtomicU64; ConnectionRefusal::ALL.len()],
}

/// Why a connection is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// Its TLS handshake failed.
    Handshake,
    /// Its TLS handshake took too long.
    HandshakeTime,
    /// Its client speaks HTTP where TLS is spoken.
    PlainHttp,
    /// Its client has its share of all connections.
    Share,
}

impl ConnectionRefusal {
    const ALL: [Self; 4] = [Self::Handshake, Self::HandshakeTime, Self::PlainHttp, Self::Share];

    fn name(self) -> &'static str {
        match self {
            Self::Handshake => "tls_handshake",
            Self::HandshakeTime => "tls_handshake_timeout",
            Self::PlainHttp => "plain_http",
            Self::Share => "share",
        }
    }
}

impl ConnectionTally {
    /// The connections of the listener at `address`, from its first one on.
    #[must_use]
    pub fn listener(&self, address: SocketAddr) -> Arc<ListenerTally> {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = listeners.iter().find(|listener| listener.address == address);
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let new = Arc::new(ListenerTally {
            address,
            open: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: Default::default(),
        });
        listeners.push(Arc::clone(&new));
        new
    }

    /// All of them.
    #[must_use]
    pub fn listeners(&self) -> Vec<Arc<ListenerTally>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ListenerTally {
    /// A connection is open, until what is returned is dropped.
    pub(crate) fn opened(self: &Arc<Self>) -> CountedConnection {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        CountedConnection(Arc::clone(self))
    }

    pub(crate) fn refused(&self, why: ConnectionRefusal) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// How many are open now.
    pub(super) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// How many got a place since the start.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How many were refused for each reason.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.refused.iter().map(|count| count.load(Ordering::Relaxed));
        ConnectionRefusal::ALL
            .map(ConnectionRefusal::name)
            .into_iter()
            .zip(counts)
    }
}

/// A connection that counts as open until this is dropped.
pub(crate) struct CountedConnection(Arc<ListenerTally>);

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
