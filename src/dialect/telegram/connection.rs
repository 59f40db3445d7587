//! One connection: handshakes and encrypted messages, in the order in which they come.
//!
//! Messages of one connection are answered one after another, so a client has no more at work than connections. What cannot be
//! decrypted ends the connection; what is decrypted and cannot be understood is answered.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::NAME;
use super::admission::{HalfOpen, NetworkGate};
use super::complaints::Complaints;
use super::envelope::{AuthKey, MtprotoMessage, SendingSide};
use super::exchange::{Exchange, ExchangeOutcome};
use super::handshake::{Agreed, Handshake, HandshakeKeys, HandshakeStep};
use super::modular::{NUMBER_BYTES, Number};
use super::rpc::RpcCaller;
use super::schema::{MSG_CONTAINER, REQ_PQ, REQ_PQ_MULTI};
use super::session::SentMessage;
use super::sessions::Sessions;
use super::settings::LoginSettings;
use super::tl::{MalformedTl, TlReader, TlWriter};
use super::transport::{MOST_PADDING, Transport, TransportError};
use crate::app::App;
use crate::dialect::{AcceptedStream, Acceptor, Dialect, RequestRoom, Speaks, Stage};
use crate::domain::client_key::Refusal;
use crate::domain::text::DialectName;
use crate::domain::time::Timestamp;
use crate::flows::Error;
use crate::flows::client_key::{self, ClientKeyName};

/// What all connections have in common.
#[derive(Debug)]
pub struct MtprotoServer {
    pub(super) app: Arc<App>,
    pub(super) settings: Arc<LoginSettings>,
    pub(super) sessions: Sessions,
    /// How many connections there were: each is told from the others.
    connections: AtomicU64,
    dialect: DialectName,
    keys: Arc<HandshakeKeys>,
    gate: Arc<NetworkGate>,
    complaints: Arc<Complaints>,
}

/// The dialect, as servers speak it, under the RSA key that clients know it by.
///
/// # Panics
/// Never: the name of the protocol is one.
#[must_use]
pub fn dialect(app: Arc<App>, keys: HandshakeKeys, settings: LoginSettings) -> Dialect {
    let server = MtprotoServer {
        sessions: Sessions::new(app.entropy.as_ref(), app.clock.now()),
        app,
        connections: AtomicU64::new(1),
        settings: Arc::new(settings),
        dialect: DialectName::parse(NAME).expect("the name of the protocol is one"),
        keys: Arc::new(keys),
        gate: Arc::default(),
        complaints: Arc::default(),
    };
    Dialect {
        name: NAME,
        speaks: Speaks::Streams(Arc::new(server)),
    }
}

#[async_trait]
impl Acceptor for MtprotoServer {
    async fn accept(&self, client: AcceptedStream) {
        let AcceptedStream {
            mut bytes,
            peer,
            stage,
            mut draining,
            requests,
        } = client;
        let mut connection = MtprotoConnection {
            server: self,
            number: self.connections.fetch_add(1, Ordering::Relaxed),
            peer,
            requests,
            transport: Transport::default(),
            key: None,
            handshake: Handshake::Awaited,
            half_open: None,
            last_plain: 0,
            ends_at: None,
        };
        loop {
            // Small, because thousands who wait have one each.
            let mut received = Vec::with_capacity(READ_BYTES);
            let ends_at = connection.ends_at;
            let is_between = !connection.transport.is_within_frame();
            let read = tokio::select! {
                biased;
                () = draining.begun(), if is_between => return,
                // What has come is taken first: it may put the end off.
                read = bytes.read_buf(&mut received) => read,
                () = until(ends_at), if ends_at.is_some() => return,
            };
            match read {
                Ok(0) => return,
                Ok(_) => connection.transport.receive(&received),
                Err(error) => return tracing::debug!("a connection ended: {error}"),
            }
            drop(received);
            loop {
                let payload = match connection.transport.read() {
                    Ok(Some(payload)) => payload,
                    Ok(None) => break,
                    Err(MalformedTl) => return tracing::debug!("a client's bytes are no frames"),
                };
                stage.reach(Stage::Answering);
                // On the heap for as long as it lasts: it is large, and the connection outlives it by far.
                let turn = Box::pin(connection.take(&payload)).await;
                let (frame, ends) = match turn {
                    Turn::Silence => continue,
                    Turn::Send(frame) => (frame, false),
                    Turn::SendAndEnd(frame) => (frame, true),
                    Turn::End => return,
                };
                if bytes.write_all(&frame).await.is_err() || bytes.flush().await.is_err() || ends {
                    return;
                }
            }
            stage.reach(connection.stage());
        }
    }
}

