//! Clients that do not follow the protocol, and one that does, without TCP in between.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::app::App;
use countersign::dialect::telegram::connection::dialect;
use countersign::dialect::telegram::content::MOST_INFLATED;
use countersign::dialect::telegram::envelope::{AuthKey, MtprotoMessage, SendingSide};
use countersign::dialect::telegram::handshake::HandshakeKeys;
use countersign::dialect::telegram::schema::{
    AUTH_RESEND_CODE, AUTH_SEND_CODE, AUTH_SIGN_IN, BAD_MSG_NOTIFICATION, BAD_SERVER_SALT, CODE_SETTINGS,
    DESTROY_AUTH_KEY, DESTROY_AUTH_KEY_OK, FUTURE_SALTS, GET_FUTURE_SALTS, GZIP_PACKED, HELP_GET_CONFIG,
    HTTP_WAIT, INVOKE_WITH_LAYER, MSG_CONTAINER, MSG_RESEND_REQ, MSGS_ACK, MSGS_STATE_INFO, MSGS_STATE_REQ,
    NEW_SESSION_CREATED, PING, PONG, REQ_PQ_MULTI, RES_PQ, RPC_DROP_ANSWER, RPC_ERROR, RPC_RESULT,
};
use countersign::dialect::telegram::settings::LoginSettings;
use countersign::dialect::telegram::tl::{TlReader, TlWriter};
use countersign::dialect::{AcceptedStream, Acceptor, Drain, RequestHeld, RequestRoom, RequestStage, Speaks};
use countersign::domain::client_key::KeyLives;
use countersign::domain::text::DialectName;
use countersign::flows::client_key::{self, ClientKeyName};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::server::{KEY_LIFE, key};
use crate::doubles::SeededEntropy;
use crate::support::TestApp;

/// A server without a listener.
pub(crate) struct Bare {
    pub(crate) server: TestApp,
    pub(super) acceptor: Arc<dyn Acceptor>,
    requests: Arc<Room>,
    key: Arc<AuthKey>,
    _stops: watch::Sender<bool>,
    draining: Drain,
}

impl Bare {
    /// One that knows a key already.
    pub(crate) async fn new() -> Self {
        Self::of(TestApp::new().await).await
    }

    /// One that has codes sent to the United States.
    pub(crate) async fn sending() -> Self {
        Self::of(TestApp::sending(super::server::senders()).await).await
    }

    pub(crate) async fn of(server: TestApp) -> Self {
        Self::with(server, settings()).await
    }

    /// One whose operator chose this.
    pub(super) async fn with(server: TestApp, settings: LoginSettings) -> Self {
        let bytes = Zeroizing::new(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        let key = AuthKey::new(bytes.clone());
        let name = key_name(&server.app, key.id());
        // The server may be one that was started again.
        let _kept_or_known = client_key::keep(&server.app, name, bytes.as_slice(), lives(), None).await;
        let (stops, stopped) = watch::channel(false);
        Self {
            acceptor: acceptor(&server.app, settings),
            server,
            requests: Arc::new(Room(AtomicUsize::new(usize::MAX))),
            key: Arc::new(key),
            _stops: stops,
            draining: Drain::new(stopped),
        }
    }

    /// From now on there is room for so many more requests, which keep their places for good.
    pub(super) fn leave_room_for(&self, requests: usize) {
        self.requests.0.store(requests, Ordering::SeqCst);
    }

    /// What the key is found by that all clients have.
    pub(crate) fn key_name(&self) -> ClientKeyName {
        key_name(&self.server.app, self.key.id())
    }

    pub(crate) fn connect(&self) -> DuplexStream {
        self.connect_from("192.0.2.1")
    }

    pub(crate) fn connect_from(&self, peer: &str) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        self.speak(theirs, peer);
        ours
    }

    fn speak(&self, theirs: DuplexStream, peer: &str) -> JoinHandle<()> {
        let client = AcceptedStream {
            bytes: Box::new(theirs),
            peer: peer.parse::<IpAddr>().unwrap(),
            stage: Arc::<RequestStage>::default(),
            draining: self.draining.clone(),
            requests: Arc::<Room>::clone(&self.requests),
        };
        let acceptor = Arc::clone(&self.acceptor);
        tokio::spawn(async move { acceptor.accept(client).await })
    }

