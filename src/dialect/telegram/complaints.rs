//! What the operator is told of calls that failed, however often anybody calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::time::Timestamp;

/// What was logged a moment ago.
#[derive(Debug, Default)]
pub struct Complaints(Mutex<HashMap<String, Timestamp>>);

impl Complaints {
    /// Logs why something failed that should not have: each reason once a minute, and so many reasons in a minute.
    pub fn log(&self, why: &str, now: Timestamp) {
        if self.is_news(why, now) {
            tracing::error!("{why}");
        }
    }

    fn is_news(&self, why: &str, now: Timestamp) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logged.retain(|_, moment| *moment <= now && now.since(*moment) < PAUSE);
        let is_news = logged.len() < MOST && !logged.contains_key(why);
        if is_news {
            logged.insert(why.to_owned(), now);
        }
        is_news
    }
}

const PAUSE: Duration = Duration::from_mins(1);
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_logged_once_a_minute_and_not_more_of_them_than_can_be_read() {
        let complaints = Complaints::default();
        let at = |seconds: u64| Timestamp::from_seconds(1_000_000 + seconds);
        let news = |moment| (0..100).filter(|_| complaints.is_news("one", moment)).count();
        assert_eq!((news(at(0)), news(at(59)), news(at(60))), (1, 0, 1));
        let several = (0..1000).filter(|nth| complaints.is_news(&nth.to_string(), at(60)));
        assert_eq!(several.count(), MOST - 1);
        assert_eq!(news(at(10)), 1, "the clock was set back");
    }
}
