//! How a request arrived.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::request_id::RequestId;

/// How a request arrived: an extension of every request that came through a listener.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Which listener it came through.
    pub entrance: Entrance,
    /// Whom it comes from, as far as proxies that the operator trusts say so.
    pub client: IpAddr,
    /// Its identifier, which the answer carries too.
    pub request_id: RequestId,
    pub(super) progress: Arc<Progress>,
}

/// A listener as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// What URLs that lead to it begin with.
    pub scheme: Scheme,
    /// Where it is bound.
    pub address: SocketAddr,
}

/// What URLs begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// As it stands in URLs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What a connection is about, shared by whoever reads the socket and whoever answers requests, so that a client gets
/// as much time as what it is about deserves. Costs the answering side one store of a byte for each change.
#[derive(Debug)]
pub struct Progress(AtomicU8);

/// What a connection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The beginning of a request is awaited.
    Head,
    /// The rest of a request is awaited.
    Body,
    /// A request is complete and being answered: the client owes nothing.
    Answering,
    /// The last request was answered; another one may come.
    Idle,
}

impl Progress {
    /// The stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Relaxed) {
            0 => Stage::Head,
            1 => Stage::Body,
            2 => Stage::Answering,
            _ => Stage::Idle,
        }
    }

    /// Goes to another stage.
    pub fn reach(&self, stage: Stage) {
        let number = match stage {
            Stage::Head => 0,
            Stage::Body => 1,
            Stage::Answering => 2,
            Stage::Idle => 3,
        };
        self.0.store(number, Ordering::Relaxed);
    }
}

/// A new connection owes a request at once.
impl Default for Progress {
    fn default() -> Self {
        Self(AtomicU8::new(0))
    }
}
