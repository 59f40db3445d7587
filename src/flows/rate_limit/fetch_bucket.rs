//! Fetches a bucket of a rate limit.

use super::fetch_rate_limit::fetch_rate_limit;
use crate::app::App;
use crate::domain::rate_limit::Bucket;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, BucketSid, RateLimitSid, ServiceSid};
use crate::flows::Error;

/// The bucket, if it is one of this rate limit's and the rate limit is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch_bucket(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    sid: BucketSid,
) -> Result<Bucket, Error> {
    let limit = fetch_rate_limit(app, account, service, limit).await?;
    let found = limit.buckets.into_iter().find(|bucket| bucket.sid == sid);
    Ok(found.ok_or(Refusal::NotFound)?)
}
