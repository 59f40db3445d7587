//! Notes in the attempt that brought the code that it was of use.

use crate::app::App;
use crate::domain::attempt::Attempt;
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::flows::Error;
use crate::flows::code_delivery::learning;
use crate::flows::toll_fraud::converted::converted;
use crate::store::{Batch, keys, records};

/// Tells those who learn from conversions that `verification` was approved by what `attempt` brought, once that is in the
/// store.
pub(super) fn tell_conversion(app: &App, verification: &Verification, attempt: Option<&Attempt>) {
    if let Some(attempt) = attempt {
        learning::converted(app, attempt);
        converted(app, verification);
    }
}

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
