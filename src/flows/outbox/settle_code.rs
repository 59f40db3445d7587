//! Takes in what came of giving a code to a sender: the attempt says what became of it, and what one sender did not take
//! goes to the next one, all in the commit that settles the row.
//!
//! - A code that its sender did not take is handed to the first sender that was not tried yet and is not left alone: a new
//!   attempt, a new try of the sending, a row in the other sender's lane.
//! - Are there none, it waits and goes round among those that did not refuse it for good, until the code is over.
//! - When all have refused it, when it was tried as often as may be, or when the account's money is spent, it is a dead
//!   letter.

use std::time::Duration;

use super::deliver::{Tried, Untried};
use super::give_up::give_up;
use super::settle_delivery::Settled;
use super::write_row;
use crate::app::App;
use crate::delivery::Outcome;
use crate::delivery::codes::ConfiguredSender;
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::events::{OutboxMessage, OutboxRow, QueuedCode};
use crate::domain::outbox::Reason;
use crate::domain::sender_name::SenderName;
use crate::domain::time::Timestamp;
use crate::domain::verification::{Sending, Try, Verification};
use crate::flows::Error;
use crate::flows::code_delivery::attempts::{new_attempt, price, put_attempt, put_new_attempt};
use crate::flows::code_delivery::deliver_code::due;
use crate::flows::code_delivery::learning::learn;
use crate::flows::code_delivery::route::{Candidate, rank};
use crate::flows::toll_fraud::charge::{Charge, charge};
use crate::flows::verification::put_verification;
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// Remembers, once for each try, how the sender did.
pub(super) async fn note(app: &App, code: &QueuedCode, tried: &Tried) -> Result<(), Error> {
    if tried.code.untried.is_some() {
        return Ok(());
    }
    let key = keys::attempt(code.account, code.attempt);
    if let Some(found) = records::read(app.store.as_ref(), &key).await? {
        learn(app, &found.record, &tried.outcome);
    }
    Ok(())
}

/// Settles `row`, which carries a code, in `batch`, which asserts it. What the next try costs is kept by whoever commits the
/// batch.
pub(super) async fn settle_code(
    app: &App,
    row: OutboxRow,
    tried: &Tried,
    batch: Batch,
) -> Result<(Batch, Settled, Charge), Error> {
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
    match &tried.outcome {
        Outcome::Delivered => settling.sent(tried, batch).map(for_nothing),
        Outcome::Obsolete => settling.canceled(batch).map(for_nothing),
        Outcome::Refused { why } => {
            let why = Vain {
                why: Reason::new(why),
                for_good: true,
                after: None,
                untried: None,
            };
            settling.failed(verification, &why, batch).await
        }
        Outcome::Retry { why, after } => {
            let why = Vain {
                why: Reason::new(why),
                for_good: false,
                after: *after,
                untried: tried.code.untried,
            };
            settling.failed(verification, &why, batch).await
        }
    }
}

/// What costs nothing.
fn for_nothing((batch, settled): (Batch, Settled)) -> (Batch, Settled, Charge) {
    (batch, settled, Charge::nothing())
}

/// What a code was not taken for.
struct Vain {
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
    fn sent(self, tried: &Tried, batch: Batch) -> Result<(Batch, Settled), Error> {
        let batch = self.delete_row(batch);
        let Some(mut attempt) = self.attempt else {
            return Ok((batch, Settled::Delivered));
        };
        attempt.status = AttemptStatus::Sent;
        attempt.reference.clone_from(&tried.code.reference);
        attempt.locale.clone_from(&tried.code.locale);
        Ok((put_attempt(batch, attempt, self.now)?, Settled::Delivered))
    }

    fn canceled(self, batch: Batch) -> Result<(Batch, Settled), Error> {
        let batch = self.delete_row(batch);
        let batch = match self.attempt {
            Some(mut attempt) if attempt.status == AttemptStatus::Queued => {
                attempt.status = AttemptStatus::Canceled;
                put_attempt(batch, attempt, self.now)?
            }
            _ => batch,
        };
        Ok((batch, Settled::Obsolete))
    }

    async fn failed(
        mut self,
        verification: Option<Stored<Verification>>,
        vain: &Vain,
        batch: Batch,
    ) -> Result<(Batch, Settled, Charge), Error> {
        let found = verification.filter(|v| due(&v.record, self.code.send, self.now).is_some());
        let (Some(found), Some(attempt)) = (found, self.attempt.as_ref()) else {
            // Approved meanwhile, or gone: nobody needs it any more.
            let batch = self.note_failure(vain, batch)?;
            return Ok(for_nothing((self.delete_row(batch), Settled::Obsolete)));
        };
        let sending = &found.record.sends[usize::from(self.code.send)];
        if vain.for_good && !self.code.refused.contains(&self.code.sender) {
            self.code.refused.push(self.code.sender);
        }
        let (service, country) = (self.code.service, attempt.country);
        let ranked = rank(self.app, service, sending.channel, country, self.now).await?;
        let chosen = if sending.tries.len() < Sending::MOST_TRIES {
            choose(&ranked, sending, &self.code, vain)
        } else {
            choose_last(&ranked, &self.code, vain)
        };
        let next = match chosen {
            Some(next) => self.pay(&next, vain).await?.map(|charge| (next, charge)),
            None => None,
        };
        match next {
            Some((Next::AtOnce(sender), charge)) => {
                let now = self.now;
                let (batch, settled) = self.hand_over(&found, &sender, vain, now, batch)?;
                Ok((batch, settled, charge))
            }
            Some((Next::Waits(sender), charge)) => match self.wait(&found, &sender, vain, batch)? {
                // The try that was to be paid is none.
                late @ (_, Settled::TooLate(_)) => Ok(for_nothing(late)),
                (batch, settled) => Ok((batch, settled, charge)),
            },
            None => {
                let batch = self.note_failure(vain, batch)?;
                self.row.message = OutboxMessage::Code(self.code);
                self.row
                    .fail(vain.why.clone(), None, self.now, self.app.entropy.as_ref());
                let batch = give_up(self.app, batch, self.row, &vain.why)?;
                Ok(for_nothing((batch, Settled::Refused)))
            }
        }
    }

