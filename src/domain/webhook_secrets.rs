//! An account's webhook signing secrets: the one of now, and those that sign beside it until receivers have changed over.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::opaque::Sealed;
use super::time::Timestamp;

/// The sealed secrets of an account's webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecrets {
    current: Sealed,
    /// Whether anybody was ever shown the current one, so that receivers may rely on it.
    shown: bool,
    /// Oldest first.
    retiring: Vec<Retiring>,
}

/// A secret that was replaced and still signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Retiring {
    secret: Sealed,
    /// From when on it signs no more.
    until: Timestamp,
}

/// The most older secrets that sign beside the current one. One more rotation ends the oldest.
pub const MAX_RETIRING: usize = 3;

/// The longest time that a replaced secret goes on signing.
pub const MAX_OVERLAP: Duration = Duration::from_hours(30 * 24);

impl WebhookSecrets {
    /// The first secret of an account. `shown` says whether somebody is told it now; if not, no receiver can rely on it,
    /// and the first rotation replaces it at once.
    #[must_use]
    pub fn new(secret: Sealed, shown: bool) -> Self {
        Self {
            current: secret,
            shown,
            retiring: Vec::new(),
        }
    }

    /// These with a `new` current one, which is shown. The one before signs for another `overlap` (up to
    /// [`MAX_OVERLAP`]), and so do older ones for as long as they were promised; without an overlap all of them end now.
    #[must_use]
    pub fn rotated(self, new: Sealed, now: Timestamp, overlap: Duration) -> Self {
        let mut retiring = Vec::new();
        if !overlap.is_zero() {
            retiring.extend(self.retiring.into_iter().filter(|older| older.until > now));
            if self.shown {
                retiring.push(Retiring {
                    secret: self.current,
                    until: now + overlap.min(MAX_OVERLAP),
                });
            }
            let too_many = retiring.len().saturating_sub(MAX_RETIRING);
            retiring.drain(..too_many);
        }
        Self {
            current: new,
            shown: true,
            retiring,
        }
    }

    /// Those that sign at `now`: the oldest first, the current one last.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &Sealed> {
        let retiring = self.retiring.iter().filter(move |older| older.until > now);
        retiring
            .map(|older| &older.secret)
            .chain(std::iter::once(&self.current))
    }

    /// From when on the current one signs alone; `None` if it does already.
    #[must_use]
    pub fn alone_from(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.retiring.iter().map(|older| older.until);
        ends.max().filter(|until| *until > now)
    }

    /// All that are kept, whether they sign or not.
    pub fn all(&self) -> impl Iterator<Item = &Sealed> {
        self.signing(Timestamp::from_millis(0))
    }

    /// The same, to be replaced.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Sealed> {
        let older = self.retiring.iter_mut().map(|older| &mut older.secret);
        older.chain([&mut self.current])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn secret(byte: u8) -> Sealed {
        Sealed::from_bytes(vec![byte])
    }

    fn signing(secrets: &WebhookSecrets, at: Timestamp) -> Vec<u8> {
        secrets.signing(at).map(|sealed| sealed.as_bytes()[0]).collect()
    }

    #[test]
    fn the_old_secret_signs_beside_the_new_one_until_the_overlap_ends() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let secrets = WebhookSecrets::new(secret(1), true).rotated(secret(2), now, HOUR);
        assert_eq!(signing(&secrets, now), [1, 2]);
        assert_eq!(signing(&secrets, now + Duration::from_millis(3_599_999)), [1, 2]);
        assert_eq!(signing(&secrets, now + HOUR), [2]);
        assert_eq!(secrets.alone_from(now), Some(now + HOUR));
        assert_eq!(secrets.alone_from(now + HOUR), None);
    }

    #[test]
    fn a_rotation_without_an_overlap_ends_all_older_ones() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let secrets = WebhookSecrets::new(secret(1), true)
            .rotated(secret(2), now, HOUR)
            .rotated(secret(3), now, Duration::ZERO);
        assert_eq!(signing(&secrets, now), [3]);
        assert_eq!(secrets.all().count(), 1);
    }

    #[test]
    fn a_second_rotation_keeps_what_the_first_promised() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let mut secrets = WebhookSecrets::new(secret(1), true).rotated(secret(2), now, 4 * HOUR);
        secrets = secrets.rotated(secret(3), now + HOUR, HOUR);
        assert_eq!(signing(&secrets, now + HOUR), [1, 2, 3]);
        assert_eq!(signing(&secrets, now + 2 * HOUR), [1, 3]);
        assert_eq!(secrets.alone_from(now + HOUR), Some(now + 4 * HOUR));
        // What has ended is not kept.
        let later = secrets.clone().rotated(secret(4), now + 5 * HOUR, HOUR);
        assert_eq!(later.all().count(), 2);
        for byte in 4..9 {
            secrets = secrets.rotated(secret(byte), now + HOUR, HOUR);
        }
        assert_eq!(signing(&secrets, now + HOUR), [5, 6, 7, 8]);
    }

    #[test]
    fn a_secret_that_nobody_saw_is_replaced_at_once() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let secrets = WebhookSecrets::new(secret(1), false).rotated(secret(2), now, HOUR);
        assert_eq!(signing(&secrets, now), [2]);
        assert_eq!(signing(&secrets.rotated(secret(3), now, HOUR), now), [2, 3]);
    }

    #[test]
    fn no_overlap_is_longer_than_the_longest() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let secrets = WebhookSecrets::new(secret(1), true).rotated(secret(2), now, Duration::MAX);
        assert_eq!(secrets.alone_from(now), Some(now + MAX_OVERLAP));
    }
}
