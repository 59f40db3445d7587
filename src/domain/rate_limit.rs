//! Rate limits of a service: how often verifications may be created for one value of the caller's choice.
//!
//! A caller names a rate limit and gives a value with each verification that it creates: the session, the user's address,
//! whatever it wants counted. Each bucket of the rate limit counts the uses of each value by itself, in intervals that
//! begin with the first use and end when their time is over. So no interval ever holds more than `max` uses, and two that
//! follow each other may hold twice as many in little more time than one: whoever minds adds a second, longer bucket.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refusal::AreaRefusal;
use super::sid::{BucketSid, RateLimitSid};
use super::text::{Description, Invalid, UniqueName};
use super::time::Timestamp;

/// The most rate limits of one service: all are read when a verification gives values.
pub const MAX_RATE_LIMITS: usize = 50;

/// The most buckets of one rate limit: they stand in its record, and their uses in one record for each value.
pub const MAX_BUCKETS: usize = 10;

/// A rate limit: a name for something that the caller counts by, such as a session or an address.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct RateLimit {
    pub sid: RateLimitSid,
    /// The name by which requests give values.
    pub unique_name: UniqueName,
    pub description: Option<Description>,
    /// How many in how long; all of them hold. Without any, the rate limit limits nothing.
    pub buckets: Vec<Bucket>,
    pub date_created: Timestamp,
    /// When it or one of its buckets was last changed.
    pub date_updated: Timestamp,
}

/// So many uses of a value within such an interval.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Bucket {
    pub sid: BucketSid,
    pub max: BucketMax,
    pub interval: BucketInterval,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

/// What a caller wants changed of a [`Bucket`], by the names of its fields; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct BucketChanges {
    pub max: Option<BucketMax>,
    pub interval: Option<BucketInterval>,
}

/// How many uses a bucket has room for in one interval: 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BucketMax(u32);

impl BucketMax {
    /// Checks `number`.
    ///
    /// # Errors
    /// [`Invalid`] with what it must be.
    pub fn parse(number: u32) -> Result<Self, Invalid> {
        match number {
            1..=1_000_000 => Ok(Self(number)),
            _ => Err(Invalid::range(1, 1_000_000)),
        }
    }

    /// 1 to 1,000,000.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// How long a bucket's interval is: 1 second to 30 days, which is how long uses are remembered at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BucketInterval(u32);

impl BucketInterval {
    /// The longest one: 30 days.
    pub const LONGEST: Duration = Duration::from_hours(30 * 24);

    /// Checks `seconds`.
    ///
    /// # Errors
    /// [`Invalid`] with what it must be.
    pub fn parse(seconds: u32) -> Result<Self, Invalid> {
        match seconds {
            1..=2_592_000 => Ok(Self(seconds)),
            _ => Err(Invalid::seconds(1, 2_592_000)),
        }
    }

    /// In seconds: 1 to 2,592,000, which is 30 days.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// The same as a length of time.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

/// The uses of one value, as far back as the longest bucket asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimitUses {
    /// Those of each bucket: its identifier, the beginning of its interval, and how many since.
    pub buckets: Vec<BucketUse>,
}

/// How often a bucket was used within one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct BucketUse {
    pub bucket: BucketSid,
    /// When the interval began.
    pub since: Timestamp,
    pub count: u32,
}

impl RateLimitUses {
    /// One more use of each of `buckets` at `now`: what is remembered from then on, and until when it matters. What
    /// belongs to other buckets is forgotten.
    ///
    /// # Errors
    /// How long it takes until all buckets have room again; nothing is used then.
    pub fn used(&self, buckets: &[Bucket], now: Timestamp) -> Result<(Self, Timestamp), Duration> {
        let (mut uses, mut end, mut wait) = (Vec::with_capacity(buckets.len()), now, Duration::ZERO);
        for bucket in buckets {
            let before = self.current(bucket, now);
            let since = before.map_or(now, |before| before.since);
            let count = before.map_or(0, |before| before.count);
            let over = since + bucket.interval.duration();
            if count >= bucket.max.get() {
                wait = wait.max(over.since(now));
            }
            end = end.max(over);
            uses.push(BucketUse {
                bucket: bucket.sid,
                since,
                count: count.saturating_add(1),
            });
        }
        if wait.is_zero() {
            Ok((Self { buckets: uses }, end))
        } else {
            Err(wait)
        }
    }

