//! An HTTP client for URLs that somebody else chose: a webhook's owner, a device.
//!
//! Whoever chooses a URL could make this server knock at doors that only it can reach (server-side request forgery), or
//! answer so that it runs out of memory or patience. So every address is checked when a connection is opened, and the
//! checked address is the one that is connected to: no second lookup can give another. Redirects are not followed,
//! proxies not used, cookies not kept, bodies not decompressed; an exchange ends after [`Limits::time`], and of a body no
//! more than [`Limits::body_bytes`] is read.
//!
//! Invariant: no error shows more of the URL than its host. Its path and query may hold secrets.

mod address;
mod names;

use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, redirect, retry};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::Instant;
use url::{Host, Url};

pub use self::address::Guard;
use self::names::GuardedNames;
pub use self::names::{Names, SystemNames};
use crate::domain::time::Timestamp;

/// An HTTP client that reaches only what its [`Guard`] permits.
#[derive(Clone)]
pub struct GuardedClient {
    shared: Arc<Shared>,
}

struct Shared {
    guard: Guard,
    names: Arc<dyn Names>,
    limits: Limits,
    plain: OnceLock<Client>,
    secure: OnceLock<Client>,
}

/// How much of somebody else's server is put up with.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long an exchange takes at most: lookup, connection, and answer together.
    pub time: Duration,
    /// How long it takes at most until there is a connection.
    pub connect_time: Duration,
    /// How much of a body is read at most.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(5),
            connect_time: Duration::from_secs(3),
            body_bytes: 64 * 1024,
        }
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the body: what came in time, up to [`Limits::body_bytes`].
    pub body: Vec<u8>,
    /// Whether that is the whole body.
    pub complete: bool,
    headers: HeaderMap,
}

impl Answer {
    /// Whether the status is one of success (2xx).
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The header of this name, if there is one and it is printable ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the server wants to be left alone (`Retry-After`, RFC 9110, 10.2.3): a day at the longest, however much it
    /// asks for.
    #[must_use]
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        rest(self.header(RETRY_AFTER.as_str())?, now)
    }
}