    /// Takes the price of the try that `next` makes; `None` if the account's money is not enough.
    async fn pay(&self, next: &Next, vain: &Vain) -> Result<Option<Charge>, Error> {
        let (Next::AtOnce(sender) | Next::Waits(sender)) = next;
        if vain.untried.is_some() && sender.name == self.code.sender {
            // It is the try that was paid already.
            return Ok(Some(Charge::nothing()));
        }
        let price = sender.price.map(price);
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
        vain: &Vain,
        batch: Batch,
    ) -> Result<(Batch, Settled), Error> {
        let entropy = self.app.entropy.as_ref();
        self.row.fail(vain.why.clone(), vain.after, self.now, entropy);
        if let (Some(Untried::Fault(until) | Untried::LeftAlone(until)), true) =
            (vain.untried, sender.name == self.code.sender)
        {
            self.row.next_at = until;
        }
        let until = self.row.next_at;
        if until >= self.code.expires_at {
            // The code is over by then.
            let batch = self.note_failure(vain, batch)?;
            return Ok((self.delete_row(batch), Settled::TooLate(vain.why.clone())));
        }
        if sender.name != self.code.sender {
            return self.hand_over(found, sender, vain, until, batch);
        }
        let batch = if vain.untried.is_some() {
            batch
        } else {
            let batch = self.note_failure(vain, batch)?;
            let (code, batch) = self.another_try(found, sender, batch)?;
            self.row.message = OutboxMessage::Code(code);
            batch
        };
        let settled = Settled::Waits {
            until,
            why: vain.why.clone(),
            asked: vain.after,
        };
        Ok((write_row(batch, &self.row)?, settled))
    }

    /// Puts a row into the lane of `sender` in place of this one.
    fn hand_over(
        self,
        found: &Stored<Verification>,
        sender: &ConfiguredSender,
        vain: &Vain,
        next_at: Timestamp,
        batch: Batch,
    ) -> Result<(Batch, Settled), Error> {
        let batch = self.note_failure(vain, self.delete_row(batch))?;
        let (code, batch) = self.another_try(found, sender, batch)?;
        let order = &self.app.memory.event_order;
        let row = OutboxRow {
            sid: order.next(self.now, self.app.entropy.as_ref()),
            date_created: self.row.date_created,
            message: OutboxMessage::Code(code),
            attempts: self.row.attempts.saturating_add(1),
            next_at,
            lease: None,
            last_error: Some(vain.why.clone()),
        };
        Ok((write_row(batch, &row)?, Settled::Handed))
    }

    /// Writes another attempt, with `sender`, and adds it to the tries of the sending; what carries it.
    fn another_try(
        &self,
        found: &Stored<Verification>,
        sender: &ConfiguredSender,
        batch: Batch,
    ) -> Result<(QueuedCode, Batch), Error> {
        let (app, send) = (self.app, self.code.send);
        let mut verification = found.record.clone();
        let country = self.attempt.as_ref().and_then(|attempt| attempt.country);
        let attempt = new_attempt(app, (&verification, send), sender, country, self.now)?;
        if let Some(sending) = verification.sends.get_mut(usize::from(send)) {
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

    fn note_failure(&self, vain: &Vain, batch: Batch) -> Result<Batch, Error> {
        let Some(mut attempt) = self.attempt.clone() else {
            return Ok(batch);
        };
        attempt.status = AttemptStatus::Failed {
            why: vain.why.clone(),
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
fn choose_last(ranked: &[Candidate], code: &QueuedCode, vain: &Vain) -> Option<Next> {
    let mut ranked = ranked.iter();
    let same = ranked.find(|candidate| candidate.sender.name == code.sender)?;
    vain.untried.map(|_| Next::Waits(same.sender.clone()))
}

/// First those that were not tried and are not left alone, in their order; then, after a pause, whoever did not refuse it,
/// those that are not left alone before the others, the one whose last try is longest ago before all. A fault of this
/// server is no reason for another sender.
fn choose(ranked: &[Candidate], sending: &Sending, code: &QueuedCode, vain: &Vain) -> Option<Next> {
    let fits = |candidate: &&Candidate| !code.refused.contains(&candidate.sender.name);
    let same = || {
        ranked
            .iter()
            .find(|candidate| candidate.sender.name == code.sender)
    };
    let waits = |candidate: &Candidate| Some(Next::Waits(candidate.sender.clone()));
    if let (Some(Untried::Fault(_)), Some(candidate)) = (vain.untried, same()) {
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
        Some(candidate) if !next.available && vain.untried.is_some() => waits(candidate),
        _ => waits(next),
    }
}
