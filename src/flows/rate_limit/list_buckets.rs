//! Lists a rate limit's buckets.

use super::fetch_rate_limit::fetch_rate_limit;
use crate::app::App;
use crate::domain::rate_limit::Bucket;
use crate::domain::sid::{AccountSid, RateLimitSid, ServiceSid};
use crate::flows::Error;
use crate::flows::page::{Page, PageRequest, page_of};

/// A page of the rate limit's buckets, in the order of their creation.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`] without such a rate limit, [`Error::Failed`].
pub async fn list_buckets(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
    request: PageRequest,
) -> Result<Page<Bucket>, Error> {
    let limit = fetch_rate_limit(app, account, service, limit).await?;
    let buckets = limit
        .buckets
        .into_iter()
        .map(|bucket| (*bucket.sid.as_bytes(), bucket))
        .collect();
    Ok(page_of(buckets, request))
}
