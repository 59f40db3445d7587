//! Rate limits of a service and their buckets, and how they hold.

pub mod bucket;
mod enforce;

pub use self::enforce::{CountedValue, counted, enforce};

use crate::app::App;
use crate::domain::rate_limit::{MAX_RATE_LIMITS, RateLimit, Refusal};
use crate::domain::service::Change;
use crate::domain::sid::{AccountSid, RateLimitSid, ServiceSid};
use crate::domain::text::{Description, UniqueName};
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::reading::{NotRead, Reading};
use crate::flows::{Error, retry_on_conflict, service};
use crate::store::{Batch, keys};

/// What a caller wants of a new [`RateLimit`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct NewRateLimit {
    pub unique_name: UniqueName,
    pub description: Option<Description>,
}

/// Creates a rate limit of a service. It limits nothing until it has a bucket.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Refusal::Exists`], [`Refusal::TooMany`], [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewRateLimit,
) -> Result<RateLimit, Error<Refusal>> {
    retry_on_conflict(app, || create_once(app, account, service, new.clone())).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewRateLimit,
) -> Result<RateLimit, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let guard = keys::service(account, service);
    let owner = reading.require(&guard).await?;
    let existing = reading.list(&keys::rate_limits(service), MAX_RATE_LIMITS).await?;
    if existing.iter().any(|limit| limit.unique_name == new.unique_name) {
        return Err(Refusal::Exists.into());
    }
    if existing.len() >= MAX_RATE_LIMITS {
        return Err(Refusal::TooMany.into());
    }
    let now = app.clock.now();
    let limit = RateLimit {
        sid: RateLimitSid::generate(now, app.sids.as_ref()),
        unique_name: new.unique_name,
        description: new.description,
        buckets: Vec::new(),
        date_created: now,
        date_updated: now,
    };
    // Two that look at once see neither the other's name nor that it counts. So each writes the service's record as it was,
    // and whoever comes second looks again.
    let batch = Batch::new()
        .put_record(guard, &owner)?
        .put_new_record(keys::rate_limit(service, limit.sid), &limit)?;
    reading.commit(batch).await?;
    Ok(limit)
}

/// The rate limit with its buckets, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
) -> Result<RateLimit, Error<Refusal>> {
    Ok(find(&mut Reading::new(app), account, service, sid).await?)
}

/// Changes the description, which is all of a rate limit that can be changed.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn update(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
    description: Change<Description>,
) -> Result<RateLimit, Error<Refusal>> {
    retry_on_conflict(app, || {
        update_once(app, account, service, sid, description.clone())
    })
    .await
}

async fn update_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
    description: Change<Description>,
) -> Result<RateLimit, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let mut limit = find(&mut reading, account, service, sid).await?;
    description.apply(&mut limit.description);
    limit.date_updated = app.clock.now();
    let batch = Batch::new().put_record(keys::rate_limit(service, sid), &limit)?;
    reading.commit(batch).await?;
    Ok(limit)
}

/// Deletes a rate limit with its buckets. Nobody looks at the uses that were counted any more; they are reclaimed when
/// their intervals are over.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn delete(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || delete_once(app, account, service, sid)).await
}

async fn delete_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    find(&mut reading, account, service, sid).await?;
    let key = keys::rate_limit(service, sid);
    Ok(reading.commit(Batch::new().delete(key.into_bytes())).await?)
}

/// A page of the service's rate limits, in the order of their creation.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn list(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    request: PageRequest,
) -> Result<Page<RateLimit>, Error<Refusal>> {
    Reading::new(app)
        .require(&keys::service(account, service))
        .await?;
    let raw = page(app, &keys::rate_limits(service), request).await?;
    Ok(raw.decoded(app)?)
}

/// The rate limit, of one of the account's services.
async fn find(
    reading: &mut Reading<'_>,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
) -> Result<RateLimit, NotRead> {
    let key = keys::rate_limit(service, sid);
    let (_, found) = service::read_with(reading, account, service, &key).await?;
    found.ok_or(NotRead::Absent)
}
