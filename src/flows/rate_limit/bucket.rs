//! The buckets of a rate limit.

use crate::app::App;
use crate::domain::rate_limit::{Bucket, BucketChanges, BucketInterval, BucketMax, MAX_BUCKETS, Refusal};
use crate::domain::sid::{AccountSid, BucketSid, RateLimitSid, ServiceSid};
use crate::flows::page::{Page, PageRequest, page_of};
use crate::flows::reading::Reading;
use crate::flows::{Error, rate_limit, retry_on_conflict};
use crate::store::{Batch, keys};

/// Creates a bucket. It counts from then on, and nothing that was before.
///
/// # Errors
/// [`Refusal::BucketExists`] for an interval that another bucket has, [`Refusal::NotFound`] without such a rate limit,
/// [`Refusal::TooManyBuckets`], [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    max: BucketMax,
    interval: BucketInterval,
) -> Result<Bucket, Error<Refusal>> {
    retry_on_conflict(app, || create_once(app, account, service, limit, max, interval)).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    max: BucketMax,
    interval: BucketInterval,
) -> Result<Bucket, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let mut whole = rate_limit::find(&mut reading, account, service, limit).await?;
    if whole.buckets.iter().any(|bucket| bucket.interval == interval) {
        return Err(Refusal::BucketExists.into());
    }
    if whole.buckets.len() >= MAX_BUCKETS {
        return Err(Refusal::TooManyBuckets.into());
    }
    let now = app.clock.now();
    let bucket = Bucket {
        sid: BucketSid::generate(now, app.sids.as_ref()),
        max,
        interval,
        date_created: now,
        date_updated: now,
    };
    whole.buckets.push(bucket.clone());
    whole.date_updated = now;
    let batch = Batch::new().put_record(keys::rate_limit(service, limit), &whole)?;
    reading.commit(batch).await?;
    Ok(bucket)
}

/// The bucket, if it is one of this rate limit's and the rate limit is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    sid: BucketSid,
) -> Result<Bucket, Error<Refusal>> {
    let limit = rate_limit::fetch(app, account, service, limit).await?;
    let found = limit.buckets.into_iter().find(|bucket| bucket.sid == sid);
    Ok(found.ok_or(Refusal::NotFound)?)
}

/// Changes what `changes` names and leaves the rest. It holds at once, for intervals that have begun, too.
///
/// # Errors
/// [`Refusal::BucketExists`] for an interval that another bucket has, [`Refusal::NotFound`], [`Error::Failed`].
pub async fn update(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    sid: BucketSid,
    changes: BucketChanges,
) -> Result<Bucket, Error<Refusal>> {
    retry_on_conflict(app, || update_once(app, account, service, limit, sid, changes)).await
}

async fn update_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    sid: BucketSid,
    changes: BucketChanges,
) -> Result<Bucket, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let mut whole = rate_limit::find(&mut reading, account, service, limit).await?;
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
    let batch = Batch::new().put_record(keys::rate_limit(service, limit), &whole)?;
    reading.commit(batch).await?;
    Ok(bucket)
}

/// Deletes a bucket. What it counted is forgotten.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn delete(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    sid: BucketSid,
) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || delete_once(app, account, service, limit, sid)).await
}

async fn delete_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    sid: BucketSid,
) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    let mut whole = rate_limit::find(&mut reading, account, service, limit).await?;
    let position = whole.buckets.iter().position(|bucket| bucket.sid == sid);
    whole.buckets.remove(position.ok_or(Refusal::NotFound)?);
    whole.date_updated = app.clock.now();
    let batch = Batch::new().put_record(keys::rate_limit(service, limit), &whole)?;
    Ok(reading.commit(batch).await?)
}

/// A page of the rate limit's buckets, in the order of their creation.
///
/// # Errors
/// [`Refusal::NotFound`] without such a rate limit, [`Error::Failed`].
pub async fn list(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    request: PageRequest,
) -> Result<Page<Bucket>, Error<Refusal>> {
    let limit = rate_limit::fetch(app, account, service, limit).await?;
    let buckets = limit
        .buckets
        .into_iter()
        .map(|bucket| (*bucket.sid.as_bytes(), bucket))
        .collect();
    Ok(page_of(buckets, request))
}
