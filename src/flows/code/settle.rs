//! Takes in what came of giving a code to a sender: the attempt says what became of it, and what one sender did not take
//! goes to the next one, all in the commit that settles the row.
//!
//! - A code that its sender did not take is handed to the first sender that was not tried yet and is not left alone: a new
//!   attempt, a new try of the sending, a row in the other sender's lane.
//! - Are there none, it waits and goes round among those that did not refuse it for good, until the code is over.
//! - When all have refused it, when it was tried as often as may be, or when the account's money is spent, it is a dead
//!   letter.

use std::time::Duration;

use super::deliver::{CodeNote, CodeParcel, Untried, due};
use super::learn::learn;
use super::records::{SendingAt, new_attempt, put_attempt, put_new_attempt, put_verification};
use super::route::{Candidate, Way, rank};
use super::send::row_sid;
use crate::app::App;
use crate::delivery::DeliveryOutcome;
use crate::delivery::codes::ConfiguredSender;
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::events::{OutboxMessage, OutboxRow, QueuedCode};
use crate::domain::outbox::Reason;
use crate::domain::sender_name::SenderName;
use crate::domain::time::Timestamp;
use crate::domain::verification::{Sending, Try, Verification};
use crate::flows::fraud::{Charge, charge};
use crate::flows::outbox::{Settled, give_up, put_row, still_leased};
use crate::flows::reading::Reading;
use crate::flows::{Fault, readable, retry_on_conflict};
use crate::store::{Batch, StoreError, keys};

/// Settles the row of `parcel` by what came of its try.
pub(super) async fn settle(
    app: &App,
    parcel: &CodeParcel,
    leased: &OutboxRow,
    outcome: &DeliveryOutcome,
) -> Result<Settled, Fault> {
    if parcel.note.untried.is_none() && !parcel.note.refused_here {
        note(app, parcel, outcome).await?;
    }
    retry_on_conflict(app, || attempt(app, parcel, leased, outcome)).await
}

/// Remembers, once for each try, how the sender did.
async fn note(app: &App, parcel: &CodeParcel, outcome: &DeliveryOutcome) -> Result<(), Fault> {
    let code = &parcel.code;
    let key = keys::attempt(code.account, code.attempt);
    if let Some(attempt) = readable(Reading::new(app).glance(&key).await)? {
        learn(app, &attempt, outcome);
    }
    Ok(())
}

async fn attempt(
    app: &App,
    parcel: &CodeParcel,
    leased: &OutboxRow,
    outcome: &DeliveryOutcome,
) -> Result<Settled, Fault> {
    let code = &parcel.code;
    let mut reading = Reading::new(app);
    let row = keys::outbox_row(leased.message.lane(), leased.sid);
    let attempt = keys::attempt(code.account, code.attempt);
    let verification = keys::verification(code.service, code.verification);
    reading
        .prefetch([row.bytes(), attempt.bytes(), verification.bytes()])
        .await?;
    let Some(row) = still_leased(&mut reading, leased).await? else {
        return Ok(Settled::TakenAway);
    };
    let attempt = reading.get(&attempt).await;
    // What needs no other try does without the attempt; for another one, all that it is about has to be readable.
    let attempt = match outcome {
        DeliveryOutcome::Delivered | DeliveryOutcome::Obsolete => readable(attempt)?,
        DeliveryOutcome::Refused { .. } | DeliveryOutcome::Retry { .. } => attempt?,
    };
    let mut settling = Settling {
        app,
        attempt,
        reading,
        now: app.clock.now(),
        code: code.clone(),
        row,
        charge: Charge::nothing(),
    };
    let (batch, settled) = settling.decide(parcel, outcome).await?;
    let Settling { reading, charge, .. } = settling;
    let batch = charge.put(batch)?;
    if settled == Settled::Handed {
        reading.commit(batch).await?;
    } else {
        reading.commit_without_waking(batch).await?;
    }
    charge.keep();
    Ok(settled)
}

/// What a code was not taken for.
struct FailedTry {
    why: Reason,
    /// The sender will never take it.
    for_good: bool,
    /// How long the sender wants to be left alone.
    after: Option<Duration>,
    /// The sender was not asked.
    untried: Option<Untried>,
}

struct Settling<'a> {
    app: &'a App,
    reading: Reading<'a>,
    row: OutboxRow,
    code: QueuedCode,
    attempt: Option<Attempt>,
    /// What the next try costs.
    charge: Charge<'a>,
    now: Timestamp,
}

