//! Creates a rate limit.

use super::read_rate_limits;
use crate::app::App;
use crate::domain::rate_limit::{MAX_RATE_LIMITS, RateLimit};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, RateLimitSid, ServiceSid};
use crate::domain::text::{Description, UniqueName};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// What a caller wants of a new rate limit.
#[derive(Clone, Debug)]
pub struct NewRateLimit {
    /// See [`RateLimit::unique_name`].
    pub unique_name: UniqueName,
    /// See [`RateLimit::description`].
    pub description: Option<Description>,
}

/// Creates a rate limit of a service. It limits nothing until it has a bucket.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Refusal::RateLimitExists`], [`Refusal::TooManyRateLimits`],
/// [`Error::Failed`].
pub async fn create_rate_limit(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewRateLimit,
) -> Result<RateLimit, Error> {
    retry_on_conflict(|| create(app, account, service, new.clone())).await
}

async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewRateLimit,
) -> Result<RateLimit, Error> {
    let owner = read_service(app, account, service).await?;
    let existing = read_rate_limits(app, service).await?;
    if existing
        .iter()
        .any(|limit| limit.record.unique_name == new.unique_name)
    {
        return Err(Refusal::RateLimitExists.into());
    }
    if existing.len() >= MAX_RATE_LIMITS {
        return Err(Refusal::TooManyRateLimits.into());
    }
    let now = app.clock.now();
    let limit = RateLimit {
        sid: RateLimitSid::generate(now, app.entropy.as_ref()),
        unique_name: new.unique_name,
        description: new.description,
        buckets: Vec::new(),
        date_created: now,
        date_updated: now,
    };
    // Two that look at once see neither the other's name nor that it counts. So each writes the service's record as it was,
    // and whoever comes second looks again.
    let guard = keys::service(account, service);
    let batch = Batch::new()
        .assert_read(&guard, &owner)
        .put_record(guard, &owner.record)?
        .put_new_record(keys::rate_limit(service, limit.sid), &limit)?;
    app.store.commit(batch).await?;
    Ok(limit)
}
