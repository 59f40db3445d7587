//! Blocks a prefix whose codes are not used.

use super::admit::Admittance;
use super::refuse::{Subject, event, log};
use crate::app::App;
use crate::domain::attempt::AttemptStatus;
use crate::domain::fraud::conversion::{AccountPrefix, Conversion, Sends};
use crate::domain::fraud::settings::ConversionRule;
use crate::domain::fraud::{BlockReason, Blocked, PrefixBlock};
use crate::domain::time::Timestamp;
use crate::domain::verification::{End, Ending, Sending, Verification};
use crate::flows::event::announce_block;
use crate::flows::reading::Reading;
use crate::flows::{Fault, retry_on_conflict, safe_list};
use crate::store::{Batch, keys};

/// Why a code to a prefix is refused that is blocked, or is to be blocked from now on.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub(super) async fn judge(
    app: &App,
    reading: &mut Reading<'_>,
    asked: &Admittance<'_>,
    place: &AccountPrefix,
    rule: &ConversionRule,
) -> Result<Option<Blocked>, Fault> {
    let key = keys::prefix_block(place.account, &place.prefix);
    let known = reading.glance(&key).await?;
    if let Some(until) = known.as_ref().and_then(|found| until(found, asked.now)) {
        return Ok(Some(refusal(app, until, asked.now)));
    }
    let remembered = app.memory.fraud.conversions().of(place, asked.now);
    if !remembered.is_low(rule) {
        return Ok(None);
    }
    let forgiven = known.and_then(|known| known.forgiven_before(asked.now));
    let found = look_up(app, place, forgiven, asked.now).await?;
    if !found.is_low(rule) {
        return Ok(None);
    }
    let until = retry_on_conflict(app, || block(app, asked, place, rule, found)).await?;
    Ok(until.map(|until| refusal(app, until, asked.now)))
}

fn refusal(app: &App, until: Timestamp, now: Timestamp) -> Blocked {
    let why = BlockReason::LowConversion;
    app.memory.fraud.refused.count(why);
    Blocked::until(why, Some(until), now)
}

fn until(found: &PrefixBlock, now: Timestamp) -> Option<Timestamp> {
    found.remaining(now).map(|left| now + left)
}

/// Whether the account vouches for the prefix now: see [`lift`](super::lift()).
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub(super) async fn is_lifted(
    reading: &mut Reading<'_>,
    place: &AccountPrefix,
    now: Timestamp,
) -> Result<bool, Fault> {
    let key = keys::prefix_block(place.account, &place.prefix);
    let known = reading.glance(&key).await?;
    Ok(known.is_some_and(|known| known.lifted && known.remaining(now).is_some()))
}

/// Writes the block and tells of it; until when the prefix is blocked, by whomever. `None` if the account vouches for it since a
/// moment ago.
async fn block(
    app: &App,
    asked: &Admittance<'_>,
    place: &AccountPrefix,
    rule: &ConversionRule,
    found: Conversion,
) -> Result<Option<Timestamp>, Fault> {
    let key = keys::prefix_block(place.account, &place.prefix);
    let mut reading = Reading::new(app);
    if let Some(known) = reading.get(&key).await?
        && let Some(until) = until(&known, asked.now)
    {
        return Ok((!known.lifted).then_some(until));
    }
    let block = PrefixBlock {
        reason: BlockReason::LowConversion,
        since: asked.now,
        until: asked.now + rule.block,
        sends: found.sends,
        converted: found.converted,
        lifted: false,
    };
    let batch = Batch::new().put_record_until(key, &block, block.until)?;
    let subject = Subject::Prefix(place.prefix.clone());
    let event = event(asked, block.reason, &subject, Some(block.until));
    reading
        .commit(announce_block(app, asked.service, &event, batch)?)
        .await?;
    log(&event);
    Ok(Some(block.until))
}

/// What the store says of the sends that memory knows no conversion of: they may have been approved by way of another
/// process, gone to a number that is a safe one by now, or never left because the senders failed, for which the numbers are
/// not to blame. What was sent before the account vouched for the prefix, by way of whichever process, is `forgiven`.
async fn look_up(
    app: &App,
    place: &AccountPrefix,
    forgiven: Option<Timestamp>,
    now: Timestamp,
) -> Result<Conversion, Fault> {
    let fraud = &app.memory.fraud;
    let matured: Vec<Sends> = fraud.conversions().matured(place, now).collect();
    let (before, matured): (Vec<_>, Vec<_>) = matured
        .into_iter()
        .partition(|sends| forgiven.is_some_and(|forgiven| sends.at <= forgiven));
    for sends in before {
        fraud.conversions().forget(place, sends.verification);
    }
    let (mut reading, mut found) = (Reading::new(app), Conversion::default());
    let unconverted = matured.iter().filter(|sends| !sends.converted);
    let keys: Vec<_> = unconverted
        .map(|sends| keys::verification(sends.service, sends.verification))
        .collect();
    reading.prefetch(keys.iter().map(keys::Key::bytes)).await?;
    for sends in matured {
        if sends.converted {
            found.add(sends.count, true);
            continue;
        }
        let key = keys::verification(sends.service, sends.verification);
        let Some(verification) = reading.glance(&key).await? else {
            found.add(sends.count, false);
            continue;
        };
        if is_approved(&verification) {
            fraud.conversions().converted(place, sends.verification);
            found.add(sends.count, true);
            continue;
        }
        let safe = match verification.destination.phone() {
            Some(number) => safe_list::contains(&mut reading, place.account, number).await?,
            None => false,
        };
        let (left, waits) = sendings(&mut reading, &verification).await?;
        if safe || (left == 0 && !waits) {
            fraud.conversions().forget(place, sends.verification);
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
async fn sendings(reading: &mut Reading<'_>, verification: &Verification) -> Result<(u32, bool), Fault> {
    let tries = verification.sends.iter().flat_map(|sending| &sending.tries);
    let keys: Vec<_> = tries
        .map(|tried| keys::attempt(verification.account, tried.attempt))
        .collect();
    reading.prefetch(keys.iter().map(keys::Key::bytes)).await?;
    let (mut left, mut waits) = (0, false);
    for sending in &verification.sends {
        match state(reading, verification, sending).await? {
            Some(AttemptStatus::Sent) => left += 1,
            Some(AttemptStatus::Queued) => waits = true,
            Some(AttemptStatus::Failed { .. } | AttemptStatus::Canceled) | None => {}
        }
    }
    Ok((left, waits))
}

/// The best of what became of a sending's tries.
async fn state(
    reading: &mut Reading<'_>,
    verification: &Verification,
    sending: &Sending,
) -> Result<Option<AttemptStatus>, Fault> {
    let mut best = None;
    for tried in &sending.tries {
        let key = keys::attempt(verification.account, tried.attempt);
        match reading.glance(&key).await?.map(|attempt| attempt.status) {
            Some(AttemptStatus::Sent) => return Ok(Some(AttemptStatus::Sent)),
            Some(AttemptStatus::Queued) => best = Some(AttemptStatus::Queued),
            other => best = best.or(other),
        }
    }
    Ok(best)
}
