//! The one HTTP client of all deliveries. Whom it may reach, and how much of them is put up with, is data: an
//! [`HttpPolicy`].
//!
//! Whoever chooses a URL (a webhook's owner, a device) could make this server knock at doors that only it can reach
//! (server-side request forgery), or answer so that it runs out of memory or patience. So, whatever the policy, redirects
//! are not followed, cookies not kept and bodies not decompressed; what goes in plain text goes by no proxy; an exchange
//! ends after [`HttpPolicy::time`], and of a body no more than [`HttpPolicy::body_bytes`] is read. Under [`Reach::Public`]
//! every address is checked when a connection is opened, and the checked address is the one that is connected to: no
//! second lookup can give another.
//!
//! Invariant: no error shows more of the URL than its host. Its path and query may hold secrets.

mod address;
mod answer;
mod error;
mod names;
mod policy;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, ClientBuilder, Method, redirect, retry};
use tokio::time::Instant;
use url::{Host, Url};

pub use self::address::AddressGuard;
pub use self::answer::{BodyEnd, HttpAnswer};
pub use self::error::{Causes, HttpError};
use self::names::GuardedNames;
pub(in crate::delivery) use self::names::asker;
pub use self::names::{Names, SystemNames, asked_by};
pub use self::policy::{AGENT, HttpPolicy, Plaintext, Pool, Reach, Versions};

/// An HTTP client that keeps to its [`HttpPolicy`]. Copies share their connections.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    policy: HttpPolicy,
    plain: OnceLock<Client>,
    secure: OnceLock<Client>,
}

pub(super) struct HttpRequest {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl HttpClient {
    /// A client that keeps to `policy`. It opens nothing yet: a bare machine has no trusted certificates, and can do without
    /// as long as nothing is sent over TLS.
    #[must_use]
    pub fn new(policy: HttpPolicy) -> Self {
        let shared = Shared {
            policy,
            plain: OnceLock::new(),
            secure: OnceLock::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Sends `body` with `headers` to `url` in one POST, and returns what is answered, whatever its status.
    ///
    /// # Errors
    /// [`HttpError`]. Unless it is [`HttpError::Blocked`], [`HttpError::Plaintext`], [`HttpError::Setup`],
    /// [`HttpError::Unresolved`] or [`HttpError::Url`], the message may have arrived all the same.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Result<HttpAnswer, HttpError> {
        let request = HttpRequest {
            method: Method::POST,
            url: url.clone(),
            headers,
            body,
        };
        self.send(request).await
    }

    /// Sends any request, as [`HttpClient::post`] does.
    ///
    /// # Errors
    /// As [`HttpClient::post`].
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, HttpError> {
        let policy = &self.shared.policy;
        let host = policy.permitted_host(&request.url)?;
        let client = self.client_for(&request.url)?;
        let deadline = Instant::now() + policy.time;
        let sending = client
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .send();
        match tokio::time::timeout_at(deadline, sending).await {
            Ok(Ok(response)) => Ok(HttpAnswer::read(response, policy.body_bytes, deadline).await),
            Ok(Err(error)) => Err(HttpError::explain(error, host)),
            Err(_) => Err(HttpError::TimedOut {
                host,
                causes: Causes::default(),
            }),
        }
    }

    /// The client for the URL's scheme.
    fn client_for(&self, url: &Url) -> Result<&Client, HttpError> {
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
        let client = self.shared.policy.builder(secure).and_then(ClientBuilder::build);
        let client = client.map_err(|error| HttpError::Setup(Causes::of(error)))?;
        Ok(place.get_or_init(|| client))
    }
}

impl HttpPolicy {
    /// The URL's host. One that is an address is checked here, because nobody looks it up; in which form it was written
    /// (decimal, octal, hexadecimal) makes no difference to the parsed URL.
    fn permitted_host(&self, url: &Url) -> Result<String, HttpError> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        if url.scheme() != "https" && !self.permits_plaintext(address) {
            return Err(HttpError::Plaintext);
        }
        let bare = url.username().is_empty() && url.password().is_none();
        if !bare || !matches!(url.scheme(), "http" | "https") {
            return Err(HttpError::Url);
        }
        let host = url.host().ok_or(HttpError::Url)?.to_string();
        match (&self.reach, address) {
            (Reach::Public { guard, .. }, Some(address)) if !guard.permits(address) => {
                Err(HttpError::Blocked { host, address })
            }
            _ => Ok(host),
        }
    }

    fn permits_plaintext(&self, address: Option<IpAddr>) -> bool {
        match (self.plaintext, &self.reach) {
            (Plaintext::Permitted, _) => true,
            (Plaintext::Vouched, Reach::Public { guard, .. }) => {
                address.is_some_and(|address| guard.vouches_for(address))
            }
            (Plaintext::Vouched, Reach::Anywhere) => false,
        }
    }

