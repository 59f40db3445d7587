//! What is learnt from tries: how the senders do, and whether the codes that they are given come back.

use super::records::put_attempt;
use crate::app::App;
use crate::crypto::short_digest::short_digest;
use crate::delivery::DeliveryOutcome;
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::circuit::TryTarget;
use crate::domain::code_routing::ConversionWindow;
use crate::domain::destination::Destination;
use crate::domain::outbox::Reason;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::flows::reading::Reading;
use crate::flows::{Fault, account, fraud, readable};
use crate::memory::conversions::SenderConversions;
use crate::store::keys::{self, Key};
use crate::store::{Batch, Order, Scan, records};

/// Learns from what came of `attempt`. To be called once for each.
pub(crate) fn learn(app: &App, attempt: &Attempt, outcome: &DeliveryOutcome) {
    let (sender, memory) = (attempt.sender, &app.memory);
    match outcome {
        DeliveryOutcome::Obsolete => {}
        DeliveryOutcome::Delivered => {
            memory.senders.sent(sender);
            if memory.sender_breakers.succeeded(sender) {
                tracing::info!("the sender {sender} takes codes again");
            }
            sent(&memory.conversions, attempt);
        }
        // It is about one message, so the sender works. But one that refuses everything is as bad as one whose messages
        // get lost.
        DeliveryOutcome::Refused { .. } => {
            memory.senders.failed(sender);
            memory.sender_breakers.succeeded(sender);
            sent(&memory.conversions, attempt);
        }
        // What is about one recipient only is weighed by the circuit: others' codes do not wait for it.
        DeliveryOutcome::Retry { why, after, about } => {
            memory.senders.failed(sender);
            let target = target(attempt.account, &attempt.destination);
            let now = app.clock.now();
            if memory
                .sender_breakers
                .failed(sender, &target, *about, *after, now)
            {
                let why = Reason::new(why);
                tracing::warn!(
                    "the sender {sender} fails: {why}; codes go to other senders, and it is tried again now and then"
                );
            }
        }
    }
}

/// For whom a code to `destination` is: all addresses of a mail domain are one group, as one server answers for them.
pub(super) fn target(account: AccountSid, destination: &Destination) -> TryTarget {
    TryTarget {
        account,
        recipient: short_digest(&destination.to_key()),
        group: short_digest(&destination.group_key()),
    }
}

/// The sender was given the code of `attempt`, and answered.
fn sent(conversions: &SenderConversions, attempt: &Attempt) {
    conversions.tried(attempt.sender, attempt.country, attempt.date_created);
}

/// The verification was approved by what `attempt` brought.
pub(super) fn converted(conversions: &SenderConversions, attempt: &Attempt) {
    conversions.converted(attempt.sender, attempt.country, attempt.date_created);
}

/// Tells those who learn from conversions that `verification` was approved by what `attempt` brought, once that is in the
/// store.
pub(crate) fn tell_conversion(app: &App, verification: &Verification, attempt: Option<&Attempt>) {
    if let Some(attempt) = attempt {
        converted(&app.memory.conversions, attempt);
        if let (AttemptStatus::Sent, Some(now)) = (&attempt.status, attempt.converted_at) {
            // As it was read: dated when it was sent, or when its provider told more of it.
            let took = now.since(attempt.date_updated);
            app.memory.routes.answered(attempt.sender, took);
        }
        fraud::converted(app, verification);
    }
}

/// The key of the attempt that is to be noted when `verification` is approved: for whoever reads more in the same round
/// trip.
pub(crate) fn key_to_convert(verification: &Verification) -> Option<Key<Attempt>> {
    let last = verification.sends.last().and_then(|send| send.tries.last());
    last.map(|last| keys::attempt(verification.account, last.attempt))
}

/// Adds to `batch` that the last try of the last sending led to the approval at `now`; the attempt, if there is one.
pub(crate) async fn note_conversion(
    reading: &mut Reading<'_>,
    verification: &Verification,
    now: Timestamp,
    batch: Batch,
) -> Result<(Batch, Option<Attempt>), Fault> {
    let Some(key) = key_to_convert(verification) else {
        return Ok((batch, None));
    };
    // One that cannot be read keeps nobody out who has the right code.
    let Some(mut attempt) = readable(reading.get(&key).await)? else {
        return Ok((batch, None));
    };
    attempt.converted_at = Some(now);
    let batch = put_attempt(batch, attempt.clone(), now)?;
    Ok((batch, Some(attempt)))
}

/// Learns anew from what was written, by an earlier process or by others that share the store: of each account its last tries,
/// an hour back at the most. There are at the most 20,000 altogether, of which each account has its share and what those before
/// it left of theirs.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn learn_from_stored(app: &App) -> Result<(), Fault> {
    const CHUNK: usize = 200;
    let oldest = app.clock.now().before(ConversionWindow::LENGTH);
    let accounts = account::list(app).await?;
    let (mut left, mut others, learnt) = (20_000_usize, accounts.len(), SenderConversions::default());
    for account in accounts {
        let mut share = left.div_ceil(others);
        left -= share;
        others -= 1;
        let prefix = keys::attempts(account.sid);
        let mut after = None;
        loop {
            let scan = Scan {
                prefix: prefix.bytes().to_vec(),
                after: after.take(),
                order: Order::Descending,
                limit: CHUNK.min(share),
            };
            let found = Reading::new(app).scan_past(scan).await?;
            share -= found.len();
            let more = found.len() == CHUNK && share > 0;
            after = found.last().map(|(key, _)| key.clone());
            let mut reached_the_end = false;
            for (_, entry) in found {
                let attempt: Attempt = records::decode(&entry.value)?;
                reached_the_end |= attempt.date_created < oldest;
                take_in(&learnt, &attempt, oldest);
            }
            if reached_the_end || !more {
                break;
            }
        }
        left += share;
    }
    app.memory.conversions.replace(learnt);
    Ok(())
}

fn take_in(learnt: &SenderConversions, attempt: &Attempt, oldest: Timestamp) {
    let counts = match attempt.status {
        AttemptStatus::Failed { .. } | AttemptStatus::Sent => attempt.date_created >= oldest,
        AttemptStatus::Canceled | AttemptStatus::Queued => false,
    };
    if counts {
        sent(learnt, attempt);
        if attempt.converted_at.is_some() {
            converted(learnt, attempt);
        }
    }
}