    /// All that is answered to these bytes, behind which the client closes its side.
    pub(crate) async fn whole(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut ours, theirs) = tokio::io::duplex(1 << 20);
        let speaking = self.speak(theirs, "192.0.2.1");
        // It may have ended before it has read all.
        let _all_or_some = ours.write_all(bytes).await;
        let _closed_or_open = ours.shutdown().await;
        let mut answered = Vec::new();
        ours.read_to_end(&mut answered).await.unwrap();
        speaking.await.expect("nothing makes it panic");
        answered
    }

    /// A client of the intermediate transport that has a session.
    pub(crate) async fn client(&self, session: i64) -> RawClient {
        self.client_from("192.0.2.1", session).await
    }

    pub(super) async fn client_from(&self, peer: &str, session: i64) -> RawClient {
        let mut stream = self.connect_from(peer);
        stream.write_all(&[0xee; 4]).await.unwrap();
        self.client_on(stream, Arc::clone(&self.key), session)
    }

    /// A client that speaks with this key on a connection that is open.
    pub(super) fn client_on(&self, stream: DuplexStream, key: Arc<AuthKey>, session: i64) -> RawClient {
        RawClient {
            stream,
            key,
            session,
            salt: 0,
            last: i64::try_from(self.server.seconds() << 32).unwrap() + 0x1_0000_0000,
            numbered: 0,
        }
    }

    /// One that was told the salt.
    pub(crate) async fn greeted(&self, session: i64) -> RawClient {
        let mut client = self.client(session).await;
        client.greet().await;
        client
    }
}

/// Room for some requests, whose places are never given back.
#[derive(Debug)]
struct Room(AtomicUsize);

#[derive(Debug)]
struct Held;

impl RequestHeld for Held {}

impl RequestRoom for Room {
    fn begin(&self) -> Option<Box<dyn RequestHeld>> {
        let less = |left: usize| left.checked_sub(1);
        let taken = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        taken.ok().map(|_| Box::new(Held) as Box<dyn RequestHeld>)
    }
}

/// Room for as many requests as anybody makes.
pub(crate) fn unbounded() -> Arc<dyn RequestRoom> {
    Arc::new(Room(AtomicUsize::new(usize::MAX)))
}

pub(super) fn settings() -> LoginSettings {
    LoginSettings {
        apps: Vec::new(),
        account: None,
        key_lives: lives(),
    }
}

fn acceptor(app: &Arc<App>, settings: LoginSettings) -> Arc<dyn Acceptor> {
    match dialect(Arc::clone(app), HandshakeKeys::new(key()), settings).speaks {
        Speaks::Streams(acceptor) => acceptor,
        Speaks::Http(_) => unreachable!("it is spoken in bytes"),
    }
}

pub(crate) fn lives() -> KeyLives {
    KeyLives {
        logged_in: KEY_LIFE,
        otherwise: KEY_LIFE,
    }
}

pub(super) fn key_name(app: &App, id: i64) -> ClientKeyName {
    ClientKeyName::of(app, &DialectName::parse("telegram").unwrap(), &id.to_le_bytes())
}

/// A client that can do whatever it likes.
pub(crate) struct RawClient {
    pub(super) stream: DuplexStream,
    pub(super) key: Arc<AuthKey>,
    pub(super) session: i64,
    pub(crate) salt: i64,
    pub(super) last: i64,
    numbered: u32,
}

/// A message that the server sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(super) id: i64,
    seqno: u32,
    pub(super) body: Vec<u8>,
}

impl Told {
    pub(crate) fn constructor(&self) -> u32 {
        TlReader::new(&self.body).word().unwrap()
    }

    /// What a method answered, without what it is wrapped in.
    pub(super) fn result(&self) -> (i64, u32) {
        let mut reader = TlReader::new(&self.body);
        assert_eq!(reader.word(), Ok(RPC_RESULT));
        (reader.long().unwrap(), reader.word().unwrap())
    }

