//! What must hold for rate limits and the uses of their values.

use super::walk::{Here, Walk};
use crate::domain::rate_limit::{BucketInterval, MAX_BUCKETS, RateLimit, RateLimitUses};
use crate::domain::sid::{RateLimitSid, ServiceSid};
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::{Order, Scan, keys, records};

impl Walk<'_> {
    pub(super) async fn check_rate_limit(
        &mut self,
        here: &Here<'_>,
        service: ServiceSid,
        sid: RateLimitSid,
    ) -> Result<(), Fault> {
        let limit: RateLimit = here.record()?;
        self.check_sid(here, limit.sid == sid);
        if limit.buckets.len() > MAX_BUCKETS {
            self.blame(here, format_args!("it has more than {MAX_BUCKETS} buckets"));
        }
        if has_twins(limit.buckets.iter().map(|bucket| bucket.interval)) {
            self.blame(here, "two of its buckets have the same interval");
        }
        if has_twins(limit.buckets.iter().map(|bucket| bucket.sid)) {
            self.blame(here, "it has a bucket twice");
        }
        // Each looks at those before it, so that of two equal names one is told of.
        let scan = Scan {
            prefix: keys::rate_limits(service).bytes().to_vec(),
            after: Some(here.key.to_vec()),
            order: Order::Descending,
            limit: usize::MAX,
        };
        let earlier = Reading::new(self.app).scan_past(scan).await?;
        let same_name = |limit_before: RateLimit| limit_before.unique_name == limit.unique_name;
        if earlier
            .iter()
            .any(|(_, entry)| records::decode(&entry.value).is_ok_and(same_name))
        {
            self.confirm(here, "another rate limit of its service has its name")
                .await?;
        }
        Ok(())
    }

    /// Their rate limit may be gone: the sweeper reclaims them when their intervals are over.
    pub(super) fn check_rate_limit_uses(&mut self, here: &Here<'_>) -> Result<(), Fault> {
        let uses: RateLimitUses = here.record()?;
        if has_twins(uses.buckets.iter().map(|uses| uses.bucket)) {
            self.blame(here, "it has the uses of a bucket twice");
        }
        let latest = uses.buckets.iter().map(|uses| uses.since).max();
        let last_end = latest.unwrap_or_default() + BucketInterval::LONGEST;
        if here.entry.expires_at.is_some_and(|end| end > last_end) {
            self.blame(here, "it is kept for longer than any interval");
        }
        Ok(())
    }
}

fn has_twins<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut items: Vec<_> = items.collect();
    items.sort_unstable();
    items.windows(2).any(|pair| pair[0] == pair[1])
}
