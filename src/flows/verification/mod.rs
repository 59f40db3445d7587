//! Verifications: sending codes and checking them.
//!
//! Invariant: whatever is decided on a code is committed with the versions of the verification, of its destination's record
//! and of the service asserted. So a code is accepted once, each wrong one counts, and nothing goes on below a service that
//! was deleted, however many requests come at once.

mod advance;
mod check;
mod confirm_silent;
mod settle;
mod silent_token;
mod start;

#[cfg(test)]
mod tests;

pub use self::advance::{advance, advance_due};
pub use self::check::{Guess, check};
pub use self::confirm_silent::{SilentAnswer, confirm_silent};
pub use self::settle::{Settlement, settle};
pub use self::silent_token::SilentToken;
pub use self::start::{NewVerification, Rules, Started, start};

use crate::app::App;
use crate::domain::destination::Destination;
use crate::domain::destination_record::DestinationRecord;
use crate::domain::refusal::Refusal;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::flows::{Error, service};
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// How a caller names a verification.
#[derive(Clone, Debug)]
pub enum Which {
    /// By its identifier.
    Sid(VerificationSid),
    /// As the last one for a destination.
    To(Destination),
}

/// The verification, whatever became of it; by destination, the last one for it.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    which: &Which,
) -> Result<Verification, Error> {
    let found = find(app, account, service, which, app.clock.now()).await?;
    Ok(found.verification.record)
}

/// A verification with all that a decision on it rests on.
struct Found {
    service: Stored<Service>,
    verification: Stored<Verification>,
    destination: Remembered,
}

impl Found {
    /// A batch that only applies while everything is as it was read.
    fn batch(&self) -> Batch {
        let record = &self.verification.record;
        let key = keys::verification(record.service, record.sid);
        self.destination
            .assert_in(assert_service(&self.service), record)
            .assert_read(&key, &self.verification)
    }
}

/// What is remembered of a destination, if anything is.
struct Remembered(Option<Stored<DestinationRecord>>);

impl Remembered {
    async fn read(app: &App, service: ServiceSid, destination: &Destination) -> Result<Self, Error> {
        let key = keys::destination(service, destination);
        Ok(Self(records::read(app.store.as_ref(), &key).await?))
    }

    fn record(&self) -> DestinationRecord {
        self.0
            .as_ref()
            .map(|found| found.record.clone())
            .unwrap_or_default()
    }

    /// Requires that it is still as it was read.
    fn assert_in(&self, batch: Batch, verification: &Verification) -> Batch {
        let key = keys::destination(verification.service, &verification.destination);
        match &self.0 {
            Some(found) => batch.assert_read(&key, found),
            None => batch.assert_absent(key.into_bytes()),
        }
    }

    /// Writes `record` in its place, if that is another.
    fn put(
        &self,
        batch: Batch,
        verification: &Verification,
        record: &DestinationRecord,
        now: Timestamp,
    ) -> Result<Batch, Error> {
        if self.0.as_ref().is_some_and(|found| found.record == *record) {
            return Ok(batch);
        }
        let key = keys::destination(verification.service, &verification.destination);
        Ok(match record.counts_until(now) {
            Some(until) => batch.put_record_until(key, record, until)?,
            None => batch.put_record(key, record)?,
        })
    }
}

/// Reads the verification, if it is the account's and can still be fetched.
async fn find(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    which: &Which,
    now: Timestamp,
) -> Result<Found, Error> {
    let owner = service::read(app, account, service).await?;
    let sid = match which {
        Which::Sid(sid) => *sid,
        Which::To(destination) => {
            let remembered = Remembered::read(app, service, destination).await?;
            remembered.record().last.ok_or(Refusal::NotFound)?
        }
    };
    let verification = read_verification(app, account, service, sid, now)
        .await?
        .ok_or(Refusal::NotFound)?;
    let destination = Remembered::read(app, service, &verification.record.destination).await?;
    Ok(Found {
        service: owner,
        verification,
        destination,
    })
}

async fn read_verification(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: VerificationSid,
    now: Timestamp,
) -> Result<Option<Stored<Verification>>, Error> {
    let found = records::read(app.store.as_ref(), &keys::verification(service, sid)).await?;
    Ok(found.filter(|found| found.record.account == account && found.record.is_kept(now)))
}

/// A batch that only applies while the service is as it was read.
fn assert_service(service: &Stored<Service>) -> Batch {
    let key = keys::service(service.record.account, service.record.sid);
    Batch::new().assert_read(&key, service)
}