    /// Which message is not taken, and why.
    pub(super) fn refusal(&self) -> (i64, i32) {
        let mut reader = TlReader::new(&self.body);
        assert_eq!(reader.word(), Ok(BAD_MSG_NOTIFICATION));
        let id = reader.long().unwrap();
        reader.word().unwrap();
        (id, reader.int().unwrap())
    }
}

impl RawClient {
    /// Is told the salt.
    pub(super) async fn greet(&mut self) {
        self.send(true, &ping()).await;
        let told = self.receive().await;
        assert_eq!(told[0].constructor(), BAD_SERVER_SALT);
        self.salt = i64::from_le_bytes(told[0].body[20..28].try_into().unwrap());
    }

    /// Calls a method.
    pub(crate) async fn call(&mut self, method: &[u8]) -> Result<Vec<u8>, (i32, String)> {
        let id = self.send(true, method).await;
        let told = self.receive().await;
        let is_result = |told: &&Told| told.constructor() == RPC_RESULT && told.result().0 == id;
        let result = told.iter().find(is_result).expect("each call is answered");
        let mut reader = TlReader::new(&result.body[12..]);
        if reader.word() == Ok(RPC_ERROR) {
            return Err((reader.int().unwrap(), reader.string().unwrap().to_owned()));
        }
        Ok(result.body[12..].to_vec())
    }

    /// It is the same client, on another connection.
    pub(super) fn go_on_from(&mut self, other: &Self) {
        (self.last, self.numbered) = (other.last, other.numbered);
    }

    pub(crate) fn next(&mut self, confirmed: bool) -> (i64, u32) {
        self.last += 4;
        let seqno = 2 * self.numbered + u32::from(confirmed);
        self.numbered += u32::from(confirmed);
        (self.last, seqno)
    }

    pub(crate) async fn send(&mut self, confirmed: bool, body: &[u8]) -> i64 {
        let (id, seqno) = self.next(confirmed);
        self.send_as(id, seqno, body).await;
        id
    }

    pub(super) async fn send_as(&mut self, id: i64, seqno: u32, body: &[u8]) {
        let framed = self.framed(id, seqno, body);
        self.stream.write_all(&framed).await.unwrap();
    }

    pub(crate) fn framed(&self, id: i64, seqno: u32, body: &[u8]) -> Vec<u8> {
        let message = MtprotoMessage {
            salt: self.salt,
            session: self.session,
            id,
            seqno,
            body: body.to_vec(),
        };
        let sealed = self
            .key
            .seal(SendingSide::Client, &message, &SeededEntropy::new(5));
        let length = u32::try_from(sealed.len()).unwrap();
        [&length.to_le_bytes()[..], &sealed].concat()
    }

    pub(super) async fn frame(&mut self) -> Option<Vec<u8>> {
        let length = self.stream.read_u32_le().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut frame).await.unwrap();
        Some(frame)
    }

    /// The next messages that the server sends together.
    pub(crate) async fn receive(&mut self) -> Vec<Told> {
        let frame = self.frame().await.expect("the connection goes on");
        self.opened(&frame)
    }

    /// The messages in a frame.
    pub(super) fn opened(&self, frame: &[u8]) -> Vec<Told> {
        let message = self.key.open(SendingSide::Server, &frame[8..]).unwrap();
        let (outer, body) = (message.id, message.body);
        let mut reader = TlReader::new(&body);
        if reader.word() != Ok(MSG_CONTAINER) {
            let seqno = message.seqno;
            return vec![Told {
                id: outer,
                seqno,
                body,
            }];
        }
        let count = reader.count(16, 1000).unwrap();
        (0..count)
            .map(|_| {
                let (id, seqno) = (reader.long().unwrap(), reader.word().unwrap());
                assert!(id < outer, "what is in a container came before it");
                let length = usize::try_from(reader.word().unwrap()).unwrap();
                let body = reader.raw(length).unwrap().to_vec();
                Told { id, seqno, body }
            })
            .collect()
    }

    /// Nothing more comes, and the connection is closed.
    pub(super) async fn is_closed(&mut self) -> bool {
        self.frame().await.is_none()
    }
}