/// What a `Retry-After` says: seconds, or a date.
pub(super) fn rest(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let seconds = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        // A number that is too large is a long time, too.
        text.parse().unwrap_or(u64::MAX)
    } else {
        let moment = OffsetDateTime::parse(text, &Rfc2822).ok()?.unix_timestamp();
        u64::try_from(moment).unwrap_or(0).saturating_sub(now.seconds())
    };
    Some(Duration::from_secs(seconds).min(LONGEST_REST))
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The address must not be reached.
    #[error(
        "{host} is at {address}, which is no public address, so it is not connected to; to allow it, put it or its network \
         into outbound_allow (--outbound-allow, COUNTERSIGN_OUTBOUND_ALLOW) and start the server again"
    )]
    Blocked {
        /// The URL's host.
        host: String,
        /// Its address, or the first of them.
        address: IpAddr,
    },
    /// The exchange failed.
    #[error("the exchange with {host} failed: {reason}")]
    Failed {
        /// The URL's host.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// No connection can be made to anybody.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
    /// It took too long.
    #[error("{host} did not answer in time")]
    TimedOut {
        /// The URL's host.
        host: String,
    },
    /// The name has no address.
    #[error("no address was found for {host}: {reason}")]
    Unresolved {
        /// The URL's host.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// The URL is not one that is sent to.
    #[error("the URL must begin with http:// or https:// and have a host, and no user name and password")]
    Url,
}

impl GuardedClient {
    /// A client that lets `guard` through and asks the system for addresses.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self::with(guard, Arc::new(SystemNames::default()), Limits::default())
    }

    /// A client that asks `names` for addresses and puts up with `limits`.
    #[must_use]
    pub fn with(guard: Guard, names: Arc<dyn Names>, limits: Limits) -> Self {
        let shared = Shared {
            guard,
            names,
            limits,
            plain: OnceLock::new(),
            secure: OnceLock::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Whether the operator allows this very address, be it public or not.
    #[must_use]
    pub fn vouches_for(&self, address: IpAddr) -> bool {
        self.shared.guard.vouches_for(address)
    }

    /// Sends `body` with `headers` to `url` in one POST, and returns what is answered, whatever its status.
    ///
    /// # Errors
    /// [`PostError`]. Unless it is [`PostError::Blocked`], [`PostError::Setup`], [`PostError::Unresolved`] or
    /// [`PostError::Url`], the message may have arrived all the same.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, PostError> {
        let host = self.permitted_host(url)?;
        let client = self.client_for(url)?;
        let deadline = Instant::now() + self.shared.limits.time;
        let sending = client.post(url.clone()).headers(headers).body(body).send();
        match tokio::time::timeout_at(deadline, sending).await {
            Ok(Ok(response)) => Ok(self.read(response, deadline).await),
            Ok(Err(error)) => Err(explain(&error, host)),
            Err(_) => Err(PostError::TimedOut { host }),
        }
    }

    /// The URL's host. One that is an address is checked here, because nobody looks it up; in which form it was written
    /// (decimal, octal, hexadecimal) makes no difference to the parsed URL.
    fn permitted_host(&self, url: &Url) -> Result<String, PostError> {
        let bare = url.username().is_empty() && url.password().is_none();
        if !bare || !matches!(url.scheme(), "http" | "https") {
            return Err(PostError::Url);
        }
        let host = url.host().ok_or(PostError::Url)?;
        let address = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        let host = host.to_string();
        match address {
            Some(address) if !self.shared.guard.permits(address) => Err(PostError::Blocked { host, address }),
            _ => Ok(host),
        }
    }

    /// The client for the URL's scheme. The system's trusted certificates are read when they are first needed: a bare
    /// machine has none, and can do without as long as nothing is sent over TLS.
    fn client_for(&self, url: &Url) -> Result<&Client, PostError> {
        let secure = url.scheme() == "https";
        let place = if secure {
            &self.shared.secure
        } else {
            &self.shared.plain
        };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        // A second installation in one process changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let builder = self.builder();
        let builder = if secure {
            builder
        } else {
            builder.tls_certs_only([])
        };
        let client = builder
            .build()
            .map_err(|error| PostError::Setup(innermost(&error)))?;
        Ok(place.get_or_init(|| client))
    }

    fn builder(&self) -> ClientBuilder {
        let names = GuardedNames {
            guard: self.shared.guard.clone(),
            names: Arc::clone(&self.shared.names),
        };
        Client::builder()
            .dns_resolver(names)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            // Whatever the crate can do, built for others.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            // Its reader bounds the head of an answer by count and length, and there are no streams to hold open.
            .http1_only()
            .connect_timeout(self.shared.limits.connect_time)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(10))
    }

    /// The status counts even if the rest never comes.
    async fn read(&self, mut response: Response, deadline: Instant) -> Answer {
        let mut answer = Answer {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body: Vec::new(),
            complete: false,
        };
        let most = self.shared.limits.body_bytes;
        while let Ok(Ok(chunk)) = tokio::time::timeout_at(deadline, response.chunk()).await {
            let Some(chunk) = chunk else {
                answer.complete = true;
                break;
            };
            let room = most - answer.body.len();
            answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                break;
            }
        }
        answer
    }
}

impl Default for GuardedClient {
    /// A client that reaches public addresses only.
    fn default() -> Self {
        Self::new(Guard::default())
    }
}

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClient")
            .field("guard", &self.shared.guard)
            .field("names", &self.shared.names)
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}

fn explain(error: &reqwest::Error, host: String) -> PostError {
    let mut cause: Option<&dyn StdError> = Some(error);
    while let Some(inner) = cause {
        // What the resolver said.
        if let Some(ours) = inner.downcast_ref::<PostError>() {
            return ours.clone();
        }
        cause = inner.source();
    }
    if error.is_timeout() {
        return PostError::TimedOut { host };
    }
    PostError::Failed {
        host,
        reason: innermost(error),
    }
}

/// The innermost cause says more than "error sending request", and nothing of the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::addr_eq(cause, error) {
        return "it is refused by the HTTP client".to_owned();
    }
    cause.to_string()
}

const LONGEST_REST: Duration = Duration::from_hours(24);
