//! An encrypted message and what it is answered with: which of what is in it counts, and what the protocol itself asks for.
//!
//! Everything about a session is decided while it is locked, and never while something is awaited.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::NAME;
use super::connection::{MtprotoServer, locked};
use super::content::{MOST_INFLATED, MessagePart, inflated, is_confirmed, is_container, parts};
use super::envelope::{AuthKey, MtprotoMessage};
use super::handshake::seconds;
use super::rpc::{self, RpcCaller, RpcError, unwrapped};
use super::schema::{
    AUTH_AUTHORIZATION, DESTROY_AUTH_KEY, DESTROY_AUTH_KEY_NONE, DESTROY_AUTH_KEY_OK, DESTROY_SESSION,
    DESTROY_SESSION_NONE, DESTROY_SESSION_OK, FUTURE_SALTS, GET_FUTURE_SALTS, MSG_DETAILED_INFO,
    MSG_NEW_DETAILED_INFO, MSG_RESEND_REQ, MSGS_ACK, MSGS_ALL_INFO, MSGS_STATE_INFO, MSGS_STATE_REQ,
    NEW_SESSION_CREATED, PING, PING_DELAY_DISCONNECT, PONG, RPC_ANSWER_DROPPED, RPC_ANSWER_UNKNOWN,
    RPC_DROP_ANSWER, RPC_RESULT,
};
use super::session::{BadMessage, MessageArrival, SentMessage, Session, bad_salt, require_timely};
use super::sessions::Salting;
use super::tl::{MalformedTl, TlReader, TlWriter};
use crate::domain::audit::AuditRequest;
use crate::domain::time::Timestamp;
use crate::flows::audit::{self, AuditScope};
use crate::flows::{Error, client_key};

/// What a message is taken with.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) server: &'a MtprotoServer,
    pub(super) key: &'a AuthKey,
    /// What salts are made with at this moment.
    pub(super) salting: Salting,
    /// Whether somebody was logged in with the key when it was read.
    pub(super) has_login: bool,
    /// On which connection it came.
    pub(super) connection: u64,
    pub(super) caller: RpcCaller,
}

/// What becomes of a message.
pub(super) enum ExchangeOutcome {
    /// It is answered with these messages, and if they are several, with the container that they go in last.
    Answers {
        sent: Vec<SentMessage>,
        /// The salt of this moment.
        salt: i64,
        /// How soon the client wants the connection to end, unless it puts that off.
        disconnect_after: Option<Duration>,
    },
    /// The client's key is not known any more.
    KeyIsGone,
    /// There is no room for another session.
    NoRoom,
}

/// What is gathered while a message is taken.
///
/// Invariant: it is bounded, whatever the message asks for.
struct Gathered {
    sent: Vec<SentMessage>,
    /// Calls of methods, each by the message that it stood in.
    calls: Vec<MessagePart>,
    /// Messages whose answers are still being made, or were confirmed.
    confirmed: Vec<i64>,
    disconnect_after: Option<Duration>,
    /// How many bytes may still be inflated.
    inflatable: usize,
    /// Whether the salts to come were told, of which each takes a digest.
    has_salts: bool,
}

impl Default for Gathered {
    fn default() -> Self {
        Self {
            sent: Vec::new(),
            calls: Vec::new(),
            confirmed: Vec::new(),
            disconnect_after: None,
            inflatable: MOST_INFLATED,
            has_salts: false,
        }
    }
}

impl Gathered {
    /// A message that was sent before goes once more; once, however often it is asked for.
    fn send_again(&mut self, sent: &SentMessage) {
        if !self.sent.iter().any(|gathered| gathered.id == sent.id) {
            self.sent.push(sent.clone());
        }
    }

