//! How a request arrived.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::dialect::{RequestId, RequestStage};

/// The place that a request takes up among all that are at work, until the last one who has this lets it go.
pub type RequestHold = Arc<dyn Any + Send + Sync>;

/// What whoever read a request off its connection knows of it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Which listener it came through.
    pub entrance: Entrance,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// How far it has come.
    pub stage: Arc<RequestStage>,
    /// What is let go when the request is over, also if that is long after its client went away.
    pub held: RequestHold,
}

/// How a request arrived: an extension of every request that came through a listener.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Which listener it came through.
    pub entrance: Entrance,
    /// Whom it comes from, as far as proxies that the operator trusts say so.
    pub client: IpAddr,
    /// Its identifier, which the answer carries too.
    pub request_id: RequestId,
    pub(super) stage: Arc<RequestStage>,
    pub(super) held: RequestHold,
}

impl Arrival {
    /// What work has to keep that goes on when the request was answered, or given up: so it counts as long as it is done,
    /// and a server that stops waits for it.
    #[must_use]
    pub fn hold(&self) -> RequestHold {
        Arc::clone(&self.held)
    }
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
