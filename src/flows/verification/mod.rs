//! Verifications: sending codes and checking them.
//!
//! Invariant: whatever is decided on a code is committed with the versions of the verification, of its destination's record
//! and of the service asserted. So a code is accepted once, each wrong one counts, and nothing goes on below a service that
//! was deleted, however many requests come at once.

mod advance;
mod check;
mod confirm_silent;
mod count;
mod create;
mod due;
mod resend;
mod settle;
mod silent_token;
mod start;
mod unlock;

#[cfg(test)]
mod tests;

pub use self::advance::advance;
pub(crate) use self::check::check_within;
pub use self::check::{AgreedPayment, CheckOutcome, Guess, check};
pub use self::confirm_silent::{SilentAnswer, SilentCall, confirm_silent};
pub(crate) use self::count::count_change;
pub use self::create::{SessionDraft, SessionPermits, create, create_and_send, foresee_create};
pub use self::due::{PlanKeeper, advance_due};
pub(crate) use self::resend::send_within;
pub use self::resend::{Resend, resend};
pub use self::settle::{Settlement, settle};
pub use self::silent_token::SilentToken;
pub use self::start::{NewVerification, Rules, StartedVerification, foresee_start, start};
pub use self::unlock::unlock;

use zeroize::Zeroizing;

use crate::app::App;
use crate::domain::destination::Destination;
use crate::domain::destination_record::DestinationRecord;
use crate::domain::refusal::AreaRefusal as _;
use crate::domain::sealing::SealedField;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{Check, Refusal, Verification};
use crate::domain::wrong_codes::WrongCodes;
use crate::flows::code::key_to_convert;
use crate::flows::reading::{Admitted, Foreseen, NotRead, Reading};
use crate::flows::{Error, Fault, SealedReads};
use crate::store::keys::{self, Key};
use crate::store::{Batch, StoreError};

/// How a caller names a verification.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum VerificationName {
    Sid(VerificationSid),
    /// As the last one for a destination.
    To(Destination),
}

/// The verification, whatever became of it, and its service; by destination, the last one for it.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    service: ServiceSid,
    which: &VerificationName,
) -> Result<(Service, Verification), Error<Refusal>> {
    let Admitted {
        who: account,
        mut prior,
    } = account.into();
    let scope = Scope { account, service };
    let found = find(&mut prior.reading(app), scope, which, app.clock.now()).await?;
    Ok((found.service, found.verification))
}

