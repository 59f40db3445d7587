//! Creates a bucket of a rate limit.

use super::read_rate_limit;
use crate::app::App;
use crate::domain::rate_limit::{Bucket, BucketInterval, BucketMax, MAX_BUCKETS};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, BucketSid, RateLimitSid, ServiceSid};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Creates a bucket. It counts from then on, and nothing that was before.
///
/// # Errors
/// [`Refusal::BucketExists`] for an interval that another bucket has, [`Refusal::NotFound`] without such a rate limit,
/// [`Refusal::TooManyBuckets`], [`Error::Failed`].
pub async fn create_bucket(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    max: BucketMax,
    interval: BucketInterval,
) -> Result<Bucket, Error> {
    retry_on_conflict(|| create(app, account, service, limit, max, interval)).await
}

async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    max: BucketMax,
    interval: BucketInterval,
) -> Result<Bucket, Error> {
    read_service(app, account, service).await?;
    let found = read_rate_limit(app, service, limit).await?;
    let mut whole = found.record.clone();
    if whole.buckets.iter().any(|bucket| bucket.interval == interval) {
        return Err(Refusal::BucketExists.into());
    }
    if whole.buckets.len() >= MAX_BUCKETS {
        return Err(Refusal::TooManyBuckets.into());
    }
    let now = app.clock.now();
    let bucket = Bucket {
        sid: BucketSid::generate(now, app.entropy.as_ref()),
        max,
        interval,
        date_created: now,
        date_updated: now,
    };
    whole.buckets.push(bucket.clone());
    whole.date_updated = now;
    let key = keys::rate_limit(service, limit);
    let batch = Batch::new().assert_read(&key, &found).put_record(key, &whole)?;
    app.store.commit(batch).await?;
    Ok(bucket)
}
