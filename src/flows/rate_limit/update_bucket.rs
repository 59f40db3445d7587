//! Changes a bucket of a rate limit.

use super::read_rate_limit;
use crate::app::App;
use crate::domain::rate_limit::{Bucket, BucketChanges};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, BucketSid, RateLimitSid, ServiceSid};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Changes what `changes` names and leaves the rest. It holds at once, for intervals that have begun, too.
///
/// # Errors
/// [`Refusal::BucketExists`] for an interval that another bucket has, [`Refusal::NotFound`], [`Error::Failed`].
pub async fn update_bucket(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    sid: BucketSid,
    changes: BucketChanges,
) -> Result<Bucket, Error> {
    retry_on_conflict(|| update(app, account, service, limit, sid, changes)).await
}

async fn update(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    sid: BucketSid,
    changes: BucketChanges,
) -> Result<Bucket, Error> {
    read_service(app, account, service).await?;
    let found = read_rate_limit(app, service, limit).await?;
    let mut whole = found.record.clone();
    let taken = whole
        .buckets
        .iter()
        .any(|bucket| bucket.sid != sid && Some(bucket.interval) == changes.interval);
    let bucket = whole.buckets.iter_mut().find(|bucket| bucket.sid == sid);
    let bucket = bucket.ok_or(Refusal::NotFound)?;
    if taken {
        return Err(Refusal::BucketExists.into());
    }
    let now = app.clock.now();
    bucket.max = changes.max.unwrap_or(bucket.max);
    bucket.interval = changes.interval.unwrap_or(bucket.interval);
    bucket.date_updated = now;
    let bucket = bucket.clone();
    whole.date_updated = now;
    let key = keys::rate_limit(service, limit);
    let batch = Batch::new().assert_read(&key, &found).put_record(key, &whole)?;
    app.store.commit(batch).await?;
    Ok(bucket)
}
