//! Calls of gRPC beside each other on one connection, some of which nobody should make.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, Request};
use bytes::Bytes;
use countersign::dialect::{Speaks, signal, together, twilio, zitadel};
use countersign::server::{ClientLimits, Listener};
use countersign::web::rpc::{ServerHealth, about};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::client::{Client, request};
use crate::foreign::python;
use crate::serving::http::{PATIENCE, Served, serve_dialect};
use crate::serving::limits::SOON;
use crate::serving::process::Process;
use crate::support::TestApp;

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const QUESTIONS: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const CREATE: &str = "/org.signal.registration.rpc.RegistrationService/CreateSession";

/// A session for +32470123456.
const SESSION: &[u8] = &[0, 0, 0, 0, 8, 0x08, 0xc0, 0xe4, 0x80, 0xfd, 0x78, 0x10, 0];
/// Of the whole server.
const ANY: &[u8] = &[0, 0, 0, 0, 0];

/// A server of calls, on a connection.
struct Called {
    client: Client,
    health: watch::Sender<ServerHealth>,
    served: Served,
}

impl Called {
    async fn of(app: &TestApp, limits: ClientLimits) -> Self {
        let (health, told) = watch::channel(ServerHealth::Serving);
        let described = [signal::DESCRIPTORS, zitadel::DESCRIPTORS];
        let usual = twilio::http(
            app.app.clone(),
            countersign::web::public_url::PublicUrl::from_requests(),
        );
        let registration = signal::http(app.app.clone(), signal::Callers::Anybody(None), None);
        let special = vec![
            (signal::claims as fn(&_, &_) -> _, registration),
            (about::claims, about::http(&described, told).unwrap()),
        ];
        let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
        let served = serve_dialect(listener, Speaks::Http(together(usual, special)), limits);
        Self {
            client: Client::of(&served).await,
            health,
            served,
        }
    }

