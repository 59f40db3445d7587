//! Fetches a rate limit.

use super::read_rate_limit;
use crate::app::App;
use crate::domain::rate_limit::RateLimit;
use crate::domain::sid::{AccountSid, RateLimitSid, ServiceSid};
use crate::flows::Error;
use crate::flows::service::fetch_service::read_service;

/// The rate limit with its buckets, if it is one of the account's.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch_rate_limit(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
) -> Result<RateLimit, Error> {
    read_service(app, account, service).await?;
    Ok(read_rate_limit(app, service, sid).await?.record)
}