pub(crate) fn ping() -> Vec<u8> {
    TlWriter::of(PING).long(7).done()
}

pub(crate) fn send_code() -> Vec<u8> {
    send_code_to("+12025550123")
}

pub(crate) fn send_code_to(number: &str) -> Vec<u8> {
    TlWriter::of(AUTH_SEND_CODE)
        .string(number)
        .int(1)
        .string("any")
        .word(CODE_SETTINGS)
        .word(0)
        .done()
}

/// A call of a method about an attempt.
pub(crate) fn about(method: u32, number: &str, attempt: &str, code: Option<&str>) -> Vec<u8> {
    let flags = match method {
        AUTH_SIGN_IN => Some(u32::from(code.is_some())),
        AUTH_RESEND_CODE => Some(0),
        _ => None,
    };
    let begun = TlWriter::of(method);
    let begun = flags.into_iter().fold(begun, TlWriter::word);
    let named = begun.string(number).string(attempt);
    code.into_iter().fold(named, TlWriter::string).done()
}

/// A method in the words of a version of the schema.
pub(crate) fn in_layer(layer: i32, method: &[u8]) -> Vec<u8> {
    TlWriter::of(INVOKE_WITH_LAYER).int(layer).raw(method).done()
}

/// What names the attempt that `auth.sentCode` speaks of.
pub(crate) fn attempt_of(sent: &[u8]) -> String {
    let mut reader = TlReader::new(sent);
    reader.raw(4 + 4 + 4 + 4).unwrap();
    reader.string().unwrap().to_owned()
}

pub(crate) fn container(parts: &[(i64, u32, Vec<u8>)]) -> Vec<u8> {
    let count = u32::try_from(parts.len()).unwrap();
    let begun = TlWriter::of(MSG_CONTAINER).word(count);
    let written = parts.iter().fold(begun, |written, (id, seqno, body)| {
        let length = u32::try_from(body.len()).unwrap();
        written.long(*id).word(*seqno).word(length).raw(body)
    });
    written.done()
}

pub(crate) fn packed(value: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(value).unwrap();
    TlWriter::of(GZIP_PACKED).bytes(&encoder.finish().unwrap()).done()
}

#[tokio::test]
async fn a_session_is_announced_once_and_its_messages_are_answered_in_their_order() {
    let bare = Bare::new().await;
    let mut client = bare.greeted(5).await;
    let (first, second) = (client.next(true), client.next(true));
    let (outer, outer_seqno) = client.next(false);
    let both = container(&[
        (first.0, first.1, ping()),
        (second.0, second.1, packed(&HELP_GET_CONFIG.to_le_bytes())),
    ]);
    client.send_as(outer, outer_seqno, &both).await;
    let told = client.receive().await;
    let kinds: Vec<_> = told.iter().map(Told::constructor).collect();
    assert_eq!(kinds, [NEW_SESSION_CREATED, PONG, RPC_RESULT]);
    assert_eq!(told[2].result().0, second.0);
    assert!(
        told.iter().all(|told| told.seqno % 2 == 1),
        "each is to be confirmed"
    );
    client.send(true, &ping()).await;
    assert_eq!(client.receive().await[0].constructor(), PONG);
}

