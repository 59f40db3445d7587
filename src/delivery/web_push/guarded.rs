//! Push services through the client that reaches public addresses only.

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::{Host, Url};

use super::{Answer, Outbound, Problem};
use crate::delivery::guarded::{GuardedClient, PostError};

#[async_trait]
impl Outbound for GuardedClient {
    async fn post(&self, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Answer, Problem> {
        let forbidden = |why: &str| Problem::Forbidden { why: why.to_owned() };
        let url = Url::parse(url).map_err(|_| forbidden("the endpoint is no URL"))?;
        // Webhooks may be http; what a device names may not, unless the operator vouches for that very address.
        let vouched = match url.host() {
            Some(Host::Ipv4(address)) => self.vouches_for(address.into()),
            Some(Host::Ipv6(address)) => self.vouches_for(address.into()),
            Some(Host::Domain(_)) | None => false,
        };
        if url.scheme() != "https" && !vouched {
            return Err(forbidden(
                "the endpoint is not https; http is for addresses in outbound_allow only",
            ));
        }
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_str(value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(forbidden("a header cannot be written"));
            };
            map.insert(name, value);
        }
        match Self::post(self, &url, map, body).await {
            Ok(answer) => Ok(Answer {
                status: answer.status,
                retry_after: answer.header("retry-after").map(str::to_owned),
            }),
            Err(error @ (PostError::Blocked { .. } | PostError::Url)) => Err(Problem::Forbidden {
                why: error.to_string(),
            }),
            Err(
                error @ (PostError::Failed { .. }
                | PostError::Setup(_)
                | PostError::TimedOut { .. }
                | PostError::Unresolved { .. }),
            ) => Err(Problem::Failed {
                why: error.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::delivery::guarded::Guard;

    use super::*;

    async fn problem(allowed: &[&str], url: &str) -> Problem {
        let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
        let client = GuardedClient::new(Guard::allowing(allowed));
        Outbound::post(&client, url, &[], Vec::new()).await.unwrap_err()
    }

    #[tokio::test]
    async fn http_is_for_addresses_that_the_operator_allows() {
        for (allowed, url) in [
            (&[][..], "http://8.8.8.8/p"),
            (&[], "http://push.example/p"),
            (&["127.0.0.0/8"], "http://localhost/p"),
            (&["10.0.0.0/8"], "http://127.0.0.1/p"),
            (&["127.0.0.0/8"], "ftp://127.0.0.2/p"),
        ] {
            let problem = problem(allowed, url).await;
            assert!(matches!(problem, Problem::Forbidden { .. }), "{url}: {problem:?}");
        }
        // Nobody listens at port 0, but it was permitted to try.
        let tried = problem(&["127.0.0.0/8"], "http://127.0.0.1:0/p").await;
        assert!(matches!(tried, Problem::Failed { .. }), "{tried:?}");
    }

    #[tokio::test]
    async fn addresses_that_are_not_public_are_not_reached() {
        for url in [
            "https://127.0.0.1/p",
            "https://[::1]/p",
            "https://169.254.169.254/p",
        ] {
            let problem = problem(&[], url).await;
            assert!(matches!(problem, Problem::Forbidden { .. }), "{url}: {problem:?}");
        }
    }
}