/// The verification as [`fetch`] finds it, and what was given in each of its checks, if its rules keep that.
///
/// # Errors
/// As [`fetch`].
pub async fn fetch_with_given(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    which: &VerificationName,
) -> Result<(Verification, Vec<Option<Zeroizing<String>>>), Error<Refusal>> {
    let mut sealed = SealedReads::default();
    loop {
        let (_, found) = fetch(app, account, service, which).await?;
        let each = found.checks.iter().map(|check| given(app, &found, check));
        match each.collect::<Result<_, _>>() {
            Ok(all) => return Ok((found, all)),
            Err(fault) if sealed.is_to_be_read_again(&fault) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
}

/// Until when no code for the verification's destination is looked at, because of wrong ones in whichever service of the account;
/// `None` if one is.
///
/// # Errors
/// [`Error::Failed`].
pub async fn codes_paused_until(
    app: &App,
    verification: &Verification,
) -> Result<Option<Timestamp>, Error<Refusal>> {
    let key = keys::wrong_codes(verification.account, &verification.destination);
    let now = app.clock.now();
    let wrong_codes: Option<WrongCodes> = Reading::new(app).glance(&key).await?;
    Ok(wrong_codes.and_then(|wrong_codes| paused_until(&wrong_codes, now)))
}

/// Until when no code is looked at after these.
fn paused_until(wrong_codes: &WrongCodes, now: Timestamp) -> Option<Timestamp> {
    let refused = wrong_codes.require_unlocked(now).err()?;
    refused.retry_after().map(|wait| now + wait)
}

/// What was given in one of a verification's checks, if its rules keep that.
///
/// # Errors
/// [`Fault::Corrupt`] or [`Fault::KeyGone`] if it does not open.
fn given(app: &App, verification: &Verification, check: &Check) -> Result<Option<Zeroizing<String>>, Fault> {
    let Some(sealed) = &check.submitted else {
        return Ok(None);
    };
    let key = keys::verification(verification.service, verification.sid);
    let what = || format!("verification {}: what was given does not open", verification.sid);
    let opened = app.vault.open(key.bytes(), SealedField::SubmittedCode, sealed);
    let bytes = opened.map_err(|error| Fault::unopened(what(), error))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| Fault::Corrupt(format!("{}: {error}", what())))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// What is going to be read to find a verification.
#[must_use]
pub fn foresee(account: AccountSid, service: ServiceSid, which: &VerificationName) -> Foreseen {
    let foreseen = Foreseen::default().and(keys::service(account, service));
    match which {
        VerificationName::Sid(sid) => foreseen.and(keys::verification(service, *sid)),
        VerificationName::To(destination) => foreseen.and(keys::destination(service, destination)),
    }
}

/// Whose verifications are spoken of.
#[derive(Clone, Copy)]
struct Scope {
    account: AccountSid,
    service: ServiceSid,
}

/// A verification with all that a decision on it rests on.
struct FoundVerification {
    service: Service,
    verification: Verification,
    /// What is remembered of its destination, if anything is.
    destination: Option<DestinationRecord>,
    /// What its account remembers of wrong codes for its destination, if there were any.
    wrong_codes: Option<WrongCodes>,
}

/// Reads the verification, if it is the account's and can still be fetched, in two round trips.
async fn find(
    reading: &mut Reading<'_>,
    scope: Scope,
    which: &VerificationName,
    now: Timestamp,
) -> Result<FoundVerification, NotRead> {
    find_to(reading, scope, which, now, |_| Vec::new()).await
}

/// The same for whoever is going to read more, which follows from the verification: it is read in the second round trip.
async fn find_to(
    reading: &mut Reading<'_>,
    scope: Scope,
    which: &VerificationName,
    now: Timestamp,
    more: impl FnOnce(&Verification) -> Vec<Vec<u8>>,
) -> Result<FoundVerification, NotRead> {
    let Scope { account, service } = scope;
    reading.prefetch(foresee(account, service, which).keys()).await?;
    let owner = reading.require(&keys::service(account, service)).await?;
    let sid = match which {
        VerificationName::Sid(sid) => *sid,
        VerificationName::To(destination) => {
            let remembered = reading.get(&keys::destination(service, destination)).await?;
            let last = remembered.and_then(|remembered| remembered.last);
            last.ok_or(NotRead::Absent)?
        }
    };
    let key = keys::verification(service, sid);
    let verification: Verification = reading.require(&key).await?;
    // The last one there may be to another spelling, which limits know as the same.
    let is_named = match which {
        VerificationName::Sid(_) => true,
        VerificationName::To(destination) => destination.is_same(&verification.destination),
    };
    if !(verification.account == account && verification.is_kept(now) && is_named) {
        return Err(NotRead::Absent);
    }
    let key = keys::destination(service, &verification.destination);
    let wrong_codes = keys::wrong_codes(account, &verification.destination);
    let mut keys = vec![key.bytes(), wrong_codes.bytes()];
    let attempt = key_to_convert(&verification);
    keys.extend(attempt.as_ref().map(Key::bytes));
    let more = more(&verification);
    keys.extend(more.iter().map(Vec::as_slice));
    reading.prefetch(keys).await?;
    Ok(FoundVerification {
        service: owner,
        destination: reading.get(&key).await?,
        wrong_codes: reading.get(&wrong_codes).await?,
        verification,
    })
}

/// Writes what an account remembers of wrong codes for a destination from now on, if that is something else than before.
fn put_wrong_codes(
    batch: Batch,
    key: Key<WrongCodes>,
    before: Option<&WrongCodes>,
    after: &WrongCodes,
    now: Timestamp,
) -> Result<Batch, StoreError> {
    let nothing = WrongCodes::default();
    if before.unwrap_or(&nothing) == after {
        Ok(batch)
    } else if *after == nothing {
        Ok(batch.delete(key.into_bytes()))
    } else {
        batch.put_record_until(key, after, after.counts_until(now))
    }
}

/// Writes what is remembered of a destination from now on, if that is something else than before.
fn put_destination(
    batch: Batch,
    verification: &Verification,
    before: Option<&DestinationRecord>,
    after: &DestinationRecord,
    now: Timestamp,
) -> Result<Batch, StoreError> {
    let key = keys::destination(verification.service, &verification.destination);
    put_destination_at(batch, key, before, after, now)
}

fn put_destination_at(
    batch: Batch,
    key: Key<DestinationRecord>,
    before: Option<&DestinationRecord>,
    after: &DestinationRecord,
    now: Timestamp,
) -> Result<Batch, StoreError> {
    if before == Some(after) {
        return Ok(batch);
    }
    match after.counts_until(now) {
        Some(until) => batch.put_record_until(key, after, until),
        None => batch.put_record(key, after),
    }
}
