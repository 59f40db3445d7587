//! Rate limits of a service: how often verifications may be created for one value of the caller's choice.

use serde::{Deserialize, Serialize};

use super::sid::{BucketSid, RateLimitSid};
use super::time::Timestamp;

/// A rate limit: a name for something that the caller counts by, such as a session or an address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RateLimit {
    /// The identifier.
    pub sid: RateLimitSid,
    /// The name by which requests give values.
    pub unique_name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How many in how long; all of them hold.
    pub buckets: Vec<Bucket>,
    /// When it was created.
    pub date_created: Timestamp,
    /// When it was last changed.
    pub date_updated: Timestamp,
}

/// How many in how long.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bucket {
    /// The identifier.
    pub sid: BucketSid,
    /// How many.
    pub max: u32,
    /// In how many seconds.
    pub interval: u32,
    /// When it was created.
    pub date_created: Timestamp,
    /// When it was last changed.
    pub date_updated: Timestamp,
}

/// The uses of one value, as far back as the longest bucket asks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RateLimitUses {
    /// Those of each bucket: its identifier, the beginning of its interval, and how many since.
    pub buckets: Vec<BucketUse>,
}

/// How often a bucket was used within one interval.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BucketUse {
    /// Which bucket.
    pub bucket: BucketSid,
    /// When the interval began.
    pub since: Timestamp,
    /// How many.
    pub count: u32,
}
