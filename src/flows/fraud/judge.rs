//! Blocks a prefix whose codes are not used.

use super::admit::{Admittance, wait};
use super::refuse::{Subject, event, log};
use crate::app::App;
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::fraud::conversion::{AccountPrefix, Conversion, Sends};
use crate::domain::fraud::settings::ConversionRule;
use crate::domain::fraud::{BlockReason, PrefixBlock};
use crate::domain::refusal::Refusal;
use crate::domain::time::Timestamp;
use crate::domain::verification::{End, Ending, Sending, Verification};
use crate::flows::event::announce_block;
use crate::flows::outbox::commit_and_ring;
use crate::flows::{Error, retry_on_conflict, safe_list};
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// Refuses a code to a prefix that is blocked, or is to be blocked from now on.
///
/// # Errors
/// [`Refusal::Blocked`], [`Error::Failed`].
pub(super) async fn judge(
    app: &App,
    asked: &Admittance<'_>,
    place: &AccountPrefix,
    rule: &ConversionRule,
) -> Result<(), Error> {
    if let Some(until) = blocked_until(app, place, asked.now).await? {
        return Err(refusal(app, until, asked.now));
    }
    let remembered = app.memory.fraud.conversions().of(place, asked.now);
    if !remembered.is_low(rule) {
        return Ok(());
    }
    let found = look_up(app, place, asked.now).await?;
    if !found.is_low(rule) {
        return Ok(());
    }
    let until = retry_on_conflict(|| block(app, asked, place, rule, found)).await?;
    Err(refusal(app, until, asked.now))
}

fn refusal(app: &App, until: Timestamp, now: Timestamp) -> Error {
    let why = BlockReason::LowConversion;
    app.memory.fraud.refused.count(why);
    Refusal::Blocked {
        why,
        retry_after: wait(Some(until), now),
    }
    .into()
}

async fn blocked_until(app: &App, place: &AccountPrefix, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let found = records::read(
        app.store.as_ref(),
        &keys::prefix_block(place.account, &place.prefix),
    )
    .await?;
    Ok(found.and_then(|found| until(&found, now)))
}

fn until(found: &Stored<PrefixBlock>, now: Timestamp) -> Option<Timestamp> {
    found.record.remaining(now).map(|left| now + left)
}

/// Writes the block and tells of it; until when the prefix is blocked, by whomever.
async fn block(
    app: &App,
    asked: &Admittance<'_>,
    place: &AccountPrefix,
    rule: &ConversionRule,
    found: Conversion,
) -> Result<Timestamp, Error> {
    let key = keys::prefix_block(place.account, &place.prefix);
    let known: Option<Stored<PrefixBlock>> = records::read(app.store.as_ref(), &key).await?;
    if let Some(until) = known.as_ref().and_then(|known| until(known, asked.now)) {
        return Ok(until);
    }
    let batch = match &known {
        Some(known) => Batch::new().assert_read(&key, known),
        None => Batch::new().assert_absent(key.bytes().to_vec()),
    };
    let block = PrefixBlock {
        reason: BlockReason::LowConversion,
        since: asked.now,
        until: asked.now + rule.block,
        sends: found.sends,
        converted: found.converted,
    };
    let batch = batch.put_record_until(key, &block, block.until)?;
    let subject = Subject::Prefix(place.prefix.clone());
    let event = event(asked, block.reason, &subject, Some(block.until));
    commit_and_ring(app, announce_block(app, asked.service, &event, batch)?).await?;
    log(&event);
    Ok(block.until)
}

/// What the store says of the sends that memory knows no conversion of: they may have been approved by way of another
/// process, gone to a number that is a safe one by now, or never left because the senders failed, for which the numbers are
/// not to blame.
async fn look_up(app: &App, place: &AccountPrefix, now: Timestamp) -> Result<Conversion, Error> {
    let matured: Vec<Sends> = app.memory.fraud.conversions().matured(place, now).collect();
    let mut found = Conversion::default();
    for sends in matured {
        if sends.converted {
            found.add(sends.count, true);
            continue;
        }
        let key = keys::verification(sends.service, sends.verification);
        let Some(Stored {
            record: verification, ..
        }) = records::read(app.store.as_ref(), &key).await?
        else {
            found.add(sends.count, false);
            continue;
        };
        if is_approved(&verification) {
            app.memory
                .fraud
                .conversions()
                .converted(place, sends.verification);
            found.add(sends.count, true);
            continue;
        }
        let safe = match verification.destination.phone() {
            Some(number) => safe_list::contains(app, place.account, number).await?,
            None => false,
        };
        let (left, waits) = sendings(app, &verification).await?;
        if safe || (left == 0 && !waits) {
            app.memory.fraud.conversions().forget(place, sends.verification);
        } else {
            found.add(left, false);
        }
    }
    Ok(found)
}

fn is_approved(verification: &Verification) -> bool {
    matches!(
        verification.end,
        Some(End {
            how: Ending::Approved,
            ..
        })
    )
}

/// How many of the verification's sendings left, and whether one still waits to.
async fn sendings(app: &App, verification: &Verification) -> Result<(u32, bool), Error> {
    let (mut left, mut waits) = (0, false);
    for sending in &verification.sends {
        match state(app, verification, sending).await? {
            Some(AttemptStatus::Sent) => left += 1,
            Some(AttemptStatus::Queued) => waits = true,
            Some(AttemptStatus::Failed { .. } | AttemptStatus::Canceled) | None => {}
        }
    }
    Ok((left, waits))
}

/// The best of what became of a sending's tries.
async fn state(
    app: &App,
    verification: &Verification,
    sending: &Sending,
) -> Result<Option<AttemptStatus>, Error> {
    let mut best = None;
    for tried in &sending.tries {
        let key = keys::attempt(verification.account, tried.attempt);
        let attempt: Option<Stored<Attempt>> = records::read(app.store.as_ref(), &key).await?;
        match attempt.map(|attempt| attempt.record.status) {
            Some(AttemptStatus::Sent) => return Ok(Some(AttemptStatus::Sent)),
            Some(AttemptStatus::Queued) => best = Some(AttemptStatus::Queued),
            other => best = best.or(other),
        }
    }
    Ok(best)
}
