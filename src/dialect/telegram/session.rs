//! What the server remembers of a client's session: which messages have come, so that each counts once, and which answers the
//! client has not confirmed yet, so that they can be sent again.
//!
//! Invariant: everything here is bounded, whatever a client sends.

use super::schema::{BAD_MSG_NOTIFICATION, BAD_SERVER_SALT, RPC_RESULT};
use super::tl::{TlReader, TlWriter};
use crate::domain::time::Timestamp;

/// A session of one key.
#[derive(Debug, Default)]
pub struct Session {
    /// In the order of their identifiers.
    received: Vec<ReceivedMessage>,
    /// Nothing up to here is told apart any more.
    forgotten: i64,
    /// What came up to here was in another session that was forgotten; a client whose clock is right sends nothing such.
    floor: i64,
    /// It was forgotten while somebody had it.
    closed: bool,
    /// Which connection it is spoken on.
    speaking: u64,
    sent: Vec<SentMessage>,
    last_sent: i64,
    numbered: u32,
    announced: bool,
    /// Which version of the schema the client speaks, if it said so.
    pub layer: Option<u32>,
}

/// A message that has come.
#[derive(Clone, Copy, Debug)]
struct ReceivedMessage {
    id: i64,
    seqno: u32,
    answered: bool,
}

/// A message that was sent and not confirmed.
#[derive(Clone)]
pub struct SentMessage {
    /// Its identifier.
    pub id: i64,
    /// Its number, odd if it is to be confirmed.
    pub seqno: u32,
    /// What it says.
    pub body: Vec<u8>,
    /// Which message it answers, if it answers one.
    pub answers: Option<i64>,
    /// On which connection it went.
    connection: u64,
}

/// What a client is told may name a number and an attempt.
impl std::fmt::Debug for SentMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SentMessage({:x}, {} bytes)", self.id, self.body.len())
    }
}

/// Why a message is not taken; the numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMessage {
    /// Its moment is long past, or the client's clock is wrong.
    TooLow,
    /// Its moment is to come, or the client's clock is wrong.
    TooHigh,
    /// Clients' identifiers are divisible by four.
    NotAClients,
    /// Another container had the same identifier.
    ContainerAgain,
    /// It is so old that nobody knows whether it has come before.
    TooOld,
    /// Its number is not greater than that of an earlier one.
    NumberTooLow,
    /// Its number is not less than that of a later one.
    NumberTooHigh,
    /// It is not to be confirmed, so its number must be even.
    NumberOdd,
    /// It is to be confirmed, so its number must be odd.
    NumberEven,
    /// It is a container that is none.
    Container,
}

/// What a message is to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageArrival {
    /// It is new.
    New,
    /// It has come before.
    Again,
}

impl BadMessage {
    fn code(self) -> i32 {
        match self {
            Self::TooLow => 16,
            Self::TooHigh => 17,
            Self::NotAClients => 18,
            Self::ContainerAgain => 19,
            Self::TooOld => 20,
            Self::NumberTooLow => 32,
            Self::NumberTooHigh => 33,
            Self::NumberOdd => 34,
            Self::NumberEven => 35,
            Self::Container => 64,
        }
    }

    /// What the client is told of its message.
    #[must_use]
    pub fn notification(self, id: i64, seqno: u32) -> Vec<u8> {
        TlWriter::of(BAD_MSG_NOTIFICATION)
            .long(id)
            .word(seqno)
            .int(self.code())
            .done()
    }
}

/// What a client is told whose message had another salt than those of this moment.
#[must_use]
pub fn bad_salt(id: i64, seqno: u32, salt: i64) -> Vec<u8> {
    const CODE: i32 = 48;
    TlWriter::of(BAD_SERVER_SALT)
        .long(id)
        .word(seqno)
        .int(CODE)
        .long(salt)
        .done()
}

/// Whether the identifier is a client's of this moment: it is the time, in units of 2^-32 seconds.
///
/// # Errors
/// [`BadMessage::NotAClients`], [`BadMessage::TooLow`], [`BadMessage::TooHigh`].
pub fn require_timely(id: i64, now: Timestamp) -> Result<(), BadMessage> {
    let Ok(unsigned) = u64::try_from(id) else {
        return Err(BadMessage::NotAClients);
    };
    if !unsigned.is_multiple_of(4) {
        return Err(BadMessage::NotAClients);
    }
    let (seconds, now) = (unsigned >> 32, now.seconds());
    if seconds + LATE < now {
        Err(BadMessage::TooLow)
    } else if seconds > now + EARLY {
        Err(BadMessage::TooHigh)
    } else {
        Ok(())
    }
}

