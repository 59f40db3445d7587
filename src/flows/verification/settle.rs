//! Ends a verification because its owner says so.

use super::{Which, find};
use crate::app::App;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::verification::Verification;
use crate::flows::code::{note_conversion, put_verification, tell_conversion};
use crate::flows::outbox::commit_and_ring;
use crate::flows::{Error, retry_on_conflict};

/// How the owner ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The code was right: the owner checked it elsewhere.
    Approve,
    /// It is not wanted any more.
    Cancel,
}

/// Ends a verification that waits. The wrong codes that were given for its destination count on.
///
/// # Errors
/// [`Refusal::NotFound`](crate::domain::refusal::Refusal::NotFound) unless it waits,
/// [`Refusal::NotCancellableYet`](crate::domain::refusal::Refusal::NotCancellableYet),
/// [`Refusal::NoStepLeft`](crate::domain::refusal::Refusal::NoStepLeft), [`Error::Failed`].
pub async fn settle(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    which: &Which,
    settlement: Settlement,
) -> Result<Verification, Error> {
    retry_on_conflict(|| end(app, account, service, which, settlement)).await
}

async fn end(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    which: &Which,
    settlement: Settlement,
) -> Result<Verification, Error> {
    let now = app.clock.now();
    let found = find(app, account, service, which, now).await?;
    let mut verification = found.verification.record.clone();
    let mut batch = found.batch();
    let mut converted = None;
    match settlement {
        Settlement::Approve => {
            verification.approve(now)?;
            (batch, converted) = note_conversion(app, &verification, now, batch).await?;
        }
        Settlement::Cancel => verification.cancel(now)?,
    }
    let batch = put_verification(batch, Some(&found.verification.record), &verification)?;
    commit_and_ring(app, batch).await?;
    tell_conversion(app, &verification, converted.as_ref());
    Ok(verification)
}
