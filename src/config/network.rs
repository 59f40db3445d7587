//! Where requests arrive, and under which address others know this server.

use std::net::SocketAddr;

use url::Url;

use super::sources::Sources;
use super::{ConfigError, Key, Settings};

/// The address and port that serve the API over HTTP; port 0 takes a free one. `none` serves it over HTTPS only, which
/// needs `tls_listen`. Default `127.0.0.1:8080`.
pub const LISTEN: Key = Key::new("listen", Sources::All);

/// The address and port that serve `/health`, `/ready` and `/metrics`. None by default.
pub const OPS_LISTEN: Key = Key::new("ops_listen", Sources::All);

/// What clients reach the API at, such as `https://verify.example.com`: the beginning of every URL in answers. By
/// default what the request was sent to.
pub const PUBLIC_URL: Key = Key::new("public_url", Sources::All);

/// How many connections are open at the same time; others wait. Default 8192.
pub const MAX_CONNECTIONS: Key = Key::new("max_connections", Sources::All);

/// Where requests arrive.
#[derive(Debug)]
pub struct Network {
    /// For the API over HTTP, unless it is served over HTTPS only.
    pub listen: Option<SocketAddr>,
    /// For operators.
    pub ops_listen: Option<SocketAddr>,
    /// The beginning of every URL in answers, without a slash at its end.
    pub public_url: Option<Url>,
    /// How many connections are open at the same time.
    pub max_connections: usize,
}

pub(super) fn read(settings: &mut Settings) -> Result<Network, ConfigError> {
    let url = "a URL such as https://verify.example.com, without user, query and fragment";
    let connections = settings.take(&MAX_CONNECTIONS, "a number from 1 to 1000000", |text| {
        text.parse().ok().filter(|most| (1..=1_000_000).contains(most))
    })?;
    let listen = settings.take(&LISTEN, ADDRESS_OR_NONE, |text| match text {
        "none" => Some(None),
        address => self::address(address).map(Some),
    })?;
    Ok(Network {
        listen: listen.unwrap_or_else(|| Some(SocketAddr::from(([127, 0, 0, 1], 8080)))),
        ops_listen: settings.take(&OPS_LISTEN, ADDRESS, address)?,
        public_url: settings.take(&PUBLIC_URL, url, public_url)?,
        max_connections: connections.unwrap_or(8192),
    })
}

pub(super) fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

fn public_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

pub(super) const ADDRESS: &str = "an IP address and a port, such as 127.0.0.1:8080 or [::]:8080";

const ADDRESS_OR_NONE: &str =
    "an IP address and a port, such as 127.0.0.1:8080 or [::]:8080, or none to serve HTTPS only";
