//! Holds what a request gives values for to the rate limits of its service.

use crate::app::App;
use crate::domain::rate_limit::{MAX_RATE_LIMITS, RateLimit, Refusal};
use crate::domain::sid::ServiceSid;
use crate::domain::time::Timestamp;
use crate::flows::Error;
use crate::flows::reading::Reading;
use crate::store::{Batch, keys};

/// Adds one use of each of `values`, pairs of a rate limit's name and the value to be counted, to `batch`: when `reading`
/// commits it, all of them are used, and no other request has taken the same room. Of two equal pairs only one counts;
/// whoever gives two values for one name uses both.
///
/// The values may be personal data: only their keyed fingerprints are stored, until the longest of the intervals is over.
///
/// # Errors
/// [`Refusal::Unknown`]; [`Refusal::Reached`] with the longest wait if a bucket has no room, and nothing is used;
/// [`Error::Failed`].
pub async fn enforce(
    app: &App,
    reading: &mut Reading<'_>,
    service: ServiceSid,
    values: &[(String, String)],
    now: Timestamp,
    mut batch: Batch,
) -> Result<Batch, Error<Refusal>> {
    if values.is_empty() {
        return Ok(batch);
    }
    let limits = reading.list(&keys::rate_limits(service), MAX_RATE_LIMITS).await?;
    let counted: Vec<_> = counted(&limits, values)?
        .into_iter()
        .map(|(limit, value)| {
            let guard = keys::rate_limit(service, limit.sid);
            // Personal data, so it is known by a name that only this server can make.
            let fingerprint = app.vault.fingerprint(guard.bytes(), value.as_bytes());
            let uses = keys::rate_limit_uses(service, limit.sid, &fingerprint);
            (limit, guard, uses)
        })
        .collect();
    reading
        .prefetch(counted.iter().map(|(_, _, uses)| uses.bytes()))
        .await?;
    let mut reached = None;
    for (limit, guard, key) in counted {
        // The buckets are those that were looked at, and nothing is counted for a rate limit that is gone.
        reading.require(&guard).await?;
        let before = reading.get(&key).await?.unwrap_or_default();
        match before.used(&limit.buckets, now) {
            Ok((uses, end)) => batch = batch.put_record_until(key, &uses, end)?,
            Err(wait) if reached.as_ref().is_none_or(|(longest, _)| *longest < wait) => {
                reached = Some((wait, &limit.unique_name));
            }
            Err(_) => {}
        }
    }
    match reached {
        None => Ok(batch),
        Some((retry_after, unique_name)) => Err(Refusal::Reached {
            unique_name: unique_name.clone(),
            retry_after,
        }
        .into()),
    }
}

/// The rate limits that `values` name and that can be reached, each with its value.
fn counted<'a>(
    limits: &'a [RateLimit],
    values: &'a [(String, String)],
) -> Result<Vec<(&'a RateLimit, &'a str)>, Refusal> {
    let mut counted = Vec::with_capacity(values.len());
    for (position, pair) in values.iter().enumerate() {
        let named = limits.iter().find(|limit| limit.unique_name.as_str() == pair.0);
        let limit = named.ok_or(Refusal::Unknown)?;
        if !limit.buckets.is_empty() && !values[..position].contains(pair) {
            counted.push((limit, pair.1.as_str()));
        }
    }
    Ok(counted)
}
