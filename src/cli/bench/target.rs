//! The server under load, and the bytes of a request to it.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A server that is reached over plain HTTP, where the load generator costs least.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// The `Host` header.
    pub(super) host: String,
    /// What its paths begin with: empty, or a prefix without the last slash.
    pub(super) prefix: String,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text).map_err(|error| format!("{text:?} is no URL: {error}"))?;
        if url.scheme() != "http" {
            return Err(format!(
                "{text} is not http: the load generator speaks plain HTTP only, aim it at the listener without TLS"
            ));
        }
        let name = url.host_str().ok_or_else(|| format!("{text} names no host"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let address = url
            .socket_addrs(|| None)
            .or_else(|_| (name, port).to_socket_addrs().map(Iterator::collect))
            .ok()
            .and_then(|found: Vec<_>| found.first().copied())
            .ok_or_else(|| format!("the host of {text} cannot be resolved"))?;
        let prefix = url.path().trim_end_matches('/');
        Ok(Self {
            address,
            host: format!("{name}:{port}"),
            prefix: prefix.strip_suffix("/v2").unwrap_or(prefix).to_owned(),
        })
    }

    /// Replaces `into` by a request whose body is `form`, already encoded.
    pub(super) fn write(
        &self,
        into: &mut Vec<u8>,
        authorization: &AccountCredentials,
        request: &PreparedRequest<'_>,
    ) {
        let PreparedRequest { method, path, form } = request;
        into.clear();
        let length = form.len().to_string();
        for part in [
            method,
            " ",
            &self.prefix,
            path,
            " HTTP/1.1\r\nHost: ",
            &self.host,
            "\r\nAuthorization: ",
            &authorization.0,
            "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ",
            &length,
            "\r\n\r\n",
            form,
        ] {
            into.extend_from_slice(part.as_bytes());
        }
    }
}

/// A request as text.
pub(super) struct PreparedRequest<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) form: &'a str,
}

/// An `Authorization` header. It does not print.
#[derive(Clone)]
pub(super) struct AccountCredentials(String);

impl AccountCredentials {
    pub(super) fn new(user: &str, password: &str) -> Self {
        Self(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    /// The header's value, for another program that is to send the same requests.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

/// `SID:TOKEN`, as it stands on the command line.
impl FromStr for AccountCredentials {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((sid, token)) if !sid.is_empty() && !token.is_empty() => Ok(Self::new(sid, token)),
            _ => Err("an account is written SID:TOKEN".to_owned()),
        }
    }
}

impl std::fmt::Debug for AccountCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Basic(..)")
    }
}

/// What callers show who have no user name. It does not print.
#[derive(Clone)]
pub(super) struct SignalToken(String);

impl SignalToken {
    /// The value of an `Authorization` header.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl FromStr for SignalToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token is what `countersign token create` prints".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for SignalToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_exactly_these_bytes() {
        let target = Target::parse("http://127.0.0.1:8080/").unwrap();
        let mut bytes = b"left over".to_vec();
        let request = PreparedRequest {
            method: "POST",
            path: "/v2/Services",
            form: "FriendlyName=a",
        };
        target.write(&mut bytes, &"AC1:t".parse().unwrap(), &request);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "POST /v2/Services HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Basic QUMxOnQ=\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 14\r\n\r\nFriendlyName=a"
        );
    }

    #[test]
    fn a_url_is_taken_with_a_prefix_and_refused_with_tls() {
        assert_eq!(Target::parse("http://127.0.0.1:1/p/v2/").unwrap().prefix, "/p");
        assert!(Target::parse("https://127.0.0.1:1").unwrap_err().contains("TLS"));
        assert!(AccountCredentials::from_str("AC1").is_err());
    }
}
