//! Holds what a request gives values for to the rate limits of its service.

use crate::app::App;
use crate::domain::rate_limit::{MAX_RATE_LIMITS, RateLimit, RateLimitUses, Refusal};
use crate::domain::sid::ServiceSid;
use crate::domain::time::Timestamp;
use crate::flows::Error;
use crate::flows::reading::Reading;
use crate::store::Batch;
use crate::store::keys::{self, Key};

/// A value that a rate limit counts, and where its uses stand.
pub struct CountedValue {
    limit: RateLimit,
    guard: Key<RateLimit>,
    uses: Key<RateLimitUses>,
}

impl CountedValue {
    /// The key of what [`enforce`] reads of it: for whoever reads more in the same round trip.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.uses.bytes()
    }
}

/// What is counted of `values`, pairs of a rate limit's name and the value: those whose rate limit can be reached. Of two
/// equal pairs only one counts; whoever gives two values for one name uses both.
///
/// The values may be personal data: only their keyed fingerprints are stored, until the longest of the intervals is over.
///
/// # Errors
/// [`Refusal::Unknown`], [`Error::Failed`].
pub async fn counted(
    app: &App,
    reading: &mut Reading<'_>,
    service: ServiceSid,
    values: &[(String, String)],
) -> Result<Vec<CountedValue>, Error<Refusal>> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let limits = reading.list(&keys::rate_limits(service), MAX_RATE_LIMITS).await?;
    let mut counted = Vec::with_capacity(values.len());
    for (position, pair) in values.iter().enumerate() {
        let named = limits.iter().find(|limit| limit.unique_name.as_str() == pair.0);
        let limit = named.ok_or(Refusal::Unknown)?;
        if limit.buckets.is_empty() || values[..position].contains(pair) {
            continue;
        }
        let guard = keys::rate_limit(service, limit.sid);
        // Personal data, so it is known by a name that only this server can make.
        let fingerprint = app.vault.fingerprint(guard.bytes(), pair.1.as_bytes());
        counted.push(CountedValue {
            uses: keys::rate_limit_uses(service, limit.sid, &fingerprint),
            limit: limit.clone(),
            guard,
        });
    }
    Ok(counted)
}

/// Adds one use of each of `counted` to `batch`: when `reading` commits it, all of them are used, and no other request has
/// taken the same room.
///
/// # Errors
/// [`Refusal::Reached`] with the longest wait if a bucket has no room, and nothing is used; [`Error::Failed`].
pub async fn enforce(
    reading: &mut Reading<'_>,
    counted: Vec<CountedValue>,
    now: Timestamp,
    mut batch: Batch,
) -> Result<Batch, Error<Refusal>> {
    reading.prefetch(counted.iter().map(CountedValue::key)).await?;
    let mut reached = None;
    for CountedValue { limit, guard, uses } in counted {
        // The buckets are those that were looked at, and nothing is counted for a rate limit that is gone.
        reading.require(&guard).await?;
        let before = reading.get(&uses).await?.unwrap_or_default();
        match before.used(&limit.buckets, now) {
            Ok((after, end)) => batch = batch.put_record_until(uses, &after, end)?,
            Err(wait) if reached.as_ref().is_none_or(|(longest, _)| *longest < wait) => {
                reached = Some((wait, limit.unique_name));
            }
            Err(_) => {}
        }
    }
    match reached {
        None => Ok(batch),
        Some((retry_after, unique_name)) => Err(Refusal::Reached {
            unique_name,
            retry_after,
        }
        .into()),
    }
}
