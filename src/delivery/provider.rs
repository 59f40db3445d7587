//! HTTP/2 to push providers: two pools of connections for the whole process, bounded in time and in what is read.
//!
//! Over TLS the version is agreed upon as usual (ALPN). Without TLS, which the settings allow on this machine only, it is
//! HTTP/2 from the first byte (RFC 9113, section 3.3).

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, StatusCode, redirect};
use time::PrimitiveDateTime;
use time::macros::format_description;
use url::Url;
use zeroize::Zeroizing;

use crate::domain::time::Timestamp;

/// How long one notification may take, everything included.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is read of an answer. Providers need a tenth of it.
const MOST_BYTES: usize = 16 * 1024;

/// The longest wait that a provider can ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The pools. They are opened when they are first needed: most commands never do.
#[derive(Debug, Default)]
pub(super) struct Provider {
    tls: OnceLock<Client>,
    plain: OnceLock<Client>,
}

/// An answer, as far as it was read. It has no `Debug`: it may be an access token.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Zeroizing<Vec<u8>>,
    pub(super) retry_after: Option<Duration>,
}

impl Provider {
    /// Posts `body` and reads the answer.
    ///
    /// # Errors
    /// What went wrong, without the URL: it may hold a device's token.
    pub(super) async fn post(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Vec<u8>,
        now: Timestamp,
    ) -> Result<Answer, String> {
        let client = self.client(&url)?;
        let request = client.post(url).headers(headers).body(body);
        let mut response = request.send().await.map_err(reason)?;
        Ok(Answer {
            status: response.status(),
            retry_after: retry_after(&response, now),
            body: read(&mut response).await?,
        })
    }

    fn client(&self, url: &Url) -> Result<&Client, String> {
        let plain = url.scheme() == "http";
        let pool = if plain { &self.plain } else { &self.tls };
        if let Some(client) = pool.get() {
            return Ok(client);
        }
        // A second installation in one process changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let builder = if plain {
            bounded().http2_prior_knowledge().tls_certs_only([]).no_proxy()
        } else {
            bounded().https_only(true)
        };
        let client = builder.build().map_err(reason)?;
        Ok(pool.get_or_init(|| client))
    }
}

fn bounded() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(TIMEOUT / 2)
        .timeout(TIMEOUT)
        .http2_keep_alive_interval(TIMEOUT * 3)
        .http2_keep_alive_timeout(TIMEOUT)
        .http2_max_header_list_size(16 * 1024)
}

async fn read(response: &mut Response) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut body = Zeroizing::new(Vec::with_capacity(MOST_BYTES));
    while let Some(chunk) = response.chunk().await.map_err(reason)? {
        let room = MOST_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MOST_BYTES {
            break;
        }
    }
    Ok(body)
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
fn retry_after(response: &Response, now: Timestamp) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    wait(text, now)
}

fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let wait = if let Ok(seconds) = text.trim().parse() {
        Duration::from_secs(seconds)
    } else {
        let form = format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        let moment = PrimitiveDateTime::parse(text.trim(), form).ok()?.assume_utc();
        Timestamp::from_seconds(moment.unix_timestamp().try_into().ok()?).since(now)
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The whole chain of causes on one line.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    word(&text, 300)
}

/// A provider's words as they may stand in a log: on one line, and no longer than `most` characters.
pub(super) fn word(text: &str, most: usize) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_or_dates_and_bounded() {
        let now = Timestamp::from_seconds(784_111_777 - 90);
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("4000", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90)),
            ("Sat, 06 Nov 1993 08:49:37 GMT", Some(0)),
            ("Mon, 06 Nov 1995 08:49:37 GMT", Some(3600)),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(wait(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn words_stay_on_one_line() {
        assert_eq!(word("a\nb\u{7f}cd", 3), "abc");
    }
}
