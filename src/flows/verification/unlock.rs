//! Lifts what closes a destination, because its account says so; and tells of what closes and opens one.

use super::{Scope, put_destination_at};
use crate::app::App;
use crate::domain::destination::Destination;
use crate::domain::destination_record::DestinationRecord;
use crate::domain::fraud::budget::Counter;
use crate::domain::fraud::{BlockEvent, BlockReason};
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{Refusal, Verification};
use crate::flows::code::put_verification;
use crate::flows::event::announce_block;
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, StoreError, keys};

/// Forgets the wrong codes that were given for `destination` in the service, takes a verification whose wrong codes are used up
/// out of the way, and gives the account's budget of codes for this one number or address anew. All other guards against toll
/// fraud stay: they are about more than one destination.
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
    let counter = Counter::of_number(account, destination, app.clock.now());
    // Nobody of this process takes of the budget meanwhile.
    let _entered = app.memory.fraud.gates.enter(std::iter::once(&counter)).await;
    retry_on_conflict(|| unlock_once(app, prior.reading(app), scope, destination, &counter)).await?;
    app.memory.fraud.ledger().drop_held(&counter);
    Ok(())
}

async fn unlock_once(
    app: &App,
    mut reading: Reading<'_>,
    scope: Scope,
    destination: &Destination,
    counter: &Counter,
) -> Result<(), Error<Refusal>> {
    let now = app.clock.now();
    let owner = reading
        .require(&keys::service(scope.account, scope.service))
        .await?;
    let key = keys::destination(scope.service, destination);
    let budget_key = keys::budget(counter);
    reading.prefetch([key.bytes(), budget_key.bytes()]).await?;
    let before = reading.get(&key).await?;
    let budget = reading.get(&budget_key).await?;
    if before.is_none() && budget.is_none() {
        return Err(Refusal::NotFound.into());
    }
    let mut lifted = Vec::new();
    let mut batch = Batch::new();
    if let Some(taken) = budget {
        batch = batch.delete(budget_key.into_bytes());
        if taken.told {
            lifted.push(BlockReason::NumberBudget);
        }
    }
    if let Some(before) = before {
        let mut record = before.clone();
        if before.closed_until(now).is_some() {
            lifted.push(BlockReason::WrongCodes);
        }
        record.forgive();
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
    for reason in lifted {
        let event = event(scope, destination, reason, now, LockChange::Opens);
        batch = announce_block(app, &owner, &event, batch)?;
    }
    reading.commit(batch).await?;
    Ok(())
}

/// Whether something closes a destination, and until when, or opens it.
#[derive(Clone, Copy)]
enum LockChange {
    Closes(Timestamp),
    Opens,
}

/// What was so before a decision on a verification and is so behind it.
pub(super) struct Decided<'a> {
    pub(super) before: (&'a Verification, Option<&'a DestinationRecord>),
    pub(super) after: (&'a Verification, &'a DestinationRecord),
}

/// Adds the events of what the decision closes its destination by, or opens it with.
pub(super) fn announce_locks(
    app: &App,
    service: &Service,
    decided: &Decided<'_>,
    now: Timestamp,
    mut batch: Batch,
) -> Result<Batch, StoreError> {
    let (verification, record) = decided.after;
    let scope = Scope {
        account: verification.account,
        service: verification.service,
    };
    let was_closed = decided
        .before
        .1
        .and_then(|record| record.closed_until(now))
        .is_some();
    let row = match (was_closed, record.closed_until(now)) {
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
