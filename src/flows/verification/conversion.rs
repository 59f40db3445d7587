//! Notes in the attempt that brought the code that it was of use.

use crate::app::App;
use crate::domain::attempt::Attempt;
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::flows::Error;
use crate::store::{Batch, keys, records};

/// Adds to `batch` that the last try of the last sending led to the approval at `now`; the attempt, if there is one.
pub(super) async fn note_conversion(
    app: &App,
    verification: &Verification,
    now: Timestamp,
    batch: Batch,
) -> Result<(Batch, Option<Attempt>), Error> {
    let last = verification.sends.last().and_then(|send| send.tries.last());
    let Some(last) = last else {
        return Ok((batch, None));
    };
    let key = keys::attempt(verification.account, last.attempt);
    let Some(found) = records::read(app.store.as_ref(), &key).await? else {
        return Ok((batch, None));
    };
    let mut attempt = found.record.clone();
    attempt.converted_at = Some(now);
    attempt.date_updated = now;
    let until = attempt.date_created + Attempt::RETENTION;
    let batch = batch
        .assert_read(&key, &found)
        .put_record_until(key, &attempt, until)?;
    Ok((batch, Some(attempt)))
}
