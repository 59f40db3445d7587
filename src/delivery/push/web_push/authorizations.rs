//! The tokens that push services were shown, for as long as they are good: one for each origin.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::crypto::web_push::vapid::VapidKey;
use crate::domain::time::Timestamp;

/// The values of `Authorization` by origin. Devices choose the origins, so there are no more than a few hundred.
pub(super) struct Authorizations(Cache<String, Issued>);

#[derive(Clone)]
struct Issued {
    at: Timestamp,
    authorization: Arc<str>,
}

impl Authorizations {
    /// The value for `origin` at `now`: an older one, if it has still half of its life before it.
    pub(super) fn of(
        &self,
        key: &VapidKey,
        origin: &str,
        contact: Option<&str>,
        now: Timestamp,
    ) -> Option<Arc<str>> {
        if let Some(issued) = self.0.get(origin) {
            // A token of the future is of a clock that was set back since: its end could be too far away.
            if issued.at <= now && now.since(issued.at) < RENEWED_AFTER {
                return Some(issued.authorization);
            }
        }
        let authorization: Arc<str> = key.authorization(origin, contact, now)?.into();
        let issued = Issued {
            at: now,
            authorization: authorization.clone(),
        };
        self.0.insert(origin.to_owned(), issued);
        Some(authorization)
    }
}

impl Default for Authorizations {
    fn default() -> Self {
        Self(Cache::new(MOST_ORIGINS))
    }
}

const MOST_ORIGINS: usize = 256;
const RENEWED_AFTER: Duration = Duration::from_hours(6);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    fn key() -> VapidKey {
        VapidKey::from_bytes(VapidKey::generate(&SeededEntropy::new(1)).0.as_slice()).unwrap()
    }

    #[test]
    fn a_token_is_used_for_one_origin_until_half_of_its_life_is_over() {
        let (issued, key) = (Authorizations::default(), key());
        let begin = Timestamp::from_seconds(1_800_000_000);
        let at = |origin, now| issued.of(&key, origin, None, now).unwrap();
        let first = at("https://a.example", begin);
        let shortly_before = begin + Duration::from_secs(6 * 3600 - 1);
        assert_eq!(at("https://a.example", shortly_before), first);
        assert_ne!(at("https://b.example", begin), first);
        let second = at("https://a.example", begin + RENEWED_AFTER);
        assert_ne!(second, first);
        assert_eq!(at("https://a.example", begin + RENEWED_AFTER), second);
        assert_ne!(at("https://a.example", begin), second, "the clock was set back");
    }

    #[test]
    fn many_origins_need_no_more_room_than_a_few() {
        let (issued, key) = (Authorizations::default(), key());
        for number in 0..3 * MOST_ORIGINS {
            issued
                .of(&key, &format!("https://{number}.example"), None, Timestamp::MAX)
                .unwrap();
        }
        assert!(issued.0.len() <= MOST_ORIGINS);
    }
}
