//! Begins a verification of which nothing is sent before somebody asks for that.

use super::Scope;
use crate::app::App;
use crate::domain::destination::Destination;
use crate::domain::limits::{PermitRule, Permits};
use crate::domain::opaque::Fingerprint;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::verification::{CodePolicy, Content, Draft, Refusal, Verification};
use crate::flows::code::put_verification;
use crate::flows::reading::{Admitted, Foreseen, Reading};
use crate::flows::{Error, retry_on_conflict};
use crate::store::Batch;
use crate::store::keys::{self, Key};

/// A verification that is to be begun.
#[derive(Clone, Debug)]
pub struct SessionDraft {
    /// Where its codes are to go.
    pub destination: Destination,
    /// Its rules. Whatever they say of others for the same destination, it goes on beside them.
    pub policy: CodePolicy,
    /// How many are begun for one destination.
    pub permits: Vec<SessionPermits>,
}

/// A bucket of permits to begin verifications for one destination.
#[derive(Clone, Debug)]
pub struct SessionPermits {
    /// How many there are.
    pub rule: PermitRule,
    /// What tells destinations apart besides where they lead, if anything does.
    pub apart: Option<String>,
}

/// Begins a verification.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Refusal::TooSoon`] when too many were begun, [`Error::Failed`].
pub async fn create(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    service: ServiceSid,
    new: &SessionDraft,
) -> Result<Verification, Error<Refusal>> {
    let Admitted {
        who: account,
        mut prior,
    } = account.into();
    let scope = Scope { account, service };
    retry_on_conflict(|| attempt(app, prior.reading(app), scope, new)).await
}

/// What is going to be read to begin a verification.
#[must_use]
pub fn foresee_create(app: &App, account: AccountSid, service: ServiceSid, new: &SessionDraft) -> Foreseen {
    let buckets = buckets(app, service, new).map(|(_, key)| key.into_bytes());
    Foreseen::default()
        .and(keys::service(account, service))
        .and_all(buckets)
}

/// The buckets that are taken from, each with its rule.
fn buckets<'n>(
    app: &App,
    service: ServiceSid,
    new: &'n SessionDraft,
) -> impl Iterator<Item = (&'n PermitRule, Key<Permits>)> {
    new.permits.iter().map(move |SessionPermits { rule, apart }| {
        let value = counted(app, service, &new.destination, apart.as_deref());
        (rule, keys::begun_sessions(service, &value))
    })
}

/// What one bucket is for: it is kept under this, so nobody who sees the store learns who was asked for.
fn counted(app: &App, service: ServiceSid, destination: &Destination, apart: Option<&str>) -> Fingerprint {
    let mut counted = destination.to_key();
    if let Some(apart) = apart {
        counted.push(0);
        counted.extend_from_slice(apart.as_bytes());
    }
    app.vault.fingerprint(service.as_bytes(), &counted)
}

async fn attempt(
    app: &App,
    mut reading: Reading<'_>,
    scope: Scope,
    new: &SessionDraft,
) -> Result<Verification, Error<Refusal>> {
    let Scope { account, service } = scope;
    let now = app.clock.now();
    let owner = keys::service(account, service);
    let buckets: Vec<_> = buckets(app, service, new).collect();
    let needed = [owner.bytes()].into_iter();
    reading
        .prefetch(needed.chain(buckets.iter().map(|(_, key)| key.bytes())))
        .await?;
    reading.require(&owner).await?;
    let mut batch = Batch::new();
    for (rule, key) in buckets {
        let taken = reading.get(&key).await?;
        let taken =
            Permits::take(taken, rule, now).map_err(|retry_after| Refusal::TooSoon { retry_after })?;
        batch = batch.put_record_until(key, &taken, taken.counts_until(rule))?;
    }
    let draft = Draft {
        sid: VerificationSid::generate(now, app.sids.as_ref()),
        account,
        service,
        destination: new.destination.clone(),
        policy: new.policy.clone(),
        content: Content::default(),
    };
    let verification = Verification::begin(draft, now);
    let batch = put_verification(batch, None, &verification)?;
    reading.commit(batch).await?;
    Ok(verification)
}