    /// What the client may not have heard goes before all else: what is said of it would be wrong otherwise.
    fn send_first(&mut self, unheard: Vec<SentMessage>) {
        let gathered = std::mem::take(&mut self.sent);
        let is_unheard = |sent: &SentMessage| unheard.iter().any(|unheard| unheard.id == sent.id);
        let others: Vec<_> = gathered.into_iter().filter(|sent| !is_unheard(sent)).collect();
        self.sent = unheard;
        self.sent.extend(others);
    }
}

impl Exchange<'_> {
    /// What a message is answered with that is none of this moment, and the salt of this moment. It is no use of the key and makes
    /// no session: who has recorded it could keep the one and have others forgotten.
    pub(super) fn refused(&self, message: &MtprotoMessage) -> Option<(SentMessage, i64)> {
        let now = self.now();
        let refused = self.require_fresh(message, now).err()?;
        let session = self.server.sessions.to_refuse_in(self.key.id(), message.session);
        let sent = locked(&session).send(now, refused, None, false);
        Some((sent, self.salt(slot(now))))
    }

    /// Takes a message that was not [`Exchange::refused`].
    pub(super) async fn take(mut self, message: MtprotoMessage) -> ExchangeOutcome {
        let now = self.now();
        let (key, own) = (self.key.id(), message.session);
        let Some(session) = self.server.sessions.open(key, own, self.has_login, now) else {
            return ExchangeOutcome::NoRoom;
        };
        let mut gathered = Gathered::default();
        {
            let mut session = self.locked(&session);
            self.sort(&mut session, message, &mut gathered, now);
            let unheard = session.unheard();
            gathered.send_first(unheard);
        }
        for call in std::mem::take(&mut gathered.calls) {
            match self.answer(&session, own, &call).await {
                Ok(body) => {
                    let answer = self.locked(&session).send(self.now(), body, Some(call.id), true);
                    gathered.sent.push(answer);
                }
                Err(KeyIsGone) => return ExchangeOutcome::KeyIsGone,
            }
        }
        let mut locked = self.locked(&session);
        let now = self.now();
        if !gathered.confirmed.is_empty() {
            let body = TlWriter::of(MSGS_ACK).longs(&gathered.confirmed).done();
            gathered.sent.push(locked.send(now, body, None, false));
        }
        if gathered.sent.len() > 1 {
            gathered.sent.push(locked.send(now, Vec::new(), None, false));
        }
        ExchangeOutcome::Answers {
            sent: gathered.sent,
            salt: self.salt(slot(now)),
            disconnect_after: gathered.disconnect_after,
        }
    }

    fn now(&self) -> Timestamp {
        self.server.app.clock.now()
    }

    fn salt(&self, slot: u64) -> i64 {
        self.key.derived(b"salt", &self.salting.0, slot)
    }

    /// The session, spoken on this connection.
    fn locked<'s>(&self, session: &'s Mutex<Session>) -> MutexGuard<'s, Session> {
        let mut session = locked(session);
        session.speak_on(self.connection);
        session
    }

    /// Whether a message is of this moment, and for this process.
    ///
    /// # Errors
    /// What the client is told instead of an answer.
    fn require_fresh(&self, message: &MtprotoMessage, now: Timestamp) -> Result<(), Vec<u8>> {
        let MtprotoMessage { id, seqno, salt, .. } = *message;
        require_timely(id, now).map_err(|why| why.notification(id, seqno))?;
        let current = slot(now);
        // The salt before this one is good for as long again.
        let is_known = [current, current.saturating_sub(1)]
            .iter()
            .any(|slot| self.salt(*slot) == salt);
        if is_known {
            Ok(())
        } else {
            Err(bad_salt(id, seqno, self.salt(current)))
        }
    }

    /// Decides what of a message counts.
    fn sort(&self, session: &mut Session, message: MtprotoMessage, gathered: &mut Gathered, now: Timestamp) {
        let MtprotoMessage { id, seqno, body, .. } = message;
        let refuse = |session: &mut Session, why: BadMessage| {
            session.send(now, why.notification(id, seqno), None, false)
        };
        if session.is_closed() {
            return gathered.sent.push(refuse(session, BadMessage::TooOld));
        }
        let parts = if is_container(&body) {
            if let Err(why) = session.take(id, seqno, Some(false)) {
                return gathered.sent.push(refuse(session, why));
            }
            match parts(id, &body) {
                Ok(parts) => parts,
                Err(MalformedTl) => return gathered.sent.push(refuse(session, BadMessage::Container)),
            }
        } else {
            vec![MessagePart { id, seqno, body }]
        };
        let first = parts.iter().map(|part| part.id).min().unwrap_or(id);
        if !session.announce() {
            let mut unique = [0; 8];
            self.server.app.entropy.fill(&mut unique);
            let told = TlWriter::of(NEW_SESSION_CREATED)
                .long(first)
                .raw(&unique)
                .long(self.salt(slot(now)))
                .done();
            gathered.sent.push(session.send(now, told, None, true));
        }
        for part in parts {
            self.sort_part(session, part, gathered, now);
        }
    }

    fn sort_part(&self, session: &mut Session, part: MessagePart, gathered: &mut Gathered, now: Timestamp) {
        let MessagePart { id, seqno, body } = part;
        let taken = require_timely(id, now).and_then(|()| session.take(id, seqno, is_confirmed(&body)));
        match taken {
            Err(why) => {
                let told = why.notification(id, seqno);
                return gathered.sent.push(session.send(now, told, None, false));
            }
            Ok(MessageArrival::Again) => {
                return match session.answer_to(id) {
                    Some(answer) => gathered.send_again(answer),
                    None if seqno % 2 == 1 => gathered.confirmed.push(id),
                    None => {}
                };
            }
            Ok(MessageArrival::New) => {}
        }
        let Ok(body) = inflated(body, &mut gathered.inflatable) else {
            let told = result(id, &RpcError::INPUT_FETCH_ERROR.write());
            return gathered.sent.push(session.send(now, told, Some(id), true));
        };
        match self.serve(session, id, &body, gathered, now) {
            Ok(Served::Done) => {}
            Ok(Served::NotOurs) if gathered.calls.len() < MOST_CALLS => {
                gathered.calls.push(MessagePart { id, seqno, body });
            }
            Ok(Served::NotOurs) => {
                let told = result(id, &later().write());
                gathered.sent.push(session.send(now, told, Some(id), true));
            }
            Err(MalformedTl) => {
                let told = result(id, &RpcError::INPUT_FETCH_ERROR.write());
                gathered.sent.push(session.send(now, told, Some(id), true));
            }
        }
    }

    /// What the protocol itself asks for.
    fn serve(
        &self,
        session: &mut Session,
        id: i64,
        body: &[u8],
        gathered: &mut Gathered,
        now: Timestamp,
    ) -> Result<Served, MalformedTl> {
        let mut reader = TlReader::new(body);
        let answer = match reader.word()? {
            MSGS_ACK => {
                session.confirm(&reader.longs(MOST_IDS)?);
                return Ok(Served::Done);
            }
            // What a client says of what it has, unasked.
            MSGS_STATE_INFO | MSGS_ALL_INFO | MSG_DETAILED_INFO | MSG_NEW_DETAILED_INFO => {
                return Ok(Served::Done);
            }
            PING => TlWriter::of(PONG).long(id).long(reader.long()?),
            PING_DELAY_DISCONNECT => {
                let pong = TlWriter::of(PONG).long(id).long(reader.long()?);
                let delay = u64::try_from(reader.int()?).map_err(|_| MalformedTl)?;
                gathered.disconnect_after = Some(Duration::from_secs(delay.min(MOST_DELAY_SECONDS)));
                pong
            }
            GET_FUTURE_SALTS if std::mem::replace(&mut gathered.has_salts, true) => {
                TlWriter::of(RPC_RESULT).long(id).raw(&later().write())
            }
            GET_FUTURE_SALTS => self.future_salts(id, reader.int()?, now),
            MSGS_STATE_REQ => states(session, id, &reader.longs(MOST_IDS)?, now),
            MSG_RESEND_REQ => {
                let ids = reader.longs(MOST_AGAIN)?;
                let again: Option<Vec<_>> = ids.iter().map(|id| session.sent(*id)).collect();
                match again {
                    Some(again) => {
                        for sent in again {
                            gathered.send_again(sent);
                        }
                        return Ok(Served::Done);
                    }
                    None => states(session, id, &ids, now),
                }
            }
            RPC_DROP_ANSWER => {
                let dropped = match session.drop_answer(reader.long()?) {
                    Some(SentMessage { id, seqno, body, .. }) => {
                        let length = i32::try_from(body.len()).unwrap_or(i32::MAX);
                        TlWriter::of(RPC_ANSWER_DROPPED).long(id).word(seqno).int(length)
                    }
                    None => TlWriter::of(RPC_ANSWER_UNKNOWN),
                };
                TlWriter::of(RPC_RESULT).long(id).raw(&dropped.done())
            }
            _ => return Ok(Served::NotOurs),
        };
        gathered
            .sent
            .push(session.send(now, answer.done(), Some(id), true));
        Ok(Served::Done)
    }

    fn future_salts(&self, id: i64, wanted: i32, now: Timestamp) -> TlWriter {
        const MOST: u64 = 64;
        let count = u64::try_from(wanted).unwrap_or(0).clamp(1, MOST);
        let begun = TlWriter::of(FUTURE_SALTS)
            .long(id)
            .int(seconds(now))
            .word(u32::try_from(count).unwrap_or(1));
        (slot(now)..)
            .take(usize::try_from(count).unwrap_or(1))
            .fold(begun, |salts, slot| {
                let since = slot * SALT_SECONDS;
                salts
                    .int(seconds(Timestamp::from_seconds(since)))
                    .int(seconds(Timestamp::from_seconds(since + 2 * SALT_SECONDS)))
                    .long(self.salt(slot))
            })
    }

    /// The answer to a call: of a method, or about a session or the key.
    async fn answer(
        &mut self,
        session: &Arc<Mutex<Session>>,
        own: i64,
        call: &MessagePart,
    ) -> Result<Vec<u8>, KeyIsGone> {
        let Some(_place) = self.caller.requests.begin() else {
            let told = RpcError::flood_wait(OVERLOADED);
            return Ok(result(call.id, &told.write()));
        };
        let mut reader = TlReader::new(&call.body);
        match reader.word() {
            Ok(DESTROY_SESSION) => {
                let Ok(id) = reader.long() else {
                    return Ok(result(call.id, &RpcError::INPUT_FETCH_ERROR.write()));
                };
                // The one that it is asked in goes on.
                let destroyed = id != own && self.server.sessions.destroy(self.key.id(), id);
                let told = if destroyed {
                    DESTROY_SESSION_OK
                } else {
                    DESTROY_SESSION_NONE
                };
                return Ok(TlWriter::of(told).long(id).done());
            }
            Ok(DESTROY_AUTH_KEY) => return self.destroy_key(call.id).await,
            _ => {}
        }
        let called = unwrapped(&call.body).map_err(|MalformedTl| RpcError::INPUT_FETCH_ERROR);
        let said = called.as_ref().ok().and_then(|called| called.layer);
        let said = {
            let mut session = self.locked(session);
            session.layer = said.or(session.layer);
            session.layer
        };
        let known = self.known(said).await?;
        let called = match (called, known) {
            (Ok(called), Ok(layer)) => {
                self.caller.layer = layer;
                let calling = rpc::call(&self.caller, called.method);
                let answered = Box::pin(audit::within(self.audited(call.id), calling)).await;
                // Now it is kept rather than others: the client may not have heard of it when its connection breaks.
                let logs_in = |body: &Vec<u8>| TlReader::new(body).word() == Ok(AUTH_AUTHORIZATION);
                if answered.as_ref().is_ok_and(logs_in) {
                    self.server.sessions.note_login(self.key.id(), true);
                }
                answered
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        let body = called.unwrap_or_else(|error| self.caller.told(&error));
        Ok(result(call.id, &body))
    }

    /// Which layer the client speaks: what it said in this session, or else with this key: some do not say it again when they
    /// connect again. Another connection may have destroyed the key since this one has read it.
    async fn known(&self, said: Option<u32>) -> Result<Result<Option<u32>, RpcError>, KeyIsGone> {
        let lives = self.caller.settings.key_lives;
        match client_key::known(&self.caller.app, self.caller.key, lives, said).await {
            Err(Error::Refused(_)) => Err(KeyIsGone),
            Err(Error::Failed(fault)) => Ok(Err(RpcError::of_fault(&fault))),
            Ok(known) => {
                let sessions = &self.server.sessions;
                sessions.note_login(self.key.id(), known.login.is_some());
                Ok(Ok(known.version))
            }
        }
    }

    /// What the audit log is told of a call: by the key and the message's identifier a client knows its own.
    fn audited(&self, id: i64) -> AuditScope {
        let mut call = [0; 16];
        call[..8].copy_from_slice(&self.key.id().to_be_bytes());
        call[8..].copy_from_slice(&id.to_be_bytes());
        let request = AuditRequest {
            id: call,
            dialect: String::new(),
            address: self.caller.peer.to_string(),
            agent: None,
        };
        AuditScope::in_dialect(request, NAME)
    }

    async fn destroy_key(&self, id: i64) -> Result<Vec<u8>, KeyIsGone> {
        let lives = self.caller.settings.key_lives;
        match client_key::forget(&self.caller.app, self.caller.key, lives).await {
            Ok(()) => {
                self.server.sessions.forget_key(self.key.id());
                Ok(TlWriter::of(DESTROY_AUTH_KEY_OK).done())
            }
            Err(Error::Refused(_)) => Ok(TlWriter::of(DESTROY_AUTH_KEY_NONE).done()),
            Err(Error::Failed(fault)) => Ok(result(id, &self.caller.told(&RpcError::of_fault(&fault)))),
        }
    }
}

/// What the key was destroyed by is none of this connection's business: it ends.
struct KeyIsGone;

/// Whether the protocol itself asked for something.
enum Served {
    Done,
    NotOurs,
}

/// What a message has too many of is to be asked for in another one.
fn later() -> RpcError {
    RpcError::flood_wait(Duration::from_secs(1))
}

fn result(id: i64, body: &[u8]) -> Vec<u8> {
    TlWriter::of(RPC_RESULT).long(id).raw(body).done()
}

fn states(session: &Session, id: i64, ids: &[i64], now: Timestamp) -> TlWriter {
    let states: Vec<_> = ids.iter().map(|id| session.state_of(*id, now)).collect();
    TlWriter::of(MSGS_STATE_INFO).long(id).bytes(&states)
}

/// Which salt is that of a moment.
fn slot(now: Timestamp) -> u64 {
    now.seconds() / SALT_SECONDS
}

/// How long a salt is that of the moment; it is good for twice as long.
const SALT_SECONDS: u64 = 1800;
/// How long a client waits that has its share of what the server works at.
const OVERLOADED: Duration = Duration::from_secs(1);
/// How many identifiers may be confirmed or asked about at once.
const MOST_IDS: usize = 8192;
/// How many messages may be asked for again at once.
const MOST_AGAIN: usize = 256;
/// How many calls a message may have; the others are to be tried again.
const MOST_CALLS: usize = 16;
/// How long a client may have a connection outlive its silence; the listener closes idle ones sooner.
const MOST_DELAY_SECONDS: u64 = 3600;
