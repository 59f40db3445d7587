//! The `Date` of answers, which hyper writes in HTTP/1.1.

use std::cell::RefCell;

use hyper::header::HeaderValue;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::domain::time::{Clock as _, SystemClock, Timestamp};

thread_local! {
    static LAST: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// The time now. It is written once a second.
pub(super) fn now() -> Option<HeaderValue> {
    let now = SystemClock.now();
    LAST.with_borrow_mut(|last| match last {
        Some((seconds, written)) if *seconds == now.seconds() => Some(written.clone()),
        _ => {
            let written = written(now)?;
            *last = Some((now.seconds(), written.clone()));
            Some(written)
        }
    })
}

/// As RFC 9110, 5.6.7, has it.
fn written(moment: Timestamp) -> Option<HeaderValue> {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let seconds = i64::try_from(moment.seconds()).ok()?;
    let text = OffsetDateTime::from_unix_timestamp(seconds)
        .ok()?
        .format(format)
        .ok()?;
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_has_them() {
        let moment = Timestamp::from_seconds(784_111_777);
        assert_eq!(written(moment).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(now().is_some());
    }
}
