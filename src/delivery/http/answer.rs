//! What was answered, as far as it was read.

use std::fmt;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::Causes;
use crate::domain::time::Timestamp;

/// What was answered. Its `Debug` shows no body: it may be an access token.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct HttpAnswer {
    pub status: u16,
    /// The beginning of the body: what came in time, up to the policy's limit.
    pub body: Zeroizing<Vec<u8>>,
    pub ending: BodyEnd,
    headers: HeaderMap,
}

/// Whether all of a body is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum BodyEnd {
    /// The connection broke, or the time was over.
    Broken(Causes),
    /// There was more than is read.
    Cut,
    Whole,
}

impl HttpAnswer {
    /// The status counts even if the rest never comes: a message that the other side has must not be sent again.
    pub(super) async fn read(mut response: Response, most: usize, deadline: Instant) -> Self {
        // A body of this length is never moved, so that no copy of it is left behind.
        let mut body = Zeroizing::new(Vec::with_capacity(most.min(16 * 1024)));
        let headers = std::mem::take(response.headers_mut());
        let ending = loop {
            let chunk = match timeout_at(deadline, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => break BodyEnd::Whole,
                Ok(Err(error)) => break BodyEnd::Broken(Causes::of(error)),
                Err(_) => break BodyEnd::Broken(Causes::default()),
            };
            let room = most - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                break BodyEnd::Cut;
            }
        };
        Self {
            status: response.status().as_u16(),
            body,
            ending,
            headers,
        }
    }

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

    /// An answer as a test has it.
    #[cfg(test)]
    pub(in crate::delivery) fn of(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Self {
        use reqwest::header::{HeaderName, HeaderValue};
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Self {
            status,
            body: Zeroizing::new(body.into()),
            ending: BodyEnd::Whole,
            headers: headers.collect(),
        }
    }
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}

/// What a `Retry-After` says: seconds, or a date.
fn rest(text: &str, now: Timestamp) -> Option<Duration> {
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

const LONGEST_REST: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_a_day_at_the_most() {
        const DAY: u64 = 24 * 3600;
        let now = Timestamp::from_seconds(784_111_777 - 90);
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("86401", Some(DAY)),
            ("99999999999999999999999", Some(DAY)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sat, 06 Nov 1993 08:49:37 GMT", Some(0)),
            ("Mon, 06 Nov 1995 08:49:37 GMT", Some(DAY)),
            ("Fri, 06 Nov 2099 08:49:37 GMT", Some(DAY)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(rest(text, now), seconds.map(Duration::from_secs), "{text}");
            let answer = HttpAnswer::of(503, &[("retry-after", text)], "");
            assert_eq!(answer.retry_after(now), rest(text, now), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_body() {
        let shown = format!("{:?}", HttpAnswer::of(200, &[], "ya29.secret"));
        assert!(shown.contains("200") && !shown.contains("ya29"), "{shown}");
    }
}
