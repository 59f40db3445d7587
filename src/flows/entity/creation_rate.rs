//! The operator's limit on how many entities and factors an account creates in a second.

use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::domain::sid::AccountSid;
use crate::flows::Error;
use crate::store::records::{self, CreationRate, Stored};
use crate::store::{Batch, keys};

/// Counts one creation in `batch`, if the operator wants creations counted.
///
/// # Errors
/// [`Refusal::TooManyEntityCreations`], [`Error::Failed`].
pub(crate) async fn count_creation(app: &App, account: AccountSid, batch: Batch) -> Result<Batch, Error> {
    let Some(limit) = app.policy.entity_creations_per_second else {
        return Ok(batch);
    };
    let key = keys::creation_rate(account);
    let second = app.clock.now().seconds();
    let found: Option<Stored<CreationRate>> = records::read(app.store.as_ref(), &key).await?;
    let batch = match &found {
        Some(found) => batch.assert_read(&key, found),
        None => batch.assert_absent(key.bytes().to_vec()),
    };
    let count = found
        .filter(|f| f.record.second == second)
        .map_or(0, |f| f.record.count);
    if count >= limit {
        return Err(Refusal::TooManyEntityCreations.into());
    }
    Ok(batch.put_record(
        key,
        &CreationRate {
            second,
            count: count + 1,
        },
    )?)
}
