//! Rate limits of a service and their buckets, and how they hold.

pub mod bucket;
mod enforce;

pub use self::enforce::enforce;

use crate::app::App;
use crate::domain::rate_limit::{MAX_RATE_LIMITS, RateLimit};
use crate::domain::refusal::Refusal;
use crate::domain::service::Change;
use crate::domain::sid::{AccountSid, RateLimitSid, ServiceSid};
use crate::domain::text::{Description, UniqueName};
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::{Error, retry_on_conflict, service};
use crate::store::records::{self, Stored};
use crate::store::{Batch, Order, Scan, keys};

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
pub async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewRateLimit,
) -> Result<RateLimit, Error> {
    retry_on_conflict(|| create_once(app, account, service, new.clone())).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: NewRateLimit,
) -> Result<RateLimit, Error> {
    let owner = service::read(app, account, service).await?;
    let existing = read_all(app, service).await?;
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

/// The rate limit with its buckets, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
) -> Result<RateLimit, Error> {
    service::read(app, account, service).await?;
    Ok(read(app, service, sid).await?.record)
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
) -> Result<RateLimit, Error> {
    retry_on_conflict(|| update_once(app, account, service, sid, description.clone())).await
}

async fn update_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
    description: Change<Description>,
) -> Result<RateLimit, Error> {
    service::read(app, account, service).await?;
    let found = read(app, service, sid).await?;
    let mut limit = found.record.clone();
    description.apply(&mut limit.description);
    limit.date_updated = app.clock.now();
    let key = keys::rate_limit(service, sid);
    let batch = Batch::new().assert_read(&key, &found).put_record(key, &limit)?;
    app.store.commit(batch).await?;
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
) -> Result<(), Error> {
    retry_on_conflict(|| delete_once(app, account, service, sid)).await
}

async fn delete_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: RateLimitSid,
) -> Result<(), Error> {
    service::read(app, account, service).await?;
    let found = read(app, service, sid).await?;
    let key = keys::rate_limit(service, sid);
    let batch = Batch::new().assert_read(&key, &found).delete(key.into_bytes());
    app.store.commit(batch).await?;
    Ok(())
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
) -> Result<Page<RateLimit>, Error> {
    service::read(app, account, service).await?;
    let mut raw = page(app, &keys::rate_limits(service), request).await?;
    let entries = std::mem::take(&mut raw.items);
    let limits = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok(raw.with_items(limits))
}

/// The rate limit with its version.
async fn read(app: &App, service: ServiceSid, sid: RateLimitSid) -> Result<Stored<RateLimit>, Error> {
    let found = records::read(app.store.as_ref(), &keys::rate_limit(service, sid)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}

/// All rate limits of a service with their versions, in the order of their creation.
pub(crate) async fn read_all(app: &App, service: ServiceSid) -> Result<Vec<Stored<RateLimit>>, Error> {
    let scan = Scan {
        prefix: keys::rate_limits(service).bytes().to_vec(),
        after: None,
        order: Order::Ascending,
        limit: MAX_RATE_LIMITS,
    };
    let entries = app.store.scan(scan).await?;
    entries
        .iter()
        .map(|(_, entry)| {
            Ok(Stored {
                record: records::decode(&entry.value)?,
                version: entry.version,
            })
        })
        .collect()
}
