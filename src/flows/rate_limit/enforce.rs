//! Holds what a request gives values for to the rate limits of its service.

use crate::app::App;
use crate::domain::rate_limit::{RateLimit, RateLimitUses};
use crate::domain::refusal::Refusal;
use crate::domain::sid::ServiceSid;
use crate::domain::time::Timestamp;
use crate::flows::{Error, rate_limit};
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// Adds one use of each of `values`, pairs of a rate limit's name and the value to be counted, to `batch`: when it commits,
/// all of them are used, and no other request has taken the same room. Of two equal pairs only one counts; whoever gives
/// two values for one name uses both.
///
/// The values may be personal data: only their keyed fingerprints are stored, until the longest of the intervals is over.
///
/// # Errors
/// [`Refusal::Parameter`] for a name that no rate limit of the service has; [`Refusal::RateLimited`] with the longest wait if
/// a bucket has no room, and nothing is used; [`Error::Failed`].
pub async fn enforce(
    app: &App,
    service: ServiceSid,
    values: &[(String, String)],
    now: Timestamp,
    mut batch: Batch,
) -> Result<Batch, Error> {
    if values.is_empty() {
        return Ok(batch);
    }
    let limits = rate_limit::read_all(app, service).await?;
    let counted = counted(&limits, values)?;
    let mut reached = None;
    for (limit, value) in counted {
        let guard = keys::rate_limit(service, limit.record.sid);
        // Personal data, so it is known by a name that only this server can make.
        let fingerprint = app.vault.fingerprint(guard.bytes(), value.as_bytes());
        let key = keys::rate_limit_uses(service, limit.record.sid, &fingerprint);
        let found: Option<Stored<RateLimitUses>> = records::read(app.store.as_ref(), &key).await?;
        batch = match &found {
            Some(found) => batch.assert_read(&key, found),
            None => batch.assert_absent(key.bytes().to_vec()),
        };
        let before = found.map(|found| found.record).unwrap_or_default();
        match before.used(&limit.record.buckets, now) {
            Ok((uses, end)) => {
                // The buckets are those that were looked at, and nothing is counted for a rate limit that is gone.
                batch = batch
                    .assert_read(&guard, limit)
                    .put_record_until(key, &uses, end)?;
            }
            Err(wait) if reached.as_ref().is_none_or(|(longest, _)| *longest < wait) => {
                reached = Some((wait, &limit.record.unique_name));
            }
            Err(_) => {}
        }
    }
    match reached {
        None => Ok(batch),
        Some((retry_after, unique_name)) => Err(Refusal::RateLimited {
            unique_name: unique_name.clone(),
            retry_after,
        }
        .into()),
    }
}

/// The rate limits that `values` name and that can be reached, each with its value.
fn counted<'a>(
    limits: &'a [Stored<RateLimit>],
    values: &'a [(String, String)],
) -> Result<Vec<(&'a Stored<RateLimit>, &'a str)>, Refusal> {
    let mut counted = Vec::with_capacity(values.len());
    for (position, pair) in values.iter().enumerate() {
        let named = limits
            .iter()
            .find(|limit| limit.record.unique_name.as_str() == pair.0);
        let limit = named.ok_or(Refusal::Parameter {
            parameter: "RateLimits",
            why: "must name only rate limits of the service, each by its UniqueName",
        })?;
        if !limit.record.buckets.is_empty() && !values[..position].contains(pair) {
            counted.push((limit, pair.1.as_str()));
        }
    }
    Ok(counted)
}