    fn builder(&self, secure: bool) -> Result<ClientBuilder, reqwest::Error> {
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            // Whatever the crate can do, built for others.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .connect_timeout(self.connect_time)
            .pool_max_idle_per_host(self.pool.idle_per_host)
            .pool_idle_timeout(self.pool.idle_time);
        if let Reach::Public { guard, names } = &self.reach {
            builder = builder.dns_resolver(GuardedNames {
                guard: guard.clone(),
                names: Arc::clone(names),
            });
        }
        if let Some(agent) = self.agent {
            builder = builder.user_agent(agent);
        }
        builder = match (self.versions, secure) {
            // Its reader bounds the head of an answer by count and length, and there are no streams to hold open.
            (Versions::Http1, _) => builder.http1_only().retry(retry::never()),
            (Versions::Any, _) => builder.retry(retry::never()),
            (Versions::Http2 { .. }, true) => builder,
            // Not agreed upon, but from the first byte on (RFC 9113, section 3.3).
            (Versions::Http2 { .. }, false) => builder.http2_prior_knowledge(),
        };
        if let Versions::Http2 { alive, head_bytes } = self.versions {
            // A stream that the other side did not look at is sent again, and nothing else (RFC 9113, section 8.7).
            builder = builder
                .http2_keep_alive_interval(alive.after)
                .http2_keep_alive_timeout(alive.within)
                .http2_max_header_list_size(head_bytes);
        }
        Ok(match (secure, &self.authorities) {
            (true, Some(authorities)) => {
                let certificates = authorities.certificates().iter();
                let certificates: Result<Vec<_>, _> = certificates
                    .map(|certificate| Certificate::from_der(certificate))
                    .collect();
                self.by_proxy(builder.tls_certs_only(certificates?))
            }
            (true, None) => self.by_proxy(builder),
            // What may be seen on this machine only is not for a proxy.
            (false, _) => builder.tls_certs_only([]).no_proxy(),
        })
    }

    fn by_proxy(&self, builder: ClientBuilder) -> ClientBuilder {
        if self.proxies { builder } else { builder.no_proxy() }
    }
}

impl Default for HttpClient {
    /// A client that reaches public addresses only.
    fn default() -> Self {
        Self::new(HttpPolicy::default())
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpClient").field(&self.shared.policy).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn error(allowed: &[&str], url: &str) -> HttpError {
        let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
        let names = Arc::new(SystemNames::default());
        let client = HttpClient::new(HttpPolicy::push_services(AddressGuard::allowing(allowed), names));
        let url = Url::parse(url).unwrap();
        client.post(&url, HeaderMap::new(), Vec::new()).await.unwrap_err()
    }

    #[tokio::test]
    async fn where_plaintext_is_vouched_for_it_is_for_addresses_that_the_operator_allows() {
        for (allowed, url) in [
            (&[][..], "http://8.8.8.8/p"),
            (&[], "http://push.example/p"),
            (&["127.0.0.0/8"], "http://localhost/p"),
            (&["10.0.0.0/8"], "http://127.0.0.1/p"),
        ] {
            assert_eq!(error(allowed, url).await, HttpError::Plaintext, "{url}");
        }
        let allowed = &["127.0.0.0/8"][..];
        assert_eq!(error(allowed, "ftp://127.0.0.2/p").await, HttpError::Url);
        // Nobody listens at port 0, but it was permitted to try.
        let tried = error(allowed, "http://127.0.0.1:0/p").await;
        assert!(matches!(tried, HttpError::Failed { .. }), "{tried:?}");
    }

    #[tokio::test]
    async fn addresses_that_are_not_public_are_not_reached() {
        for url in [
            "https://127.0.0.1/p",
            "https://[::1]/p",
            "https://169.254.169.254/p",
        ] {
            let error = error(&[], url).await;
            assert!(matches!(error, HttpError::Blocked { .. }), "{url}: {error:?}");
        }
    }

    #[tokio::test]
    async fn without_a_guard_plaintext_cannot_be_vouched_for() {
        let policy = HttpPolicy {
            plaintext: Plaintext::Vouched,
            ..HttpPolicy::push_providers()
        };
        let url = Url::parse("http://127.0.0.1:0/").unwrap();
        let client = HttpClient::new(policy);
        let sent = client.post(&url, HeaderMap::new(), Vec::new());
        assert_eq!(sent.await.unwrap_err(), HttpError::Plaintext);
    }

    #[test]
    fn the_agent_is_the_program_and_its_version() {
        assert!(AGENT.starts_with("countersign/") && AGENT.len() > "countersign/".len());
    }
}
