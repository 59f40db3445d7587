//! Lifts what closes the factors of an entity, because the operator knows who the user is. What closes a number or an address is
//! lifted by [`verification::unlock`](crate::flows::verification::unlock()).

use crate::app::App;
use crate::domain::audit::{AuditAct, AuditOutcome, AuditSubject};
use crate::domain::entity::{Entity, EntityName};
use crate::domain::factor::{Factor, FactorKind, FactorStatus, LockReason, Refusal};
use crate::domain::push_guard::PushLimits;
use crate::domain::sid::{AccountSid, EntitySid, FactorSid};
use crate::domain::time::Timestamp;
use crate::flows::reading::Reading;
use crate::flows::{Error, audit, entity, factor, retry_on_conflict};
use crate::store::{Batch, keys};

/// What became of a factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlockedFactor {
    /// Which one.
    pub factor: FactorSid,
    /// What was done.
    pub what: Unlocking,
}

/// What was done with a factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlocking {
    /// Wrong codes ended it for good: it has to be enrolled anew.
    Disabled,
    /// So many wrong codes, wrong numbers and tries to verify it were forgotten, and these locks lifted.
    Lifted {
        /// How many.
        failures: u32,
        /// Which.
        locks: Vec<LockReason>,
    },
    /// There was nothing to lift.
    Open,
}

/// Forgets the wrong codes and lifts the locks of all factors of an entity, in one commit. Which time steps were used stays
/// known, and a factor that wrong codes disabled stays so.
///
/// # Errors
/// [`Refusal::NotFound`] without this very entity: one that was created anew under its identity is another. [`Error::Failed`].
pub async fn unlock(
    app: &App,
    account: AccountSid,
    name: &EntityName,
    entity: EntitySid,
) -> Result<Vec<UnlockedFactor>, Error<Refusal>> {
    retry_on_conflict(app, || unlock_once(app, account, name, entity)).await
}

async fn unlock_once(
    app: &App,
    account: AccountSid,
    name: &EntityName,
    entity: EntitySid,
) -> Result<Vec<UnlockedFactor>, Error<Refusal>> {
    note(name);
    let mut reading = Reading::new(app);
    let located = entity::locate(&mut reading, account, name).await?;
    if located.scope.entity != entity {
        return Err(Refusal::NotFound.into());
    }
    let now = app.clock.now();
    let listed: Vec<Factor> = reading.list(&keys::factors(&located.scope), usize::MAX).await?;
    let (mut unlocked, mut batch) = (Vec::new(), Batch::new());
    for before in listed {
        let what = unlocking(&before, &app.policy.push, now);
        if matches!(what, Unlocking::Lifted { .. }) {
            let key = keys::factor(&located.scope, before.sid);
            // Not as the list has it, if that has changed: then the commit does not apply.
            reading.require(&key).await?;
            let mut after = before.clone();
            after.forgive_codes()?;
            if let FactorKind::Push(push) = &mut after.kind {
                push.guard.resume(now);
            }
            after.date_updated = now;
            batch = factor::announce_locks(app, &located, &before, &mut after, now, batch)?;
            batch = factor::put(app, batch, key, &after)?;
        }
        unlocked.push(UnlockedFactor {
            factor: before.sid,
            what,
        });
    }
    let told: Vec<_> = unlocked.iter().filter_map(UnlockedFactor::told).collect();
    if !told.is_empty() {
        audit::decide(AuditOutcome::Done, || {
            ("unlocked", Some(format!("unlocked: {}", told.join("; "))))
        });
        reading.commit(batch).await?;
    }
    Ok(unlocked)
}

/// Notes whom it is about.
pub(super) fn note(name: &EntityName) {
    audit::note_subject(AuditAct::Change, || AuditSubject {
        service: Some(name.service),
        identity: Some(name.identity.clone()),
        ..AuditSubject::default()
    });
}

fn unlocking(factor: &Factor, limits: &PushLimits, now: Timestamp) -> Unlocking {
    if factor.status == FactorStatus::Disabled || factor.failures.exhausted() {
        return Unlocking::Disabled;
    }
    let tries = match factor.status {
        FactorStatus::Unverified { attempts } => u32::from(attempts),
        FactorStatus::Disabled | FactorStatus::Verified => 0,
    };
    let wrong_numbers = match &factor.kind {
        FactorKind::Push(push) => u32::from(push.guard.wrong_numbers()),
        FactorKind::Totp(_) => 0,
    };
    // Wrong codes of the enrolment count as both.
    let failures = factor.failures.count().max(tries) + wrong_numbers;
    let locks: Vec<_> = factor
        .locks(limits, now)
        .into_iter()
        .map(|lock| lock.reason)
        .collect();
    if failures == 0 && locks.is_empty() {
        Unlocking::Open
    } else {
        Unlocking::Lifted { failures, locks }
    }
}

impl Unlocking {
    /// What was done, in words, if anything was.
    #[must_use]
    pub fn done(&self) -> Option<String> {
        let Self::Lifted { failures, locks } = self else {
            return None;
        };
        let lifted = locks.iter().map(|lock| format!("{} lifted", lock.name()));
        let forgotten = std::iter::once(format!("{failures} failures forgotten"));
        Some(forgotten.chain(lifted).collect::<Vec<_>>().join(", "))
    }
}

impl UnlockedFactor {
    /// What the audit log says of it, if anything was done.
    fn told(&self) -> Option<String> {
        let done = self.what.done()?;
        Some(format!("{}: {done}", self.factor))
    }
}

/// Whether `entity` is the one that is meant.
pub(super) fn is_meant(entity: &Entity, account: AccountSid, sid: EntitySid) -> bool {
    entity.account == account && entity.sid == sid
}
