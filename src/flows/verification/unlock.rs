//! Lifts what closes a destination, because its account says so; and tells of what closes and opens one.

use super::{Scope, put_destination_at};
use crate::app::App;
use crate::domain::audit::{AuditAct, AuditOutcome, AuditSubject};
use crate::domain::destination::Destination;
use crate::domain::fraud::budget::{Counter, CounterKind};
use crate::domain::fraud::conversion::AccountPrefix;
use crate::domain::fraud::{BlockEvent, BlockReason, PrefixBlock};
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{Refusal, Verification};
use crate::domain::wrong_codes::WrongCodes;
use crate::flows::code::put_verification;
use crate::flows::event::announce_block;
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, Fault, audit, retry_on_conflict};
use crate::store::keys::Key;
use crate::store::{Batch, StoreError, keys};

/// Forgets the wrong codes that were given for `destination` in the account, takes a verification of the service whose wrong codes are used up
/// out of the way, and gives the account's budget of codes for this one number or address anew. Of an address it also lifts what
/// closes its mail domain: anybody who asks for codes in vain can close that, and codes by mail cost too little to be worth
/// pumping. All other guards against toll fraud stay: they are about more than one number, which the safe list has a place for.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, or if nothing is remembered of the destination; [`Error::Failed`].
pub async fn unlock(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    service: ServiceSid,
    destination: &Destination,
) -> Result<(), Error<Refusal>> {
    let Admitted {
        who: account,
        mut prior,
    } = account.into();
    let scope = Scope { account, service };
    let now = app.clock.now();
    let domain = AccountPrefix::of(account, destination).filter(|_| destination.phone().is_none());
    let mut counters = vec![Counter::of_number(account, destination, now)];
    if let Some(domain) = &domain {
        for kind in [CounterKind::PrefixHour, CounterKind::PrefixDay] {
            counters.push(Counter::of_prefix(account, kind, &domain.prefix, now));
        }
    }
    // Nobody of this process takes of the budgets meanwhile.
    let _entered = app.memory.fraud.gates.enter(counters.iter()).await;
    let guards = Guards {
        counters: &counters,
        domain: domain.as_ref(),
    };
    retry_on_conflict(app, || {
        unlock_once(app, prior.reading(app), scope, destination, &guards)
    })
    .await?;
    for counter in &counters {
        app.memory.fraud.ledger().drop_held(counter);
    }
    if let Some(domain) = &domain {
        app.memory.fraud.conversions().forget_all(domain);
    }
    Ok(())
}

/// What is lifted besides the wrong codes.
struct Guards<'a> {
    counters: &'a [Counter],
    /// The mail domain, if it is not one where everybody has mailboxes.
    domain: Option<&'a AccountPrefix>,
}

impl Guards<'_> {
    /// Takes them out of the way in `batch`; why they were in it.
    async fn lift(
        &self,
        reading: &mut Reading<'_>,
        now: Timestamp,
        mut batch: Batch,
    ) -> Result<(Batch, Option<Vec<BlockReason>>), Fault> {
        let budgets: Vec<_> = self.counters.iter().map(keys::budget).collect();
        let block = self
            .domain
            .map(|domain| keys::prefix_block(domain.account, &domain.prefix));
        let needed = budgets
            .iter()
            .map(Key::bytes)
            .chain(block.as_ref().map(Key::bytes));
        reading.prefetch(needed).await?;
        let mut lifted = None;
        for (counter, key) in self.counters.iter().zip(budgets) {
            if let Some(taken) = reading.get(&key).await? {
                batch = batch.delete(key.into_bytes());
                let lifted: &mut Vec<_> = lifted.get_or_insert_default();
                lifted.extend(taken.told.then(|| counter.kind.reason()));
            }
        }
        if let Some(key) = block {
            let known = reading.get(&key).await?;
            if let Some(block) = known.filter(|block| block.remaining(now).is_some()) {
                let lifted: &mut Vec<_> = lifted.get_or_insert_default();
                lifted.push(block.reason);
            }
            // Other processes remember what was sent.
            let forgiven = PrefixBlock::forgiven(now);
            batch = batch.put_record_until(key, &forgiven, forgiven.kept_until())?;
        }
        Ok((batch, lifted))
    }
}