#[tokio::test]
async fn a_message_that_comes_again_is_answered_alike_and_counts_once() {
    let bare = Bare::new().await;
    let mut client = bare.greeted(5).await;
    let (id, seqno) = client.next(true);
    client.send_as(id, seqno, &send_code()).await;
    let first = client.receive().await.pop().unwrap();
    client.send_as(id, seqno, &send_code()).await;
    assert!(client.receive().await == [first.clone()]);
    // Over another connection, too; and an answer that was confirmed is not made anew.
    let mut other = bare.client(5).await;
    other.salt = client.salt;
    other.send_as(id, seqno, &send_code()).await;
    let told = other.receive().await;
    let kinds: Vec<_> = told.iter().map(Told::constructor).collect();
    assert_eq!(kinds, [NEW_SESSION_CREATED, RPC_RESULT], "neither was confirmed");
    assert!(told[1] == first);
    client
        .send(
            false,
            &TlWriter::of(MSGS_ACK).longs(&[told[0].id, first.id]).done(),
        )
        .await;
    client.send_as(id, seqno, &send_code()).await;
    assert_eq!(client.receive().await[0].constructor(), MSGS_ACK);
    // Nor does a process that was started again take it as it was.
    let restarted = Bare::of(bare.server.restarted(Arc::clone(&bare.server.app.engine))).await;
    restarted.server.clock.advance(std::time::Duration::from_secs(2));
    let mut later = restarted.client(5).await;
    later.salt = client.salt;
    later.send_as(id, seqno, &send_code()).await;
    assert_eq!(later.receive().await[0].constructor(), BAD_SERVER_SALT);
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_told_and_the_connection_goes_on() {
    let bare = Bare::new().await;
    let mut client = bare.greeted(5).await;
    client.send(true, &ping()).await;
    client.receive().await;
    let now = client.last;
    let minute = 60 << 32;
    let inner = container(&[(now + 8, 0, container(&[]))]);
    let many: Vec<_> = (0..200).map(|_| (4, 1, ping())).collect();
    for (id, seqno, body, code) in [
        (now - 6 * minute, 9, ping(), 16),
        (now + minute, 9, ping(), 17),
        (now + 9, 9, ping(), 18),
        (now + 4, 1, ping(), 32),
        (now + 12, 0, inner, 64),
        (now + 16, 0, container(&many), 64),
        (now + 20, 0, TlWriter::of(MSG_CONTAINER).word(u32::MAX).done(), 64),
        (now + 24, 3, container(&[]), 34),
    ] {
        client.send_as(id, seqno, &body).await;
        assert_eq!(client.receive().await[0].refusal(), (id, code));
    }
    client.numbered = 20;
    client.last = now + 100;
    for body in [
        packed(&vec![0; MOST_INFLATED + 1]),
        packed(&packed(&ping())),
        TlWriter::of(GZIP_PACKED).bytes(&[1, 2, 3]).done(),
        TlWriter::of(PING).done(),
        TlWriter::of(AUTH_SEND_CODE).word(0xff).done(),
        TlWriter::of(HTTP_WAIT).int(1).int(1).int(1).done(),
        TlWriter::of(7).done(),
    ] {
        let id = client.send(true, &body).await;
        assert_eq!(client.receive().await[0].result(), (id, RPC_ERROR));
    }
    client.send(true, &ping()).await;
    assert_eq!(client.receive().await[0].constructor(), PONG);
}

#[tokio::test]
async fn answers_are_sent_again_dropped_and_spoken_of() {
    let bare = Bare::new().await;
    let mut client = bare.greeted(5).await;
    let asked = client.send(true, &HELP_GET_CONFIG.to_le_bytes()).await;
    let answer = client.receive().await.pop().unwrap();
    client
        .send(true, &TlWriter::of(MSG_RESEND_REQ).longs(&[answer.id]).done())
        .await;
    assert!(client.receive().await == [answer.clone()]);
    for ask in [MSG_RESEND_REQ, MSGS_STATE_REQ] {
        let id = client
            .send(true, &TlWriter::of(ask).longs(&[asked, asked + 2]).done())
            .await;
        let told = client.receive().await.pop().unwrap();
        let mut reader = TlReader::new(&told.body);
        assert_eq!((reader.word(), reader.long()), (Ok(MSGS_STATE_INFO), Ok(id)));
        assert_eq!(reader.bytes().unwrap(), [4 + 8 + 64, 2]);
    }
    for expected in [0xa43a_d8b7, 0x5e2a_d36e] {
        let id = client
            .send(true, &TlWriter::of(RPC_DROP_ANSWER).long(asked).done())
            .await;
        assert_eq!(client.receive().await[0].result(), (id, expected));
    }
}

#[tokio::test]
async fn salts_change_and_the_next_ones_are_told_before() {
    let bare = Bare::new().await;
    let mut client = bare.greeted(5).await;
    client
        .send(true, &TlWriter::of(GET_FUTURE_SALTS).int(3).done())
        .await;
    let told = client.receive().await.pop().unwrap();
    let mut reader = TlReader::new(&told.body);
    assert_eq!(reader.word(), Ok(FUTURE_SALTS));
    reader.long().unwrap();
    reader.int().unwrap();
    assert_eq!(reader.word(), Ok(3));
    let salts: Vec<_> = (0..3)
        .map(|_| {
            (
                reader.int().unwrap(),
                reader.int().unwrap(),
                reader.long().unwrap(),
            )
        })
        .collect();
    assert_eq!(salts[0].2, client.salt);
    for (nth, (since, until, salt)) in salts.iter().enumerate() {
        assert_eq!(until - since, 3600);
        if nth > 0 {
            bare.server.wait(1800);
            client.last += 1800 << 32;
        }
        // The one before is still good.
        for salt in [client.salt, *salt] {
            client.salt = salt;
            client.send(true, &ping()).await;
            assert_eq!(client.receive().await.pop().unwrap().constructor(), PONG);
        }
    }
    client.salt = salts[0].2;
    client.send(true, &ping()).await;
    assert_eq!(client.receive().await[0].constructor(), BAD_SERVER_SALT);
}

#[tokio::test]
async fn what_does_not_open_ends_the_connection_without_a_word() {
    let bare = Bare::new().await;
    for position in [8, 30, 60] {
        let mut client = bare.client(5).await;
        let (id, seqno) = client.next(true);
        let mut framed = client.framed(id, seqno, &ping());
        framed[4 + position] ^= 1;
        client.stream.write_all(&framed).await.unwrap();
        assert!(client.is_closed().await, "{position}");
    }
    let mut client = bare.client(5).await;
    let (id, seqno) = client.next(true);
    let mut framed = client.framed(id, seqno, &ping());
    framed[4] ^= 1;
    client.stream.write_all(&framed).await.unwrap();
    assert_eq!(
        client.frame().await.unwrap(),
        (-404i32).to_le_bytes(),
        "another key"
    );
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_key_that_one_connection_destroys_is_gone_for_all() {
    let bare = Bare::new().await;
    let (mut one, mut other) = (bare.greeted(5).await, bare.greeted(6).await);
    one.send(true, &DESTROY_AUTH_KEY.to_le_bytes()).await;
    assert_eq!(
        one.receive().await.pop().unwrap().constructor(),
        DESTROY_AUTH_KEY_OK
    );
    other.send(true, &HELP_GET_CONFIG.to_le_bytes()).await;
    assert_eq!(other.frame().await.unwrap(), (-404i32).to_le_bytes());
    assert!(other.is_closed().await);
}

#[tokio::test]
async fn handshakes_that_are_not_finished_are_bounded_for_each_address() {
    let bare = Bare::new().await;
    let request = TlWriter::of(REQ_PQ_MULTI).raw(&[1; 16]).done();
    let length = u32::try_from(request.len()).unwrap();
    let payload = TlWriter::default()
        .long(0)
        .long(4)
        .word(length)
        .raw(&request)
        .done();
    let framed = [
        &[0xee; 4][..],
        &u32::try_from(payload.len()).unwrap().to_le_bytes(),
        &payload,
    ]
    .concat();
    let mut held = Vec::new();
    let (mut begun, mut refused) = (0, 0);
    for nth in 0..100 {
        let peer = if nth < 99 { "192.0.2.1" } else { "192.0.2.2" };
        let mut stream = bare.connect_from(peer);
        stream.write_all(&framed).await.unwrap();
        let length = stream.read_u32_le().await.unwrap();
        let mut answer = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut answer).await.unwrap();
        if answer == (-429i32).to_le_bytes() {
            refused += 1;
            assert!(stream.read_u8().await.is_err(), "it is closed");
        } else {
            assert_eq!(answer[20..24], RES_PQ.to_le_bytes());
            begun += 1;
            held.push(stream);
        }
    }
    assert_eq!((begun, refused), (61, 39));
}