    /// The status of a call with this body.
    async fn call(&self, path: &str, headers: &[(&'static str, &str)], body: &[u8]) -> i32 {
        let (answer, mut out) = self.client.begin(call(path, headers), false).await;
        // It may be answered before all of it is sent.
        let _partly = out.send_data(Bytes::copy_from_slice(body), true);
        status(answer).await
    }

    /// Begins a call that is answered bit by bit.
    async fn watch(&self) -> RecvStream {
        let (answer, mut out) = self.client.begin(call(WATCH, &[]), false).await;
        out.send_data(Bytes::from_static(ANY), true).unwrap();
        let waited = tokio::time::timeout(PATIENCE, answer).await;
        waited.expect("an answer comes").unwrap().into_body()
    }
}

fn call(path: &str, headers: &[(&'static str, &str)]) -> Request<()> {
    let mut call = request(Method::POST, path);
    let kind = HeaderValue::from_static("application/grpc");
    call.headers_mut().insert("content-type", kind);
    for (name, value) in headers {
        call.headers_mut().insert(*name, value.parse().unwrap());
    }
    call
}

fn told(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// What becomes of a call.
async fn status(answer: ResponseFuture) -> i32 {
    let waited = tokio::time::timeout(PATIENCE, async {
        let (head, mut body) = answer.await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        while let Some(piece) = body.data().await {
            let _read = body.flow_control().release_capacity(piece.unwrap().len());
        }
        let trailers = body.trailers().await.unwrap();
        told(&head.headers).or_else(|| trailers.as_ref().and_then(told))
    });
    waited
        .await
        .expect("an answer comes")
        .expect("each call has a status")
}

/// The status of health in the next message.
async fn next(body: &mut RecvStream) -> u8 {
    let waited = tokio::time::timeout(PATIENCE, body.data()).await;
    let piece = waited.expect("a message comes").unwrap().unwrap();
    let _read = body.flow_control().release_capacity(piece.len());
    assert_eq!(piece.len(), 7, "{piece:?}");
    piece[6]
}

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;

#[tokio::test]
async fn broken_calls_change_nothing_and_leave_the_others_of_their_connection_alone() {
    let app = TestApp::new().await;
    let called = Called::of(&app, ClientLimits::default()).await;
    let mut watching = called.watch().await;
    assert_eq!(next(&mut watching).await, SERVING);
    let before = app.dump().await;
    let long = "x".repeat(33 * 1024);
    let huge = [&[0][..], &200_000_u32.to_be_bytes(), &vec![0; 200_000]].concat();
    for (headers, body, expected) in [
        (&[][..], &[][..], 13),
        (&[], &SESSION[..3], 13),
        (&[], &SESSION[..9], 13),
        (&[], &[SESSION, SESSION].concat()[..], 13),
        (&[], b"\x80\0\0\0\x10grpc-status: 0\r\n", 13),
        (&[], b"\x01\0\0\0\x01x", 13),
        (
            &[],
            b"\0\0\0\0\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            13,
        ),
        (&[], b"\0\0\0\0\x04\x1a\x02\xff\xfe", 13),
        (&[], &huge, 8),
        (&[("grpc-encoding", "snappy")], SESSION, 12),
        (&[("grpc-encoding", "gzip")], b"\x01\0\0\0\x04\x1f\x8b\x08\0", 13),
        (&[("grpc-timeout", "soon")], SESSION, 3),
        (&[("grpc-timeout", "0n")], SESSION, 4),
        (&[("x-metadata", &*long)], SESSION, 8),
    ] {
        let answered = called.call(CREATE, headers, body).await;
        assert_eq!(
            answered,
            expected,
            "{:?} {:?}",
            body.get(..20),
            headers.first().map(|(name, _)| name)
        );
        assert_eq!(called.call(CHECK, &[], ANY).await, 0);
    }
    assert_eq!(app.dump().await, before);
    called.health.send_replace(ServerHealth::Failing);
    assert_eq!(next(&mut watching).await, NOT_SERVING);
    // What was refused above is a session when it is sent as it should be.
    assert_eq!(called.call(CREATE, &[("grpc-timeout", "10S")], SESSION).await, 0);
    assert!(app.dump().await != before && called.client.is_open());
}

#[tokio::test]
async fn calls_that_are_given_up_before_they_are_whole_are_never_made() {
    let app = TestApp::new().await;
    let called = Called::of(&app, ClientLimits::default()).await;
    let mut watching = called.watch().await;
    assert_eq!(next(&mut watching).await, SERVING);
    let before = app.dump().await;
    for _ in 0..200 {
        let (answer, mut out) = called.client.begin(call(CREATE, &[]), false).await;
        out.send_data(Bytes::from_static(&SESSION[..9]), false).unwrap();
        // So that it was seen: those that nobody saw are counted where floods are.
        assert_eq!(called.call(CHECK, &[], ANY).await, 0);
        out.send_reset(Reason::CANCEL);
        assert!(answer.await.is_err());
    }
    assert_eq!(app.dump().await, before);
    called.health.send_replace(ServerHealth::Failing);
    assert_eq!(next(&mut watching).await, NOT_SERVING);
}

/// Questions come within the time of a body; those who only listen owe nothing.
#[tokio::test]
async fn who_asks_nothing_is_given_up_and_who_listens_is_not() {
    let app = TestApp::new().await;
    let limits = ClientLimits {
        body: SOON,
        ..ClientLimits::default()
    };
    let called = Called::of(&app, limits).await;
    let mut watching = called.watch().await;
    assert_eq!(next(&mut watching).await, SERVING);
    let (answer, out) = called.client.begin(call(QUESTIONS, &[]), false).await;
    assert_eq!(status(answer).await, 0);
    drop(out);
    called.health.send_replace(ServerHealth::Failing);
    assert_eq!(next(&mut watching).await, NOT_SERVING);
}

/// Over HTTP/1.1 the connection is the call's, however long it says nothing.
#[tokio::test]
async fn a_browser_that_listens_owes_nothing() {
    let app = TestApp::new().await;
    let limits = ClientLimits {
        body: SOON,
        idle: SOON,
        ..ClientLimits::default()
    };
    let called = Called::of(&app, limits).await;
    let mut page = called.served.connect().await;
    let head = format!(
        "POST {WATCH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\r\n"
    );
    page.write_all(&[head.as_bytes(), ANY].concat()).await.unwrap();
    let mut text = Vec::new();
    let mut until = async |part: &[u8]| {
        while !text.windows(part.len()).any(|window| window == part) {
            let read = tokio::time::timeout(PATIENCE, page.read_buf(&mut text)).await;
            assert!(read.unwrap().unwrap() > 0, "closed after {text:?}");
        }
    };
    until(b"\0\0\0\0\x02\x08\x01").await;
    tokio::time::sleep(SOON * 4).await;
    called.health.send_replace(ServerHealth::Failing);
    until(b"\0\0\0\0\x02\x08\x02").await;
    called.health.send_replace(ServerHealth::Ending);
    until(b"grpc-status:0").await;
}

/// As behind a 401: a connection on which nobody known asks is kept for a moment only.
#[tokio::test]
async fn who_is_not_known_to_a_service_does_not_idle_for_long() {
    let app = TestApp::new().await;
    let limits = ClientLimits {
        stranger: SOON,
        ..ClientLimits::default()
    };
    let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    let registration = signal::http(app.app.clone(), signal::Callers::Tokens, None);
    let served = serve_dialect(listener, Speaks::Http(registration), limits);
    let client = Client::of(&served).await;
    let (answer, mut out) = client.begin(call(CREATE, &[]), false).await;
    out.send_data(Bytes::from_static(SESSION), true).unwrap();
    assert_eq!(status(answer).await, 16);
    assert!(client.ended().await.is_none());
    let head = format!(
        "POST {CREATE} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: {}\r\n\r\n",
        SESSION.len()
    );
    let answer = served.exchange([head.as_bytes(), SESSION].concat()).await;
    assert!(answer.contains("\r\nGrpc-Status: 16\r\n"), "{answer}");
}

/// With the binary, whose store is well, and which tells those who watch that it ends.
#[tokio::test]
async fn those_who_watch_a_server_are_told_of_its_end_and_do_not_hold_it_up() {
    let data = TempDir::new().unwrap();
    let process = Process::start(data.path());
    let address = process.url.strip_prefix("http://").unwrap().to_owned();
    let client = Client::on(TcpStream::connect(address).await.unwrap()).await;
    for service in [
        "",
        "org.signal.registration.rpc.RegistrationService",
        "zitadel.auth.v1.AuthService",
        "zitadel.user.v2.UserService",
    ] {
        let length = u8::try_from(service.len()).unwrap();
        let message = [&[0, 0, 0, 0, length + 2, 0x0a, length], service.as_bytes()].concat();
        let (answer, mut out) = client.begin(call(CHECK, &[]), false).await;
        out.send_data(message.into(), true).unwrap();
        assert_eq!(status(answer).await, 0, "{service}");
    }
    let (answer, mut out) = client.begin(call(WATCH, &[]), false).await;
    out.send_data(Bytes::from_static(ANY), true).unwrap();
    let mut watching = answer.await.unwrap().into_body();
    assert_eq!(next(&mut watching).await, SERVING);
    process.signal("TERM");
    assert_eq!(next(&mut watching).await, NOT_SERVING);
    assert!(watching.data().await.is_none());
    let trailers = watching.trailers().await.unwrap().unwrap();
    assert_eq!(told(&trailers), Some(0));
    let ended = tokio::task::spawn_blocking(|| process.wait());
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    assert_eq!(ended.expect("nothing holds it up").unwrap(), Some(0));
}

#[test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
fn a_client_without_any_file_learns_what_there_is_and_calls_it() {
    let data = TempDir::new().unwrap();
    let process = Process::start(data.path());
    let output = python("reflection.py", &["grpc", "grpc_reflection"])
        .arg(process.url.strip_prefix("http://").unwrap())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
}
