//! Ends a verification because its owner says so.

use super::count::count_change;
use super::unlock::{Decided, announce_locks};
use super::{Scope, VerificationName, find};
use crate::app::App;
use crate::domain::audit::{AuditAct, AuditOutcome, AuditSubject};
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::verification::{Refusal, Verification};
use crate::flows::code::{note_conversion, put_verification, tell_conversion};
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, audit, retry_on_conflict};
use crate::store::Batch;

/// How the owner ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The code was right: the owner checked it elsewhere.
    Approve,
    /// It is not wanted any more.
    Cancel,
    /// The operator ends it, whatever its rules say of when.
    Withdraw,
}

/// Ends a verification that waits, and returns it with its service. One whose wrong codes are used up can be canceled while
/// it is in the way of others. The wrong codes that were given for its destination count on.
///
/// # Errors
/// [`Refusal::NotFound`] unless it waits or is in the way, [`Refusal::NotCancellableYet`], [`Refusal::NoStepLeft`], [`Error::Failed`].
pub async fn settle(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    service: ServiceSid,
    which: &VerificationName,
    settlement: Settlement,
) -> Result<(Service, Verification), Error<Refusal>> {
    let Admitted {
        who: account,
        mut prior,
    } = account.into();
    let scope = Scope { account, service };
    retry_on_conflict(app, || end(app, prior.reading(app), scope, which, settlement)).await
}

async fn end(
    app: &App,
    mut reading: Reading<'_>,
    scope: Scope,
    which: &VerificationName,
    settlement: Settlement,
) -> Result<(Service, Verification), Error<Refusal>> {
    let now = app.clock.now();
    let found = find(&mut reading, scope, which, now).await?;
    let mut verification = found.verification.clone();
    let mut batch = Batch::new();
    let mut converted = None;
    match settlement {
        Settlement::Approve => {
            verification.approve(now)?;
            (batch, converted) = note_conversion(&mut reading, &verification, now, batch).await?;
        }
        Settlement::Cancel => verification.cancel(now)?,
        Settlement::Withdraw => {
            audit::note_subject(AuditAct::Change, || AuditSubject {
                service: Some(verification.service),
                verification: Some(verification.sid),
                destination: Some(verification.destination.clone()),
                ..AuditSubject::default()
            });
            verification.withdraw(now)?;
            audit::decide(AuditOutcome::Done, || {
                ("reset", Some("reset: it was ended".to_owned()))
            });
        }
    }
    let wrong_codes = found.wrong_codes.unwrap_or_default();
    let decided = Decided {
        before: (&found.verification, Some(&wrong_codes)),
        after: (&verification, &wrong_codes),
    };
    let batch = announce_locks(app, &found.service, &decided, now, batch)?;
    let batch = put_verification(batch, Some(&found.verification), &verification)?;
    reading.commit(batch).await?;
    count_change(app, Some(&found.verification), &verification, now);
    tell_conversion(app, &verification, converted.as_ref());
    Ok((found.service, verification))
}
