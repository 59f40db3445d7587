//! What a push service's answer means: RFC 8030, sections 5, 7.2, 7.3 and 8.4; RFC 8292, section 4.2; and UnifiedPush's
//! server interface 1.2.0, whose servers may accept with any 2xx and say with 400 that trying again is of no use.

use std::time::Duration;

use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::{Answer, Sent};
use crate::domain::time::Timestamp;

/// What follows from one try.
pub(super) enum Verdict {
    /// This is what came of it.
    Settled(Sent),
    /// A shorter notification may pass.
    TooLarge,
}

impl Verdict {
    pub(super) fn refused(why: String) -> Self {
        Self::Settled(Sent::Refused { why })
    }
}

/// Reads the answer of the push service at `origin`.
pub(super) fn verdict(origin: &str, answer: &Answer, now: Timestamp) -> Verdict {
    let status = answer.status;
    let said = format!("the push service {origin} answered {status}");
    let after = answer
        .retry_after
        .as_deref()
        .and_then(|text| retry_after(text, now));
    let sent = match status {
        200..=299 => Sent::Delivered,
        300..=399 => Sent::Refused {
            why: format!("{said}: redirects are not followed"),
        },
        400 => Sent::Refused { why: said },
        401 | 403 => Sent::Retry {
            why: format!(
                "{said}: it does not accept this server's VAPID key or token; the subscription may have been made for \
                 another key than the service's push.vapid_public_key, webpush_contact may be missing, or the clock wrong"
            ),
            after,
        },
        404 | 410 => Sent::Gone {
            why: format!("{said}: the subscription does not exist any more"),
        },
        413 => return Verdict::TooLarge,
        _ => Sent::Retry { why: said, after },
    };
    Verdict::Settled(sent)
}

/// How long `Retry-After` asks to wait: a number of seconds or a date (RFC 9110, section 10.2.3), a day at the most.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_hours(24);
    const DATE: &[BorrowedFormatItem<'_>] = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is as far out of reason as the largest that does.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = PrimitiveDateTime::parse(text, DATE).ok()?.assume_utc();
        let seconds = u64::try_from(date.unix_timestamp()).ok()?;
        Timestamp::from_seconds(seconds).since(now)
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_seconds(784_111_700);
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(24 * 3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(77)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("Fri, 06 Nov 2099 08:49:37 GMT", Some(24 * 3600)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
