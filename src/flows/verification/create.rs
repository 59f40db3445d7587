//! Begins a verification of which nothing is sent before somebody asks for that, or has its code sent in the same commit.

use super::count::count_change;
use super::resend::after_refused;
use super::{Resend, Scope, send_within};
use crate::app::App;
use crate::domain::destination::Destination;
use crate::domain::limits::{PermitRule, Permits};
use crate::domain::opaque::Fingerprint;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::verification::{CodePolicy, Content, Draft, Refusal, Verification};
use crate::flows::code::{Outgoing, keys_to_send, put_verification};
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
    retry_on_conflict(app, || attempt(app, prior.reading(app), scope, new)).await
}

/// Begins a verification and has its code sent by the first of `ways` that leads to its destination. If its code is not sent,
/// there is no verification, and it does not count.
///
/// # Errors
/// As [`create`] and [`resend`](super::resend()); where several ways lead nowhere, what is said of the first.
pub async fn create_and_send(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    service: ServiceSid,
    new: &SessionDraft,
    ways: &[Resend],
) -> Result<Verification, Error<Refusal>> {
    let Admitted {
        who: account,
        mut prior,
    } = account.into();
    let scope = Scope { account, service };
    retry_on_conflict(app, || {
        attempt_and_send(app, prior.reading(app), scope, new, ways)
    })
    .await
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
    let BegunSession {
        verification, batch, ..
    } = begin(app, &mut reading, scope, new, Vec::new()).await?;
    let batch = put_verification(batch, None, &verification)?;
    reading.commit(batch).await?;
    count_change(app, None, &verification, verification.date_created);
    Ok(verification)
}

async fn attempt_and_send(
    app: &App,
    mut reading: Reading<'_>,
    scope: Scope,
    new: &SessionDraft,
    ways: &[Resend],
) -> Result<Verification, Error<Refusal>> {
    let foreseen = keys_to_send(app, scope.account, scope.service, &new.destination);
    let BegunSession {
        mut verification,
        service,
        batch,
    } = begin(app, &mut reading, scope, new, foreseen).await?;
    let now = verification.date_created;
    let mut first = None;
    for way in ways {
        verification.require_sendable(way.channel, now)?;
        let mut sent = verification.clone();
        let written = batch.clone();
        match send_within(app, &mut reading, &service, &mut sent, way, written).await {
            Ok(Outgoing { batch, permit }) => {
                let batch = put_verification(batch, None, &sent)?;
                reading.commit(batch).await?;
                permit.commit(sent.sid);
                count_change(app, None, &sent, now);
                return Ok(sent);
            }
            Err(Error::Refused(refusal)) => {
                let after = after_refused(&verification, way.channel, &refusal, now);
                let told = first.get_or_insert(refusal);
                verification = after.ok_or_else(|| told.clone())?;
            }
            Err(failed) => return Err(failed),
        }
    }
    Err(first.unwrap_or(Refusal::NoStepLeft).into())
}

/// A verification before it is in the store.
struct BegunSession {
    verification: Verification,
    service: Service,
    /// What is taken of the buckets.
    batch: Batch,
}

/// Reads all of it, and `foreseen`, at once.
async fn begin(
    app: &App,
    reading: &mut Reading<'_>,
    scope: Scope,
    new: &SessionDraft,
    foreseen: Vec<Vec<u8>>,
) -> Result<BegunSession, Error<Refusal>> {
    let Scope { account, service } = scope;
    let now = app.clock.now();
    let owner = keys::service(account, service);
    let buckets: Vec<_> = buckets(app, service, new).collect();
    let needed = [owner.bytes()].into_iter();
    let counted = buckets.iter().map(|(_, key)| key.bytes());
    let foreseen = foreseen.iter().map(Vec::as_slice);
    reading.prefetch(needed.chain(counted).chain(foreseen)).await?;
    let owner = reading.require(&owner).await?;
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
    Ok(BegunSession {
        verification: Verification::begin(draft, now),
        service: owner,
        batch,
    })
}
