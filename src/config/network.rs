//! Where requests arrive, and under which address others know this server.

use std::net::SocketAddr;

use ipnet::IpNet;
use url::Url;

use super::outbound::network_in;
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

/// The networks of the proxies in front of this server, such as `10.1.0.0/16`; several are separated by commas, or listed
/// in the file. What these say in `X-Forwarded-For` of where a request comes from is believed, which silent network
/// authentication needs. None by default: the address of the connection counts.
pub(super) const TRUSTED_PROXIES: Key = Key::list("trusted_proxies", Sources::EnvironmentAndFile);

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
    /// The proxies that are believed where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
}

pub(super) fn read(settings: &mut Settings) -> Result<Network, ConfigError> {
    let url = "a URL such as https://verify.example.com, without user, query and fragment";
    let connections = settings.take(&MAX_CONNECTIONS, "a number from 1 to 1000000", |text| {
        text.parse().ok().filter(|most| (1..=1_000_000).contains(most))
    })?;
    let networks = "networks such as 10.1.0.0/16 or fd00:1::/32, or single addresses, separated by commas, with no bits set \
                    behind the network's";
    let proxies = settings.take(&TRUSTED_PROXIES, networks, |text| {
        text.split(',')
            .map(|network| network_in(network.trim()))
            .collect()
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
        trusted_proxies: proxies.unwrap_or_default(),
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
