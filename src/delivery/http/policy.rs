//! Whom an HTTP client may reach, and how much of them is put up with: one constructor for each use, so that they can be
//! compared.

use std::sync::Arc;
use std::time::Duration;

use super::{AddressGuard, Names, SystemNames};
use crate::delivery::trust::Authorities;

/// What a client says that it is.
pub const AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// What a client keeps to.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct HttpPolicy {
    /// Which addresses are connected to.
    pub reach: Reach,
    /// Whether URLs may be `http`.
    pub plaintext: Plaintext,
    pub versions: Versions,
    /// The authorities that are trusted instead of the system's.
    pub authorities: Option<Authorities>,
    /// Whether the proxies of the environment are used for `https`.
    pub proxies: bool,
    /// What the client says that it is.
    pub agent: Option<&'static str>,
    /// How long an exchange takes at most: lookup, connection, and answer together.
    pub time: Duration,
    /// How long it takes at most until there is a connection.
    pub connect_time: Duration,
    /// How much of a body is read at most.
    pub body_bytes: usize,
    /// Which connections are kept.
    pub pool: Pool,
}

/// Which addresses are connected to.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Whatever the operator's URL leads to.
    Anywhere,
    /// Public addresses, and those that the operator allows.
    Public {
        /// Tells which these are.
        guard: AddressGuard,
        /// Who is asked for the addresses of a name.
        names: Arc<dyn Names>,
    },
}

/// Whether URLs may be `http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plaintext {
    /// They may, wherever they lead.
    Permitted,
    /// They may if they lead to an address that the operator allows by name.
    Vouched,
}

/// Which versions of HTTP are spoken.
#[derive(Clone, Copy, Debug)]
pub enum Versions {
    /// What the other side likes best; HTTP/1.1 without TLS.
    Any,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2; over TLS HTTP/1.1, too, if the other side knows no better.
    Http2 {
        /// When a silent connection is looked at.
        alive: KeepAlive,
        /// The longest head of an answer.
        head_bytes: u32,
    },
}

/// When a silent connection is looked at.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    /// After so long it is asked whether anybody is there.
    pub after: Duration,
    /// Whoever does not answer within that is not.
    pub within: Duration,
}

/// Which connections are kept for the next exchange: so many idle ones for a host, each for so long.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Pool {
    pub idle_per_host: usize,
    pub idle_time: Duration,
}

impl HttpPolicy {
    /// For webhooks: their owners chose the URL, with or without TLS.
    #[must_use]
    pub fn webhooks(guard: AddressGuard, names: Arc<dyn Names>) -> Self {
        Self {
            reach: Reach::Public { guard, names },
            plaintext: Plaintext::Permitted,
            versions: Versions::Http1,
            authorities: None,
            proxies: false,
            agent: Some(AGENT),
            time: Duration::from_secs(5),
            connect_time: Duration::from_secs(3),
            body_bytes: 64 * 1024,
            pool: Pool {
                idle_per_host: 2,
                idle_time: Duration::from_secs(10),
            },
        }
    }

    /// For push services: devices chose the endpoint.
    #[must_use]
    pub fn push_services(guard: AddressGuard, names: Arc<dyn Names>) -> Self {
        Self {
            plaintext: Plaintext::Vouched,
            agent: None,
            ..Self::webhooks(guard, names)
        }
    }

    /// For Apple and Google, or who stands in for them: the operator chose the URL, which is `http` on this machine only.
    #[must_use]
    pub fn push_providers() -> Self {
        const TIME: Duration = Duration::from_secs(10);
        Self {
            reach: Reach::Anywhere,
            plaintext: Plaintext::Permitted,
            versions: Versions::Http2 {
                alive: KeepAlive {
                    after: TIME.saturating_mul(3),
                    within: TIME,
                },
                head_bytes: 16 * 1024,
            },
            authorities: None,
            proxies: true,
            agent: Some(AGENT),
            time: TIME,
            connect_time: Duration::from_secs(5),
            // They need a tenth of it.
            body_bytes: 16 * 1024,
            pool: Pool {
                idle_per_host: usize::MAX,
                idle_time: Duration::from_secs(90),
            },
        }
    }

    /// For a gateway of codes: the URL is the operator's own, so private addresses are reached as well.
    #[must_use]
    pub fn gateway(time: Duration, authorities: Option<Authorities>) -> Self {
        Self {
            reach: Reach::Anywhere,
            plaintext: Plaintext::Permitted,
            versions: Versions::Any,
            authorities,
            proxies: true,
            agent: Some(AGENT),
            time,
            connect_time: time,
            body_bytes: 64 * 1024,
            pool: Pool {
                idle_per_host: 8,
                idle_time: Duration::from_secs(30),
            },
        }
    }
}

impl Default for HttpPolicy {
    /// Public addresses only.
    fn default() -> Self {
        Self::webhooks(AddressGuard::default(), Arc::new(SystemNames::default()))
    }
}
