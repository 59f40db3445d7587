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
use super::route::{Candidate, rank};
use crate::app::App;
use crate::delivery::Outcome;
use crate::delivery::codes::ConfiguredSender;
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::events::{OutboxMessage, OutboxRow, QueuedCode};
use crate::domain::outbox::Reason;
use crate::domain::sender_name::SenderName;
use crate::domain::time::Timestamp;
use crate::domain::verification::{Sending, Try, Verification};
use crate::flows::fraud::{Charge, charge};
use crate::flows::outbox::{Settled, commit_and_ring, give_up, put_row, still_leased};
use crate::flows::{Error, retry_on_conflict};
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// Settles the row of `parcel` by what came of its try.
pub(super) async fn settle(
    app: &App,
    parcel: &CodeParcel,
    leased: &OutboxRow,
    outcome: &Outcome,
) -> Result<Settled, Error> {
    if parcel.note.untried.is_none() {
        note(app, &parcel.code, outcome).await?;
    }
    retry_on_conflict(|| attempt(app, parcel, leased, outcome)).await
}

/// Remembers, once for each try, how the sender did.
async fn note(app: &App, code: &QueuedCode, outcome: &Outcome) -> Result<(), Error> {
    let key = keys::attempt(code.account, code.attempt);
    if let Some(found) = records::read(app.store.as_ref(), &key).await? {
        learn(app, &found.record, outcome);
    }
    Ok(())
}

async fn attempt(
    app: &App,
    parcel: &CodeParcel,
    leased: &OutboxRow,
    outcome: &Outcome,
) -> Result<Settled, Error> {
    let Some((row, batch)) = still_leased(app, leased).await? else {
        return Ok(Settled::TakenAway);
    };
    let Decision {
        batch,
        settled,
        charge,
    } = decide(app, parcel, row, outcome, batch).await?;
    if settled == Settled::Handed {
        commit_and_ring(app, batch).await?;
    } else {
        app.store.commit(batch).await?;
    }
    charge.keep();
    Ok(settled)
}

/// What becomes of a row, and what the next try costs: that is kept once the batch is committed.
struct Decision {
    batch: Batch,
    settled: Settled,
    charge: Charge,
}

impl Decision {
    /// One that costs nothing.
    fn for_nothing(batch: Batch, settled: Settled) -> Self {
        Self {
            batch,
            settled,
            charge: Charge::nothing(),
        }
    }
}

/// Decides on `row`, which `batch` asserts.
async fn decide(
    app: &App,
    parcel: &CodeParcel,
    row: OutboxRow,
    outcome: &Outcome,
    batch: Batch,
) -> Result<Decision, Error> {
    let OutboxMessage::Code(code) = row.message.clone() else {
        return Err(Error::corrupt(format!("row {} carries no code", row.sid)));
    };
    let store = app.store.as_ref();
    let key = keys::attempt(code.account, code.attempt);
    let attempt: Option<Stored<Attempt>> = records::read(store, &key).await?;
    let verification_key = keys::verification(code.service, code.verification);
    let verification = records::read(store, &verification_key).await?;
    let batch = match &attempt {
        Some(attempt) => batch.assert_read(&key, attempt),
        None => batch,
    };
    let settling = Settling {
        app,
        attempt: attempt.map(|attempt| attempt.record),
        now: app.clock.now(),
        code,
        row,
    };
    match outcome {
        Outcome::Delivered => settling.sent(&parcel.note, batch),
        Outcome::Obsolete => settling.canceled(batch),
        Outcome::Refused { why } => {
            let failure = Failure {
                why: Reason::new(why),
                for_good: true,
                after: None,
                untried: None,
            };
            settling.failed(verification, &failure, batch).await
        }
        Outcome::Retry { why, after } => {
            let failure = Failure {
                why: Reason::new(why),
                for_good: false,
                after: *after,
                untried: parcel.note.untried,
            };
            settling.failed(verification, &failure, batch).await
        }
    }
}

/// What a code was not taken for.
struct Failure {
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
    row: OutboxRow,
    code: QueuedCode,
    attempt: Option<Attempt>,
    now: Timestamp,
}

