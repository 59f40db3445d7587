//! Deletes a bucket of a rate limit.

use super::read_rate_limit;
use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, BucketSid, RateLimitSid, ServiceSid};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Deletes a bucket. What it counted is forgotten.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn delete_bucket(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    sid: BucketSid,
) -> Result<(), Error> {
    retry_on_conflict(|| delete(app, account, service, limit, sid)).await
}

async fn delete(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    sid: BucketSid,
) -> Result<(), Error> {
    read_service(app, account, service).await?;
    let found = read_rate_limit(app, service, limit).await?;
    let mut whole = found.record.clone();
    whole.buckets.retain(|bucket| bucket.sid != sid);
    if whole.buckets.len() == found.record.buckets.len() {
        return Err(Refusal::NotFound.into());
    }
    whole.date_updated = app.clock.now();
    let key = keys::rate_limit(service, limit);
    let batch = Batch::new().assert_read(&key, &found).put_record(key, &whole)?;
    app.store.commit(batch).await?;
    Ok(())
}
