//! Deletes a rate limit.

use super::read_rate_limit;
use crate::app::App;
use crate::domain::sid::{AccountSid, RateLimitSid, ServiceSid};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Deletes a rate limit with its buckets. Nobody looks at the uses that were counted any more; they are reclaimed when
/// their intervals are over.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`Error::Failed`].
pub async fn delete_rate_limit(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
) -> Result<(), Error> {
    retry_on_conflict(|| delete(app, account, service, sid)).await
}

async fn delete(app: &App, account: AccountSid, service: ServiceSid, sid: RateLimitSid) -> Result<(), Error> {
    read_service(app, account, service).await?;
    let found = read_rate_limit(app, service, sid).await?;
    let key = keys::rate_limit(service, sid);
    let batch = Batch::new().assert_read(&key, &found).delete(key.into_bytes());
    app.store.commit(batch).await?;
    Ok(())
}