async fn unlock_once(
    app: &App,
    mut reading: Reading<'_>,
    scope: Scope,
    destination: &Destination,
    guards: &Guards<'_>,
) -> Result<(), Error<Refusal>> {
    let now = app.clock.now();
    audit::note_subject(AuditAct::Change, || AuditSubject {
        service: Some(scope.service),
        destination: Some(destination.clone()),
        ..AuditSubject::default()
    });
    let owner = reading
        .require(&keys::service(scope.account, scope.service))
        .await?;
    let key = keys::destination(scope.service, destination);
    let (mut batch, guarded) = guards.lift(&mut reading, now, Batch::new()).await?;
    let before = reading.get(&key).await?;
    let key_of_wrong = keys::wrong_codes(scope.account, destination);
    let wrong_codes = reading.get(&key_of_wrong).await?;
    if before.is_none() && wrong_codes.is_none() && guarded.is_none() {
        return Err(Refusal::NotFound.into());
    }
    let mut lifted = guarded.unwrap_or_default();
    if let Some(wrong_codes) = wrong_codes {
        if wrong_codes.closed_until(now).is_some() {
            lifted.push(BlockReason::WrongCodes);
        }
        batch = batch.delete(key_of_wrong.into_bytes());
    }
    if let Some(before) = before {
        let mut record = before.clone();
        if let Some(last) = before.last {
            let key = keys::verification(scope.service, last);
            if let Some(waits) = reading.get(&key).await? {
                let mut verification = waits.clone();
                if verification.unblock(now) {
                    lifted.push(BlockReason::MaxAttempts);
                    record.name_last(last, verification.kept_until());
                    batch = put_verification(batch, Some(&waits), &verification)?;
                }
            }
        }
        batch = put_destination_at(batch, key, Some(&before), &record, now)?;
    }
    audit::decide(AuditOutcome::Done, || ("unlocked", Some(unlocked(&lifted))));
    for reason in lifted {
        let event = event(scope, destination, reason, now, LockChange::Opens);
        batch = announce_block(app, &owner, &event, batch)?;
    }
    reading.commit(batch).await?;
    Ok(())
}

fn unlocked(lifted: &[BlockReason]) -> String {
    if lifted.is_empty() {
        return "unlocked: the wrong codes so far count no more".to_owned();
    }
    let names: Vec<_> = lifted.iter().map(|reason| reason.name()).collect();
    format!("unlocked: {}", names.join(", "))
}

/// Whether something closes a destination, and until when, or opens it.
#[derive(Clone, Copy)]
enum LockChange {
    Closes(Timestamp),
    Opens,
}

/// What was so before a decision on a verification and is so behind it.
pub(super) struct Decided<'a> {
    pub(super) before: (&'a Verification, Option<&'a WrongCodes>),
    pub(super) after: (&'a Verification, &'a WrongCodes),
}

/// Adds the events of what the decision closes its destination by, or opens it with.
pub(super) fn announce_locks(
    app: &App,
    service: &Service,
    decided: &Decided<'_>,
    now: Timestamp,
    mut batch: Batch,
) -> Result<Batch, StoreError> {
    let (verification, wrong_codes) = decided.after;
    let scope = Scope {
        account: verification.account,
        service: verification.service,
    };
    let was_closed = decided
        .before
        .1
        .and_then(|wrong_codes| wrong_codes.closed_until(now))
        .is_some();
    let row = match (was_closed, wrong_codes.closed_until(now)) {
        (false, Some(until)) => Some(LockChange::Closes(until)),
        (true, None) => Some(LockChange::Opens),
        (false, None) | (true, Some(_)) => None,
    };
    let in_the_way = match (decided.before.0.blocks(now), verification.blocks(now)) {
        (false, true) => Some(LockChange::Closes(verification.expires_at)),
        (true, false) => Some(LockChange::Opens),
        (false, false) | (true, true) => None,
    };
    let changes = [
        (BlockReason::WrongCodes, row),
        (BlockReason::MaxAttempts, in_the_way),
    ];
    for (reason, change) in changes {
        if let Some(change) = change {
            let event = event(scope, &verification.destination, reason, now, change);
            batch = announce_block(app, service, &event, batch)?;
        }
    }
    Ok(batch)
}

fn event(
    scope: Scope,
    destination: &Destination,
    reason: BlockReason,
    now: Timestamp,
    change: LockChange,
) -> BlockEvent {
    let until = match change {
        LockChange::Closes(until) => Some(until),
        LockChange::Opens => None,
    };
    BlockEvent {
        reason,
        at: now,
        account: scope.account,
        service: scope.service,
        subject: destination.masked(),
        country: destination.phone().and_then(|number| number.facts().country),
        until,
        lifted: until.is_none(),
    }
}
