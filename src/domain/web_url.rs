//! URLs that requests can go to, read in one way wherever they are given.

use url::{Host, Url};

/// Reads an absolute `http` or `https` URL without user information and fragment (WHATWG URL), to whose host a connection
/// can be made and which HTTP can carry: the standard takes hosts such as `a"b` or labels of 100 letters, nobody else does.
/// `None` of everything else.
#[must_use]
pub fn read(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let reachable = match url.host()? {
        Host::Domain(name) => is_name(name),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    };
    let web = matches!(url.scheme(), "http" | "https");
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (web && bare && reachable && url.port() != Some(0)).then_some(url)
}

/// Whether the DNS can be asked for it. Underscores are no letters of hosts, but there are such hosts.
fn is_name(name: &str) -> bool {
    // A dot at the end says that the name is whole.
    let name = name.strip_suffix('.').unwrap_or(name);
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letter);
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_no_request_can_go_to_is_refused() {
        for good in [
            "https://owlbank.example",
            "http://127.0.0.1:9000/hook?x=1",
            "https://[::1]/",
            "https://localhost/",
            "https://a_b.owlbank.example./",
            "https://b\u{fc}cher.example/\u{fc}?\u{fc}",
        ] {
            assert!(read(good).is_some(), "{good}");
        }
        let label = format!("https://{}.example/", "a".repeat(64));
        let name = format!("https://{}example/", "a.".repeat(128));
        for bad in [
            "",
            "/hook",
            "ftp://x.example",
            "https://u:p@x.example",
            "https://u@x.example",
            "https://x.example/#a",
            "https://",
            "https://x.example:0/",
            "https://a\"b.example/",
            "https://a{b}.example/",
            "https://a..example/",
            "https://.example/",
            &label,
            &name,
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        // The parser that the HTTP client hands its requests to.
        #[test]
        fn http_carries_what_is_read(
            host in "([a-z0-9A-Z._-]|[!-~]|\\PC){1,20}",
            path in "([!-~]|\\PC){0,20}",
            query in "([!-~]|\\PC){0,20}",
        ) {
            if let Some(url) = read(&format!("https://{host}/{path}?{query}")) {
                let uri: Result<axum::http::Uri, _> = url.as_str().parse();
                prop_assert!(uri.is_ok_and(|uri| uri.host() == url.host_str()), "{url}");
                prop_assert_eq!(read(url.as_str()), Some(url));
            }
        }
    }
}
