//! Changes a rate limit.

use super::read_rate_limit;
use crate::app::App;
use crate::domain::rate_limit::RateLimit;
use crate::domain::service::Change;
use crate::domain::sid::{AccountSid, RateLimitSid, ServiceSid};
use crate::domain::text::Description;
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Changes the description, which is all of a rate limit that can be changed.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`Error::Failed`].
pub async fn update_rate_limit(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
    description: Change<Description>,
) -> Result<RateLimit, Error> {
    retry_on_conflict(|| update(app, account, service, sid, description.clone())).await
}

async fn update(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
    description: Change<Description>,
) -> Result<RateLimit, Error> {
    read_service(app, account, service).await?;
    let found = read_rate_limit(app, service, sid).await?;
    let mut limit = found.record.clone();
    description.apply(&mut limit.description);
    limit.date_updated = app.clock.now();
    let key = keys::rate_limit(service, sid);
    let batch = Batch::new().assert_read(&key, &found).put_record(key, &limit)?;
    app.store.commit(batch).await?;
    Ok(limit)
}