impl Settling<'_> {
    async fn decide(
        &mut self,
        parcel: &CodeParcel,
        outcome: &DeliveryOutcome,
    ) -> Result<(Batch, Settled), Fault> {
        let (why, for_good, after) = match outcome {
            DeliveryOutcome::Delivered => return self.sent(&parcel.note),
            DeliveryOutcome::Obsolete => return self.canceled(),
            DeliveryOutcome::Refused { why } => (why, true, None),
            DeliveryOutcome::Retry { why, after, .. } => (why, false, *after),
        };
        let failure = FailedTry {
            why: Reason::new(why),
            for_good,
            after,
            untried: parcel.note.untried.filter(|_| !for_good),
        };
        self.failed(&failure).await
    }

    fn sent(&self, note: &CodeNote) -> Result<(Batch, Settled), Fault> {
        let batch = self.delete_row(Batch::new());
        let Some(mut attempt) = self.attempt.clone() else {
            return Ok((batch, Settled::Delivered));
        };
        attempt.status = AttemptStatus::Sent;
        attempt.reference.clone_from(&note.reference);
        attempt.locale.clone_from(&note.locale);
        Ok((put_attempt(batch, attempt, self.now)?, Settled::Delivered))
    }

    fn canceled(&self) -> Result<(Batch, Settled), Fault> {
        let batch = self.delete_row(Batch::new());
        let batch = match self.attempt.clone() {
            Some(mut attempt) if attempt.status == AttemptStatus::Queued => {
                attempt.status = AttemptStatus::Canceled;
                put_attempt(batch, attempt, self.now)?
            }
            _ => batch,
        };
        Ok((batch, Settled::Obsolete))
    }

    async fn failed(&mut self, failure: &FailedTry) -> Result<(Batch, Settled), Fault> {
        let key = keys::verification(self.code.service, self.code.verification);
        let found = self.reading.glance(&key).await?;
        let found = found.filter(|found| due(found, self.code.send, self.now).is_some());
        let (Some(verification), Some(attempt)) = (found, self.attempt.as_ref()) else {
            // Approved meanwhile, or gone: nobody needs it any more.
            let batch = self.note_failure(failure, Batch::new())?;
            return Ok((self.delete_row(batch), Settled::Obsolete));
        };
        let sending = &verification.sends[usize::from(self.code.send)];
        if failure.for_good && !self.code.refused.contains(&self.code.sender) {
            self.code.refused.push(self.code.sender);
        }
        let way = Way {
            account: self.code.account,
            service: self.code.service,
            channel: sending.channel,
            country: attempt.country,
        };
        let ranked = rank(self.app, &mut self.reading, way, self.now).await?;
        let chosen = if sending.tries.len() < Sending::MOST_TRIES {
            choose(&ranked, sending, &self.code, failure)
        } else {
            choose_last(&ranked, &self.code, failure)
        };
        let next = match chosen {
            Some(next) if self.pay(&next, failure).await? => Some(next),
            _ => None,
        };
        match next {
            Some(Next::AtOnce(sender)) => self.hand_over(&verification, &sender, failure, self.now).await,
            Some(Next::Waits(sender)) => self.wait(&verification, &sender, failure).await,
            None => {
                let batch = self.note_failure(failure, Batch::new())?;
                let mut row = self.row.clone();
                row.message = OutboxMessage::Code(self.code.clone());
                row.fail(failure.why.clone(), None, self.now, self.app.entropy.as_ref());
                Ok((give_up(self.app, batch, row, &failure.why)?, Settled::Refused))
            }
        }
    }

    /// Takes the price of the try that `next` makes; whether the account's money is enough.
    async fn pay(&mut self, next: &Next, failure: &FailedTry) -> Result<bool, Fault> {
        let (Next::AtOnce(sender) | Next::Waits(sender)) = next;
        if failure.untried.is_some() && sender.name == self.code.sender {
            // It is the try that was paid already.
            return Ok(true);
        }
        let price = sender.price;
        match charge(self.app, &mut self.reading, self.code.account, price, self.now).await? {
            Ok(charge) => {
                self.charge = charge;
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    /// Lets it wait for its next try with `sender`: the one it had, or another one whose turn it is then.
    async fn wait(
        &mut self,
        verification: &Verification,
        sender: &ConfiguredSender,
        failure: &FailedTry,
    ) -> Result<(Batch, Settled), Fault> {
        let entropy = self.app.entropy.as_ref();
        let tries = self.row.attempts;
        self.row
            .fail(failure.why.clone(), failure.after, self.now, entropy);
        if let Some(untried) = failure.untried {
            // Who was not tried is still one of those who were not.
            self.row.attempts = tries;
            if sender.name == self.code.sender {
                self.row.next_at = untried.until();
            }
        }
        let until = self.row.next_at;
        if until >= self.code.expires_at {
            // The code is over by then, and the try that was to be paid is none.
            self.charge = Charge::nothing();
            let batch = self.note_failure(failure, Batch::new())?;
            return Ok((self.delete_row(batch), Settled::TooLate(failure.why.clone())));
        }
        if sender.name != self.code.sender {
            return self.hand_over(verification, sender, failure, until).await;
        }
        let mut batch = Batch::new();
        if failure.untried.is_none() {
            batch = self.note_failure(failure, batch)?;
            let code;
            (code, batch) = self.another_try(verification, sender, batch).await?;
            self.row.message = OutboxMessage::Code(code);
        }
        let settled = Settled::Waits {
            until,
            why: failure.why.clone(),
            asked: failure.after,
        };
        Ok((put_row(batch, &self.row)?, settled))
    }

    /// Puts a row into the lane of `sender` in place of this one.
    async fn hand_over(
        &mut self,
        verification: &Verification,
        sender: &ConfiguredSender,
        failure: &FailedTry,
        next_at: Timestamp,
    ) -> Result<(Batch, Settled), Fault> {
        let batch = self.note_failure(failure, self.delete_row(Batch::new()))?;
        let (code, batch) = self.another_try(verification, sender, batch).await?;
        let row = OutboxRow {
            sid: row_sid(code.attempt),
            date_created: self.row.date_created,
            message: OutboxMessage::Code(code),
            attempts: self.row.attempts.saturating_add(1),
            next_at,
            lease: None,
            last_error: Some(failure.why.clone()),
        };
        Ok((put_row(batch, &row)?, Settled::Handed))
    }

    /// Writes another attempt, with `sender`, and adds it to the tries of the sending; what carries it.
    async fn another_try(
        &mut self,
        before: &Verification,
        sender: &ConfiguredSender,
        batch: Batch,
    ) -> Result<(QueuedCode, Batch), Fault> {
        // From here on it has to be as it was read.
        let key = keys::verification(self.code.service, self.code.verification);
        self.reading.get(&key).await?;
        let mut verification = before.clone();
        let country = self.attempt.as_ref().and_then(|attempt| attempt.country);
        let of = SendingAt {
            verification: &verification,
            position: self.code.send,
        };
        let attempt = new_attempt(self.app, of, sender, country, self.now)?;
        if let Some(sending) = verification.sends.get_mut(usize::from(self.code.send)) {
            sending.tries.push(Try {
                attempt: attempt.sid,
                sender: sender.name,
                at: self.now,
            });
        }
        let batch = put_verification(batch, Some(before), &verification)?;
        let batch = put_new_attempt(batch, &attempt)?;
        let code = QueuedCode {
            attempt: attempt.sid,
            sender: sender.name,
            ..self.code.clone()
        };
        Ok((code, batch))
    }

    fn note_failure(&self, failure: &FailedTry, batch: Batch) -> Result<Batch, StoreError> {
        let Some(mut attempt) = self.attempt.clone() else {
            return Ok(batch);
        };
        attempt.status = AttemptStatus::Failed {
            why: failure.why.clone(),
        };
        put_attempt(batch, attempt, self.now)
    }

    fn delete_row(&self, batch: Batch) -> Batch {
        batch.delete(keys::outbox_row(self.row.message.lane(), self.row.sid).into_bytes())
    }
}

/// Who gets a code that was not taken.
enum Next {
    AtOnce(std::sync::Arc<ConfiguredSender>),
    Waits(std::sync::Arc<ConfiguredSender>),
}

/// Who gets a code that no further try may be made of: its sender, if the last one was not made.
fn choose_last(ranked: &[Candidate], code: &QueuedCode, failure: &FailedTry) -> Option<Next> {
    let mut ranked = ranked.iter();
    let same = ranked.find(|candidate| candidate.sender.name == code.sender)?;
    failure.untried.map(|_| Next::Waits(same.sender.clone()))
}

/// First those that were not tried and are not left alone, in their order; then, after a pause, whoever did not refuse it,
/// those that are not left alone before the others, the one whose last try is longest ago before all. What lies with this server, or
/// with the recipient, is no reason for another sender.
fn choose(ranked: &[Candidate], sending: &Sending, code: &QueuedCode, failure: &FailedTry) -> Option<Next> {
    let fits = |candidate: &&Candidate| !code.refused.contains(&candidate.sender.name);
    let same = || {
        ranked
            .iter()
            .find(|candidate| candidate.sender.name == code.sender)
    };
    let waits = |candidate: &Candidate| Some(Next::Waits(candidate.sender.clone()));
    if let (Some(Untried::Busy(_) | Untried::Fault(_)), Some(candidate)) = (failure.untried, same()) {
        return waits(candidate);
    }
    let tries = |name: SenderName| sending.tries.iter().rposition(|each| each.sender == name);
    let fresh = |candidate: &&Candidate| candidate.available && tries(candidate.sender.name).is_none();
    if let Some(candidate) = ranked.iter().filter(fits).find(fresh) {
        return Some(Next::AtOnce(candidate.sender.clone()));
    }
    let turn = |candidate: &&Candidate| (!candidate.available, tries(candidate.sender.name));
    let next = ranked.iter().filter(fits).min_by_key(turn)?;
    // Where all are left alone, what was not tried stays where it is.
    match same() {
        Some(candidate) if !next.available && failure.untried.is_some() => waits(candidate),
        _ => waits(next),
    }
}