    /// The uses of a bucket in the interval that `now` lies in.
    ///
    /// One that begins a little later than now was begun on a machine whose clock is ahead, and counts. One that begins
    /// later than a whole interval from now shows that the clock was set back: nobody is held up for the length of that
    /// jump.
    fn current(&self, bucket: &Bucket, now: Timestamp) -> Option<BucketUse> {
        let interval = bucket.interval.duration();
        let found = self.buckets.iter().find(|uses| uses.bucket == bucket.sid)?;
        (now < found.since + interval && found.since < now + interval).then_some(*found)
    }
}

/// Why nothing became of what somebody wanted of a rate limit, or why it let nothing through.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The rate limit has a bucket of this length.
    #[error("the rate limit has a bucket of this interval already")]
    BucketExists,
    /// The service has a rate limit of this name.
    #[error("the service has a rate limit of this name already")]
    Exists,
    /// The rate limit, its bucket or its service does not exist, or not for whoever asks.
    #[error("there is no such rate limit")]
    NotFound,
    /// A value was used as often as it may be.
    #[error("the rate limit {unique_name} is reached")]
    Reached {
        /// Which rate limit: of several, the one that holds up the longest.
        unique_name: UniqueName,
        /// When none of those that are reached now is in the way any more.
        retry_after: Duration,
    },
    /// The service has [`MAX_RATE_LIMITS`].
    #[error("the service has {} rate limits already", MAX_RATE_LIMITS)]
    TooMany,
    /// The rate limit has [`MAX_BUCKETS`].
    #[error("the rate limit has {} buckets already", MAX_BUCKETS)]
    TooManyBuckets,
    /// A value was given for a name that no rate limit of the service has.
    #[error("no rate limit of the service has the name that a value was given for")]
    Unknown,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Reached { retry_after, .. } => Some(*retry_after),
            Self::BucketExists
            | Self::Exists
            | Self::NotFound
            | Self::TooMany
            | Self::TooManyBuckets
            | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds)
    }

    fn bucket(name: u8, max: u32, interval: u32) -> Bucket {
        Bucket {
            sid: BucketSid::from_bytes([name; 16]),
            max: BucketMax::parse(max).unwrap(),
            interval: BucketInterval::parse(interval).unwrap(),
            date_created: at(0),
            date_updated: at(0),
        }
    }

    /// Uses the buckets at each of these seconds; returns at which ones that worked.
    fn accepted(buckets: &[Bucket], seconds: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut uses = RateLimitUses::default();
        let mut accepted = Vec::new();
        for second in seconds {
            if let Ok((after, _)) = uses.used(buckets, at(second)) {
                uses = after;
                accepted.push(second);
            }
        }
        accepted
    }

    #[test]
    fn an_interval_begins_with_the_first_use_and_ends_with_its_time() {
        let buckets = [bucket(1, 2, 60)];
        assert_eq!(
            accepted(&buckets, [7, 20, 21, 66, 67, 68, 126, 127]),
            [7, 20, 67, 68, 127]
        );
    }

    #[test]
    fn all_buckets_hold_and_the_longest_wait_is_told() {
        let buckets = [bucket(1, 1, 10), bucket(2, 3, 100)];
        assert_eq!(accepted(&buckets, (0..=100).step_by(5)), [0, 10, 20, 100]);
        let uses = RateLimitUses::default();
        let (uses, end) = uses.used(&buckets, at(0)).unwrap();
        assert_eq!(end, at(100));
        assert_eq!(uses.used(&buckets, at(1)), Err(Duration::from_secs(9)));
        let (uses, _) = uses.used(&buckets, at(10)).unwrap();
        let (uses, _) = uses.used(&buckets, at(20)).unwrap();
        assert_eq!(uses.used(&buckets, at(21)), Err(Duration::from_secs(79)));
    }

    #[test]
    fn what_is_refused_uses_nothing_up() {
        let buckets = [bucket(1, 1, 10), bucket(2, 2, 1000)];
        let seconds = [0].into_iter().chain(1..10).chain([10, 20]);
        assert_eq!(accepted(&buckets, seconds), [0, 10]);
    }

    #[test]
    fn a_deleted_bucket_is_forgotten_and_a_smaller_one_holds_at_once() {
        let (uses, _) = RateLimitUses::default()
            .used(&[bucket(1, 5, 60), bucket(2, 5, 60)], at(0))
            .unwrap();
        let (uses, _) = uses.used(&[bucket(2, 5, 60)], at(1)).unwrap();
        assert_eq!(uses.buckets.len(), 1);
        assert_eq!(
            uses.used(&[bucket(2, 2, 60)], at(2)),
            Err(Duration::from_secs(58))
        );
        assert!(uses.used(&[bucket(2, 2, 1)], at(2)).is_ok());
        assert!(uses.used(&[], at(2)).unwrap().0.buckets.is_empty());
    }

    #[test]
    fn a_clock_set_back_holds_nobody_up_and_one_that_is_ahead_frees_nobody() {
        let buckets = [bucket(1, 1, 60)];
        let (uses, _) = RateLimitUses::default().used(&buckets, at(1_000_000)).unwrap();
        assert!(uses.used(&buckets, at(0)).is_ok());
        assert!(uses.used(&buckets, at(999_999)).is_err());
    }

    #[test]
    fn numbers_have_their_ranges() {
        assert!(
            [1, 1_000_000]
                .into_iter()
                .all(|max| BucketMax::parse(max).is_ok())
        );
        assert!(
            [0, 1_000_001]
                .into_iter()
                .all(|max| BucketMax::parse(max).is_err())
        );
        let longest = BucketInterval::parse(2_592_000).unwrap();
        assert_eq!(longest.duration(), BucketInterval::LONGEST);
        assert!(
            [0, 2_592_001]
                .into_iter()
                .all(|seconds| BucketInterval::parse(seconds).is_err())
        );
    }

    proptest! {
        /// Against a model that remembers every use: in no interval are there more than may be, and whoever is refused
        /// is let in when the wait is over.
        #[test]
        fn no_interval_holds_more_than_its_bucket(
            sizes in prop::collection::vec((1_u32..5, 1_u32..50), 1..4),
            steps in prop::collection::vec(0_u64..20, 1..100),
        ) {
            let buckets: Vec<_> = sizes
                .iter()
                .zip(1_u8..)
                .map(|((max, interval), name)| bucket(name, *max, *interval))
                .collect();
            let mut uses = RateLimitUses::default();
            let (mut second, mut accepted) = (0, Vec::new());
            for step in steps {
                second += step;
                match uses.used(&buckets, at(second)) {
                    Ok((after, end)) => {
                        uses = after;
                        accepted.push(second);
                        prop_assert!(end > at(second));
                    }
                    Err(wait) => {
                        prop_assert!(uses.used(&buckets, at(second) + wait).is_ok());
                        prop_assert!(uses.used(&buckets, (at(second) + wait).before(Duration::from_millis(1))).is_err());
                    }
                }
            }
            for (max, interval) in sizes {
                let (mut since, mut count) = (None, 0);
                for second in &accepted {
                    if since.is_none_or(|since| *second >= since + u64::from(interval)) {
                        (since, count) = (Some(*second), 0);
                    }
                    count += 1;
                    prop_assert!(count <= max);
                }
            }
        }
    }
}