impl Settling<'_> {
    fn sent(self, note: &CodeNote, batch: Batch) -> Result<Decision, Error> {
        let batch = self.delete_row(batch);
        let Some(mut attempt) = self.attempt else {
            return Ok(Decision::for_nothing(batch, Settled::Delivered));
        };
        attempt.status = AttemptStatus::Sent;
        attempt.reference.clone_from(&note.reference);
        attempt.locale.clone_from(&note.locale);
        let batch = put_attempt(batch, attempt, self.now)?;
        Ok(Decision::for_nothing(batch, Settled::Delivered))
    }

    fn canceled(self, batch: Batch) -> Result<Decision, Error> {
        let batch = self.delete_row(batch);
        let batch = match self.attempt {
            Some(mut attempt) if attempt.status == AttemptStatus::Queued => {
                attempt.status = AttemptStatus::Canceled;
                put_attempt(batch, attempt, self.now)?
            }
            _ => batch,
        };
        Ok(Decision::for_nothing(batch, Settled::Obsolete))
    }

    async fn failed(
        mut self,
        verification: Option<Stored<Verification>>,
        failure: &Failure,
        batch: Batch,
    ) -> Result<Decision, Error> {
        let found = verification.filter(|v| due(&v.record, self.code.send, self.now).is_some());
        let (Some(found), Some(attempt)) = (found, self.attempt.as_ref()) else {
            // Approved meanwhile, or gone: nobody needs it any more.
            let batch = self.note_failure(failure, batch)?;
            return Ok(Decision::for_nothing(self.delete_row(batch), Settled::Obsolete));
        };
        let sending = &found.record.sends[usize::from(self.code.send)];
        if failure.for_good && !self.code.refused.contains(&self.code.sender) {
            self.code.refused.push(self.code.sender);
        }
        let (service, country) = (self.code.service, attempt.country);
        let ranked = rank(self.app, service, sending.channel, country, self.now).await?;
        let chosen = if sending.tries.len() < Sending::MOST_TRIES {
            choose(&ranked, sending, &self.code, failure)
        } else {
            choose_last(&ranked, &self.code, failure)
        };
        let next = match chosen {
            Some(next) => self.pay(&next, failure).await?.map(|charge| (next, charge)),
            None => None,
        };
        match next {
            Some((Next::AtOnce(sender), charge)) => {
                let now = self.now;
                let (batch, settled) = self.hand_over(&found, &sender, failure, now, batch)?;
                Ok(Decision {
                    batch,
                    settled,
                    charge,
                })
            }
            Some((Next::Waits(sender), charge)) => match self.wait(&found, &sender, failure, batch)? {
                // The try that was to be paid is none.
                (batch, late @ Settled::TooLate(_)) => Ok(Decision::for_nothing(batch, late)),
                (batch, settled) => Ok(Decision {
                    batch,
                    settled,
                    charge,
                }),
            },
            None => {
                let batch = self.note_failure(failure, batch)?;
                self.row.message = OutboxMessage::Code(self.code);
                self.row
                    .fail(failure.why.clone(), None, self.now, self.app.entropy.as_ref());
                let batch = give_up(self.app, batch, self.row, &failure.why)?;
                Ok(Decision::for_nothing(batch, Settled::Refused))
            }
        }
    }

    /// Takes the price of the try that `next` makes; `None` if the account's money is not enough.
    async fn pay(&self, next: &Next, failure: &Failure) -> Result<Option<Charge>, Error> {
        let (Next::AtOnce(sender) | Next::Waits(sender)) = next;
        if failure.untried.is_some() && sender.name == self.code.sender {
            // It is the try that was paid already.
            return Ok(Some(Charge::nothing()));
        }
        let price = sender.price;
        match charge(self.app, self.code.account, price, self.now).await {
            Ok(charge) => Ok(Some(charge)),
            Err(Error::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets it wait for its next try with `sender`: the one it had, or another one whose turn it is then.
    fn wait(
        mut self,
        found: &Stored<Verification>,
        sender: &ConfiguredSender,
        failure: &Failure,
        batch: Batch,
    ) -> Result<(Batch, Settled), Error> {
        let entropy = self.app.entropy.as_ref();
        self.row
            .fail(failure.why.clone(), failure.after, self.now, entropy);
        if let (Some(Untried::Fault(until) | Untried::LeftAlone(until)), true) =
            (failure.untried, sender.name == self.code.sender)
        {
            self.row.next_at = until;
        }
        let until = self.row.next_at;
        if until >= self.code.expires_at {
            // The code is over by then.
            let batch = self.note_failure(failure, batch)?;
            return Ok((self.delete_row(batch), Settled::TooLate(failure.why.clone())));
        }
        if sender.name != self.code.sender {
            return self.hand_over(found, sender, failure, until, batch);
        }
        let batch = if failure.untried.is_some() {
            batch
        } else {
            let batch = self.note_failure(failure, batch)?;
            let (code, batch) = self.another_try(found, sender, batch)?;
            self.row.message = OutboxMessage::Code(code);
            batch
        };
        let settled = Settled::Waits {
            until,
            why: failure.why.clone(),
            asked: failure.after,
        };
        Ok((put_row(batch, &self.row)?, settled))
    }

    /// Puts a row into the lane of `sender` in place of this one.
    fn hand_over(
        self,
        found: &Stored<Verification>,
        sender: &ConfiguredSender,
        failure: &Failure,
        next_at: Timestamp,
        batch: Batch,
    ) -> Result<(Batch, Settled), Error> {
        let batch = self.note_failure(failure, self.delete_row(batch))?;
        let (code, batch) = self.another_try(found, sender, batch)?;
        let order = &self.app.memory.event_order;
        let row = OutboxRow {
            sid: order.next(self.now, self.app.entropy.as_ref()),
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
    fn another_try(
        &self,
        found: &Stored<Verification>,
        sender: &ConfiguredSender,
        batch: Batch,
    ) -> Result<(QueuedCode, Batch), Error> {
        let app = self.app;
        let mut verification = found.record.clone();
        let country = self.attempt.as_ref().and_then(|attempt| attempt.country);
        let of = SendingAt {
            verification: &verification,
            position: self.code.send,
        };
        let attempt = new_attempt(app, of, sender, country, self.now)?;
        if let Some(sending) = verification.sends.get_mut(usize::from(self.code.send)) {
            sending.tries.push(Try {
                attempt: attempt.sid,
                sender: sender.name,
                at: self.now,
            });
        }
        let key = keys::verification(self.code.service, self.code.verification);
        let batch = batch.assert_read(&key, found);
        let batch = put_verification(batch, Some(&found.record), &verification)?;
        let batch = put_new_attempt(batch, &attempt)?;
        let code = QueuedCode {
            attempt: attempt.sid,
            sender: sender.name,
            ..self.code.clone()
        };
        Ok((code, batch))
    }

    fn note_failure(&self, failure: &Failure, batch: Batch) -> Result<Batch, Error> {
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
fn choose_last(ranked: &[Candidate], code: &QueuedCode, failure: &Failure) -> Option<Next> {
    let mut ranked = ranked.iter();
    let same = ranked.find(|candidate| candidate.sender.name == code.sender)?;
    failure.untried.map(|_| Next::Waits(same.sender.clone()))
}

/// First those that were not tried and are not left alone, in their order; then, after a pause, whoever did not refuse it,
/// those that are not left alone before the others, the one whose last try is longest ago before all. A fault of this
/// server is no reason for another sender.
fn choose(ranked: &[Candidate], sending: &Sending, code: &QueuedCode, failure: &Failure) -> Option<Next> {
    let fits = |candidate: &&Candidate| !code.refused.contains(&candidate.sender.name);
    let same = || {
        ranked
            .iter()
            .find(|candidate| candidate.sender.name == code.sender)
    };
    let waits = |candidate: &Candidate| Some(Next::Waits(candidate.sender.clone()));
    if let (Some(Untried::Fault(_)), Some(candidate)) = (failure.untried, same()) {
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