/// How much is read at once.
const READ_BYTES: usize = 1024;

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

struct MtprotoConnection<'a> {
    server: &'a MtprotoServer,
    number: u64,
    peer: IpAddr,
    requests: Arc<dyn RequestRoom>,
    transport: Transport,
    key: Option<SpokenKey>,
    handshake: Handshake,
    half_open: Option<HalfOpen>,
    /// The identifier of the last message that was not encrypted.
    last_plain: i64,
    /// When the connection ends, unless the client puts that off.
    ends_at: Option<Instant>,
}

/// A key that a client speaks with.
#[derive(Clone)]
struct SpokenKey {
    key: Arc<AuthKey>,
    name: ClientKeyName,
    /// When its use was noted last by what came over this connection.
    noted: Option<Timestamp>,
    /// Whether somebody was logged in with it when it was read.
    has_login: bool,
    /// Whether the client has shown it with a message of this moment.
    is_shown: bool,
}

/// What becomes of a payload.
enum Turn {
    Silence,
    Send(Vec<u8>),
    SendAndEnd(Vec<u8>),
    End,
}

impl MtprotoConnection<'_> {
    fn stage(&self) -> Stage {
        if self.transport.is_within_frame() {
            Stage::Body
        } else if self.half_open.is_some() {
            // Also of a client that has a key: another handshake has no more time than the first.
            Stage::Body
        } else if self.key.as_ref().is_some_and(|held| held.is_shown) {
            Stage::Idle
        } else {
            Stage::Head
        }
    }

    async fn take(&mut self, payload: &[u8]) -> Turn {
        match payload.split_first_chunk() {
            Some((&[0, 0, 0, 0, 0, 0, 0, 0], plain)) => self.shake(plain).await.unwrap_or(Turn::End),
            Some((id, envelope)) => self.exchange(i64::from_le_bytes(*id), envelope).await,
            None => Turn::End,
        }
    }

    /// A step of a handshake.
    async fn shake(&mut self, plain: &[u8]) -> Result<Turn, MalformedTl> {
        let mut reader = TlReader::new(plain);
        let _id = reader.long()?;
        let length = usize::try_from(reader.word()?).map_err(|_| MalformedTl)?;
        let message = reader.raw(length)?.to_vec();
        if reader.rest().len() > MOST_PADDING {
            return Err(MalformedTl);
        }
        let now = self.server.app.clock.now();
        let is_first = matches!(TlReader::new(&message).word(), Ok(REQ_PQ | REQ_PQ_MULTI));
        if is_first {
            self.half_open = None;
            self.half_open = self.server.gate.begin(self.peer, now);
            if self.half_open.is_none() {
                return Ok(Turn::SendAndEnd(
                    self.transport.write_error(TransportError::Flood),
                ));
            }
        }
        let half_open = self.half_open.as_ref().ok_or(MalformedTl)?;
        let handshake = std::mem::take(&mut self.handshake);
        let (keys, app) = (Arc::clone(&self.server.keys), Arc::clone(&self.server.app));
        let step = move || handshake.step(&keys, app.entropy.as_ref(), now, &message);
        let (handshake, step) = if is_first {
            // Two small primes, for which no thread has to be waited for.
            step()?
        } else {
            let _turn = half_open.turn().await;
            tokio::task::spawn_blocking(step)
                .await
                .map_err(|_| MalformedTl)??
        };
        self.handshake = handshake;
        let answer = match step {
            HandshakeStep::Answer(answer) => answer,
            HandshakeStep::Agreed(agreed) => self.keep(*agreed).await,
        };
        Ok(Turn::Send(self.plain(&answer)))
    }

    /// Keeps a key that was agreed on; what the client is told of that. Without a key the handshake is over, and the client may
    /// begin another one.
    async fn keep(&mut self, agreed: Agreed) -> Vec<u8> {
        let app = self.server.app.as_ref();
        let now = app.clock.now();
        let key = AuthKey::new(agreed.key);
        let name = ClientKeyName::of(app, &self.server.dialect, &key.id().to_le_bytes());
        if !self.server.gate.keep_key(self.peer, now) {
            self.half_open = None;
            return agreed.refused;
        }
        let life = agreed.life.map(u64::from).map(Duration::from_secs);
        let expires_at = life.map(|life| now + life.min(MOST_TEMPORARY));
        let lives = self.server.settings.key_lives;
        match client_key::keep(app, name, key.bytes(), lives, expires_at).await {
            Ok(()) => {
                self.half_open = None;
                self.key = Some(SpokenKey {
                    key: Arc::new(key),
                    name,
                    noted: Some(now),
                    has_login: false,
                    is_shown: true,
                });
                agreed.accepted
            }
            Err(Error::Refused(Refusal::Taken | Refusal::NotFound)) => {
                self.handshake = agreed.again;
                agreed.taken
            }
            Err(Error::Failed(fault)) => {
                self.half_open = None;
                let why = format!("a client's key cannot be kept: {fault}");
                self.server.complaints.log(&why, now);
                agreed.refused
            }
        }
    }

    /// A message that is not encrypted, framed.
    fn plain(&mut self, body: &[u8]) -> Vec<u8> {
        let now = self.server.app.clock.now();
        let id = i64::try_from(now.seconds() << 32).unwrap_or(0) | 1;
        self.last_plain = id.max(self.last_plain + 4);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let payload = TlWriter::default()
            .long(0)
            .long(self.last_plain)
            .word(length)
            .raw(body)
            .done();
        self.framed(&payload)
    }

    fn framed(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.transport.is_padded() {
            return self.transport.write(payload, &[]);
        }
        let mut random = [0; MOST_PADDING + 1];
        self.server.app.entropy.fill(&mut random);
        let length = usize::from(random[MOST_PADDING]) % (MOST_PADDING + 1);
        self.transport.write(payload, &random[..length])
    }

    /// An encrypted message.
    async fn exchange(&mut self, id: i64, envelope: &[u8]) -> Turn {
        let envelope = if self.transport.is_padded() {
            let whole = envelope.len().saturating_sub(16) / 16 * 16;
            &envelope[..envelope.len().min(16 + whole)]
        } else {
            envelope
        };
        let held = match self.key.as_ref().filter(|held| held.key.id() == id) {
            Some(held) => held.clone(),
            None => match self.open_key(id).await {
                Ok(held) => held,
                Err(error) => return Turn::SendAndEnd(self.transport.write_error(error)),
            },
        };
        let Ok(message) = held.key.open(SendingSide::Client, envelope) else {
            return Turn::End;
        };
        let app = self.server.app.as_ref();
        let salting = self
            .server
            .sessions
            .salting(app.entropy.as_ref(), app.clock.as_ref());
        let exchange = Exchange {
            server: self.server,
            key: &held.key,
            salting,
            has_login: held.has_login,
            connection: self.number,
            caller: RpcCaller {
                app: Arc::clone(&self.server.app),
                settings: Arc::clone(&self.server.settings),
                key: held.name,
                layer: None,
                peer: self.peer,
                requests: Arc::clone(&self.requests),
                gate: Arc::clone(&self.server.gate),
                complaints: Arc::clone(&self.server.complaints),
            },
        };
        let session = message.session;
        // What was recorded shows nobody's key.
        if let Some((refused, salt)) = exchange.refused(&message) {
            self.key = Some(held.clone());
            return self.sealed(&held.key, session, salt, vec![refused]);
        }
        // Only who has the key is not in the way of others any more.
        self.half_open = None;
        self.transport.trust();
        self.key = match self.note_use(held.clone()).await {
            Ok(noted) => Some(SpokenKey {
                is_shown: true,
                ..noted
            }),
            Err(error) => return Turn::SendAndEnd(self.transport.write_error(error)),
        };
        let outcome = exchange.take(message).await;
        match outcome {
            ExchangeOutcome::Answers {
                sent,
                salt,
                disconnect_after,
            } => {
                if let Some(delay) = disconnect_after {
                    self.ends_at = Some(Instant::now() + delay);
                }
                self.sealed(&held.key, session, salt, sent)
            }
            ExchangeOutcome::NoRoom => Turn::SendAndEnd(self.transport.write_error(TransportError::Flood)),
            ExchangeOutcome::KeyIsGone => {
                self.key = None;
                Turn::SendAndEnd(self.transport.write_error(TransportError::UnknownKey))
            }
        }
    }

    async fn open_key(&mut self, id: i64) -> Result<SpokenKey, TransportError> {
        let _place = self.requests.begin().ok_or(TransportError::Flood)?;
        let app = self.server.app.as_ref();
        let name = ClientKeyName::of(app, &self.server.dialect, &id.to_le_bytes());
        let opened = client_key::open(app, name, self.server.settings.key_lives).await;
        let opened = opened.map_err(|error| match error {
            Error::Refused(_) => TransportError::UnknownKey,
            Error::Failed(fault) => {
                let why = format!("a client's key cannot be read: {fault}");
                self.server.complaints.log(&why, app.clock.now());
                TransportError::Flood
            }
        })?;
        let bytes: Number = opened.key.as_slice().try_into().unwrap_or([0; NUMBER_BYTES]);
        Ok(SpokenKey {
            key: Arc::new(AuthKey::new(Zeroizing::new(bytes))),
            name,
            noted: None,
            has_login: opened.login.is_some(),
            is_shown: false,
        })
    }

    /// Notes that a key is used that has opened a message, whatever is in it. Messages that are no calls do that now and then,
    /// so that a connection that is only kept open does not lose its key.
    async fn note_use(&mut self, held: SpokenKey) -> Result<SpokenKey, TransportError> {
        let now = self.server.app.clock.now();
        let lives = self.server.settings.key_lives;
        let pause = lives.otherwise.min(lives.logged_in) / NOTES_IN_A_LIFE;
        let is_noted = |noted: Timestamp| noted <= now && now.since(noted) < pause;
        if held.noted.is_some_and(is_noted) {
            return Ok(held);
        }
        match client_key::login(&self.server.app, held.name, lives).await {
            Ok(_) => Ok(SpokenKey {
                noted: Some(now),
                ..held
            }),
            Err(Error::Refused(_)) => {
                self.key = None;
                Err(TransportError::UnknownKey)
            }
            Err(Error::Failed(fault)) => {
                // The next message tries again; calls say themselves that they cannot be answered.
                let why = format!("the use of a client's key cannot be noted: {fault}");
                self.server.complaints.log(&why, now);
                Ok(held)
            }
        }
    }

    /// Several messages in one container, or one as it is.
    fn sealed(&mut self, key: &AuthKey, session: i64, salt: i64, mut sent: Vec<SentMessage>) -> Turn {
        let Some(last) = sent.pop() else {
            return Turn::Silence;
        };
        let message = |sent: SentMessage| MtprotoMessage {
            salt,
            session,
            id: sent.id,
            seqno: sent.seqno,
            body: sent.body,
        };
        let whole = if sent.is_empty() {
            message(last)
        } else {
            // The last one was made for the container, whose identifier is greater than those in it.
            let count = u32::try_from(sent.len()).unwrap_or(u32::MAX);
            let body = TlWriter::of(MSG_CONTAINER).word(count);
            let body = sent.iter().fold(body, |body, sent| {
                let length = u32::try_from(sent.body.len()).unwrap_or(u32::MAX);
                body.long(sent.id).word(sent.seqno).word(length).raw(&sent.body)
            });
            let mut container = last;
            container.body = body.done();
            message(container)
        };
        let payload = key.seal(SendingSide::Server, &whole, self.server.app.entropy.as_ref());
        Turn::Send(self.framed(&payload))
    }
}

/// How often in the life of an unused key its use is noted.
const NOTES_IN_A_LIFE: u32 = 16;
/// For how long a client may want a key that is not for good.
const MOST_TEMPORARY: Duration = Duration::from_hours(7 * 24);

/// What several tasks may hold, whatever became of the others.
pub(super) fn locked<T>(mutex: &std::sync::Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