impl Session {
    /// One that takes only messages later than `floor`: what it was before, nobody remembers.
    #[must_use]
    pub fn since(floor: i64) -> Self {
        Self {
            forgotten: floor,
            floor,
            ..Self::default()
        }
    }

    /// Takes a message, once. `confirmed` says whether it is of the kind that is to be confirmed; for some kinds it may be
    /// either.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn take(
        &mut self,
        id: i64,
        seqno: u32,
        confirmed: Option<bool>,
    ) -> Result<MessageArrival, BadMessage> {
        let position = self.received.partition_point(|received| received.id < id);
        if self.received.get(position).is_some_and(|found| found.id == id) {
            return Ok(MessageArrival::Again);
        }
        if id <= self.floor {
            return Err(BadMessage::TooLow);
        }
        if id <= self.forgotten {
            return Err(BadMessage::TooOld);
        }
        let odd = seqno % 2 == 1;
        match confirmed {
            Some(true) if !odd => return Err(BadMessage::NumberEven),
            Some(false) if odd => return Err(BadMessage::NumberOdd),
            _ => {}
        }
        let (before, after) = self.received.split_at(position);
        if odd {
            let is_odd = |received: &&ReceivedMessage| received.seqno % 2 == 1;
            if before
                .iter()
                .rfind(is_odd)
                .is_some_and(|last| last.seqno >= seqno)
            {
                return Err(BadMessage::NumberTooLow);
            }
            if after.iter().find(is_odd).is_some_and(|next| next.seqno <= seqno) {
                return Err(BadMessage::NumberTooHigh);
            }
        }
        let mut position = position;
        if self.received.len() >= MOST_RECEIVED {
            if position == 0 {
                return Err(BadMessage::TooOld);
            }
            let oldest = self.received.remove(0);
            self.forgotten = self.forgotten.max(oldest.id);
            position -= 1;
        }
        let received = ReceivedMessage {
            id,
            seqno,
            answered: false,
        };
        self.received.insert(position, received);
        Ok(MessageArrival::New)
    }

    /// Nothing is taken in it any more: it was forgotten, and who has it still has it alone.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether it was forgotten.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// From now on it is spoken on this connection.
    pub fn speak_on(&mut self, connection: u64) {
        self.speaking = connection;
    }

    /// What was sent on another connection and not confirmed: that connection may have ended before it arrived. From now on it
    /// counts as sent on this one.
    pub fn unheard(&mut self) -> Vec<SentMessage> {
        let speaking = self.speaking;
        let elsewhere = self.sent.iter_mut().filter(|sent| sent.connection != speaking);
        elsewhere
            .map(|sent| {
                sent.connection = speaking;
                sent.clone()
            })
            .collect()
    }

    /// The identifier of the last message that was sent.
    #[must_use]
    pub fn last_sent(&self) -> i64 {
        self.last_sent
    }

    /// Its messages are called later than `last`.
    pub fn go_on_from(&mut self, last: i64) {
        self.last_sent = self.last_sent.max(last);
    }

    /// Whether the client was told that this session is new; from now on it was.
    pub fn announce(&mut self) -> bool {
        std::mem::replace(&mut self.announced, true)
    }

    /// The number of a message that is sent now.
    pub fn number(&mut self, confirmed: bool) -> u32 {
        let number = 2 * self.numbered + u32::from(confirmed);
        self.numbered = self.numbered.wrapping_add(u32::from(confirmed)) & (u32::MAX >> 1);
        number
    }

    /// The identifier of a message that is sent now: greater than all before.
    pub fn next_id(&mut self, now: Timestamp, is_answer: bool) -> i64 {
        let millis = now.millis();
        let fraction = ((millis % 1000) << 32) / 1000;
        let id = i64::try_from((now.seconds() << 32) | fraction).unwrap_or(i64::MAX - 3);
        let kind = if is_answer { 1 } else { 3 };
        let after_last = (self.last_sent & !3).saturating_add(4);
        self.last_sent = (id & !3).max(after_last) + kind;
        self.last_sent
    }

    /// A message to be sent: it is remembered until the client confirms it, unless too many are.
    pub fn send(
        &mut self,
        now: Timestamp,
        body: Vec<u8>,
        answers: Option<i64>,
        confirmed: bool,
    ) -> SentMessage {
        let sent = SentMessage {
            id: self.next_id(now, answers.is_some()),
            seqno: self.number(confirmed),
            body,
            answers,
            connection: self.speaking,
        };
        if let Some(id) = answers
            && let Some(received) = self.find(id)
        {
            received.answered = true;
        }
        // What has no room alone is not to have the others forgotten.
        if confirmed && sent.body.len() <= MOST_SENT_BYTES {
            self.sent.push(sent.clone());
            let total = |sent: &[SentMessage]| sent.iter().map(|sent| sent.body.len()).sum::<usize>();
            while self.sent.len() > MOST_SENT || total(&self.sent) > MOST_SENT_BYTES {
                // What the protocol itself asked for can be asked for again; a call cannot always be made again.
                let least = self.sent.iter().position(|sent| !sent.is_result()).unwrap_or(0);
                self.sent.remove(least);
            }
        }
        sent
    }

    /// The client has these messages.
    pub fn confirm(&mut self, ids: &[i64]) {
        self.sent.retain(|sent| !ids.contains(&sent.id));
        if self.sent.is_empty() {
            // Thousands who wait are not to have a list each.
            self.sent = Vec::new();
        }
    }

    /// What was sent and not confirmed, by its identifier.
    #[must_use]
    pub fn sent(&self, id: i64) -> Option<&SentMessage> {
        self.sent.iter().find(|sent| sent.id == id)
    }

    /// The answer to a message, if it was not confirmed.
    #[must_use]
    pub fn answer_to(&self, id: i64) -> Option<&SentMessage> {
        self.sent.iter().find(|sent| sent.answers == Some(id))
    }

    /// Forgets the answer to a message that nobody wants any more.
    pub fn drop_answer(&mut self, id: i64) -> Option<SentMessage> {
        let position = self.sent.iter().position(|sent| sent.answers == Some(id))?;
        Some(self.sent.remove(position))
    }

    /// What became of a client's message, as the protocol writes it in one byte.
    #[must_use]
    pub fn state_of(&self, id: i64, now: Timestamp) -> u8 {
        const FORGOTTEN: u8 = 1;
        const NOT_RECEIVED: u8 = 2;
        const TO_COME: u8 = 3;
        const RECEIVED: u8 = 4;
        const CONFIRMED: u8 = 8;
        const ANSWERED: u8 = 64;
        let position = self.received.binary_search_by_key(&id, |received| received.id);
        match position.ok().and_then(|position| self.received.get(position)) {
            Some(received) if received.answered => RECEIVED | CONFIRMED | ANSWERED,
            Some(_) => RECEIVED,
            None if id <= self.forgotten => FORGOTTEN,
            None if require_timely(id, now) == Err(BadMessage::TooHigh) => TO_COME,
            None => NOT_RECEIVED,
        }
    }

    /// The greatest identifier that has come.
    #[must_use]
    pub fn latest(&self) -> i64 {
        self.received
            .last()
            .map_or(self.forgotten, |last| last.id.max(self.forgotten))
    }

    fn find(&mut self, id: i64) -> Option<&mut ReceivedMessage> {
        let position = self.received.binary_search_by_key(&id, |received| received.id);
        position.ok().and_then(|position| self.received.get_mut(position))
    }
}

impl SentMessage {
    fn is_result(&self) -> bool {
        TlReader::new(&self.body).word() == Ok(RPC_RESULT)
    }
}

/// How many seconds a message may be old.
const LATE: u64 = 300;
/// How many seconds it may be ahead.
const EARLY: u64 = 30;
/// How many messages of a session are told apart: those of a container, and some before it.
const MOST_RECEIVED: usize = 128;
/// How many answers wait for the client to confirm them, and how many bytes they have together.
const MOST_SENT: usize = 32;
const MOST_SENT_BYTES: usize = 4 * 1024;

#[cfg(test)]
#[path = "tests/session.rs"]
mod tests;
