//! Under which address clients reach this server: the beginning of every URL in an answer.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::header::HOST;
use axum::http::request::Parts;
use url::Url;

use super::arrival::{Arrival, Scheme};

/// The beginning of every URL in an answer.
#[derive(Clone, Debug, Default)]
pub struct PublicUrl(Option<Arc<str>>);

impl PublicUrl {
    /// Always `url`, which may end in a path: what a proxy in front adds to the paths that are served here.
    #[must_use]
    pub fn fixed(url: &Url) -> Self {
        Self(Some(Arc::from(url.as_str().trim_end_matches('/'))))
    }

    /// What each request was sent to.
    #[must_use]
    pub fn from_requests() -> Self {
        Self(None)
    }

    /// What was configured, or nothing: what it begins is then a path.
    #[must_use]
    pub fn fixed_base(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// [`Self::base`], for whoever outlives the request.
    #[must_use]
    pub fn owned_base(&self, request: &Parts) -> Arc<str> {
        match &self.0 {
            Some(fixed) => Arc::clone(fixed),
            None => Arc::from(&*self.base(request)),
        }
    }

    /// The beginning of the URLs in the answer to this request, without a slash at its end: what was configured, or else
    /// the listener's scheme and the request's `Host`, or else (there is none, or it is no host) the listener's address.
    #[must_use]
    pub fn base(&self, request: &Parts) -> Cow<'_, str> {
        if let Some(fixed) = &self.0 {
            return Cow::Borrowed(fixed);
        }
        let arrival = request.extensions.get::<Arrival>();
        let scheme = arrival
            .map_or(Scheme::Http, |arrival| arrival.entrance.scheme)
            .as_str();
        let named = request.headers.get(HOST).and_then(|host| host.to_str().ok());
        let named = named.or_else(|| Some(request.uri.authority()?.as_str()));
        Cow::Owned(match (named.filter(|host| is_host(host)), arrival) {
            (Some(host), _) => format!("{scheme}://{host}"),
            (None, Some(arrival)) => format!("{scheme}://{}", arrival.entrance.address),
            (None, None) => format!("{scheme}://localhost"),
        })
    }
}

/// Whether the text is a host, with or without a port, and nothing that could mean more in a URL.
fn is_host(text: &str) -> bool {
    let (host, rest) = if let Some((address, rest)) = bracketed(text) {
        let fits = |b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
        (address.bytes().all(fits), rest)
    } else {
        let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        (!name.is_empty() && name.bytes().all(fits), rest)
    };
    let port = rest
        .strip_prefix(':')
        .map_or(rest.is_empty(), |port| port.parse::<u16>().is_ok());
    host && port && text.len() <= 255
}

/// What stands between the brackets of an IPv6 address, and behind them.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('[')?.split_once(']')
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::http::Request;

    use super::*;
    use crate::doubles::SeededEntropy;
    use crate::web::arrival::Entrance;
    use crate::web::request_id::RequestIds;

    fn base(url: &PublicUrl, host: Option<&str>, scheme: Scheme) -> String {
        let mut request = Request::get("/v2/Services");
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Arrival {
            client: std::net::IpAddr::from([127, 0, 0, 1]),
            entrance: Entrance {
                scheme,
                address: SocketAddr::from(([10, 0, 0, 1], 8443)),
            },
            request_id: RequestIds::new(&SeededEntropy::new(1)).next(),
            stage: Arc::default(),
            held: Arc::new(()),
        });
        url.base(&parts).into_owned()
    }

    #[test]
    fn a_configured_url_is_used_as_it_is() {
        for (given, expected) in [
            ("https://verify.example.com", "https://verify.example.com"),
            ("https://example.com/verify/", "https://example.com/verify"),
        ] {
            let url = PublicUrl::fixed(&Url::parse(given).unwrap());
            assert_eq!(base(&url, Some("other.example"), Scheme::Http), expected);
        }
    }

    #[test]
    fn otherwise_it_is_what_the_request_was_sent_to() {
        let url = PublicUrl::from_requests();
        assert_eq!(
            base(&url, Some("localhost:8080"), Scheme::Http),
            "http://localhost:8080"
        );
        assert_eq!(
            base(&url, Some("[::1]:8443"), Scheme::Https),
            "https://[::1]:8443"
        );
        assert_eq!(base(&url, None, Scheme::Https), "https://10.0.0.1:8443");
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        let url = PublicUrl::from_requests();
        for bad in [
            "", "a b", "a/b", "a@b", "a:b", "a:1:2", "[::1", "[::1]x", "a?b", "a#b", "a\"b", ":80", "a:65536",
        ] {
            assert_eq!(
                base(&url, Some(bad), Scheme::Http),
                "http://10.0.0.1:8443",
                "{bad}"
            );
        }
        assert_eq!(
            base(&url, Some(&"a".repeat(256)), Scheme::Http),
            "http://10.0.0.1:8443"
        );
    }
}
