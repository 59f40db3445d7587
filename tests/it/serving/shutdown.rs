//! The end of a server.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use countersign::server::ClientLimits;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::http::{PATIENCE, serve, until_body, until_closed};
use super::process::{Process, basic};

#[tokio::test]
async fn requests_in_flight_finish_and_idle_connections_are_closed() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (entering, leaving) = (Arc::clone(&entered), Arc::clone(&leave));
    let held = get(async move || {
        entering.notify_one();
        leaving.notified().await;
        "done"
    });
    let router = Router::new()
        .route("/held", held)
        .route("/", get(async || "fine"));
    let server = serve(router, ClientLimits::default()).await;

    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    until_body(&mut idle, "fine").await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    entered.notified().await;

    server.stop.send(()).unwrap();
    assert_eq!(until_closed(&mut idle).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!server.ended.is_finished());
    leave.notify_one();
    assert!(until_closed(&mut busy).await.ends_with("done"));
    drop((idle, busy));
    server.ended.await.unwrap();
}

#[tokio::test]
async fn requests_that_never_finish_are_waited_for_no_longer_than_the_drain() {
    let held = get(async || std::future::pending::<&'static str>().await);
    let limits = ClientLimits {
        drain: Duration::from_millis(100),
        ..ClientLimits::default()
    };
    let server = serve(Router::new().route("/held", held), limits).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    server.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, server.ended)
        .await
        .expect("it stops")
        .unwrap();
}

#[test]
fn sigterm_ends_the_process_with_success_and_leaves_a_store_that_opens() {
    let directory = TempDir::new().unwrap();
    for _ in 0..2 {
        let server = Process::start(directory.path());
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));
        assert!(!directory.path().join("admin.sock").exists());
    }
}

/// Needs `POST /v2/Services`.
#[test]
fn a_request_in_flight_is_answered_after_sigterm() {
    let directory = TempDir::new().unwrap();
    let mut server = Process::start(directory.path());
    let (sid, token) = server.credentials();
    let mut stream = server.connect();
    let head = format!(
        "POST /v2/Services HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nExpect: 100-continue\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 17\r\n\r\n",
        basic(&sid, &token)
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server asks for the body, so the request is in its hands.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal("TERM");
    server.wait_for_log("stopping");
    stream.write_all(b"FriendlyName=Demo").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(server.wait(), Some(0));
}

/// Needs `POST /v2/Services`.
#[test]
fn a_second_signal_ends_the_process_at_once() {
    let directory = TempDir::new().unwrap();
    let mut server = Process::start(directory.path());
    let (sid, token) = server.credentials();
    let mut stream = server.connect();
    let head = format!(
        "POST /v2/Services HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nExpect: 100-continue\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 17\r\n\r\n",
        basic(&sid, &token)
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 25]).unwrap();
    server.signal("TERM");
    server.wait_for_log("stopping");
    server.signal("INT");
    assert_eq!(server.wait(), Some(130));
}
