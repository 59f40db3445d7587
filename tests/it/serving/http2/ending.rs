//! Connections that end well.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use axum::routing::get;
use countersign::server::ClientLimits;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::client::{Client, request, whole};
use super::raw::{self, Raw};
use crate::serving::http::{PATIENCE, serve};
use crate::serving::limits::{SOON, router};

#[tokio::test]
async fn requests_in_flight_finish_and_idle_connections_are_told_to_go() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (entering, leaving) = (Arc::clone(&entered), Arc::clone(&leave));
    let held = get(async move || {
        entering.notify_one();
        leaving.notified().await;
        "done"
    });
    let server = serve(router().route("/held", held), ClientLimits::default()).await;

    let idle = Client::of(&server).await;
    assert_eq!(idle.get("/").await.text, "fine");
    let busy = Client::of(&server).await;
    let (waits, _) = busy.begin(request(Method::GET, "/held"), true).await;
    entered.notified().await;
    let mut told = Raw::of(&server).await;
    told.send(&raw::head(1, "GET", "/held", true)).await;
    entered.notified().await;

    server.stop.send(()).unwrap();
    assert_eq!(idle.ended().await, None);
    assert!(TcpStream::connect(server.address).await.is_err());
    let goaway = told.next_of(raw::GOAWAY).await;
    assert_eq!(goaway.reason(), raw::NO_ERROR);
    assert!(!server.ended.is_finished());
    leave.notify_one();
    leave.notify_one();
    leave.notify_waiters();
    assert_eq!(whole(waits).await.unwrap().text, "done");
    assert_eq!(told.next_of(raw::DATA).await.payload, b"done");
    assert_eq!(busy.ended().await, None);
    drop(told);
    server.ended.await.unwrap();
}

#[tokio::test]
async fn connections_that_have_not_begun_do_not_hold_a_server_up() {
    let server = serve(router(), ClientLimits::default()).await;
    let mut clients = Vec::new();
    for beginning in [&b""[..], b"PRI", raw::PREFACE] {
        let mut client = Raw::silent(&server).await;
        client.send(beginning).await;
        clients.push(client);
    }
    tokio::time::sleep(SOON).await;
    server.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server.ended)
        .await
        .expect("it stops")
        .unwrap();
}

#[tokio::test]
async fn requests_that_never_finish_are_waited_for_no_longer_than_the_drain() {
    let held = get(async || std::future::pending::<&'static str>().await);
    let limits = ClientLimits {
        drain: SOON,
        ..ClientLimits::default()
    };
    let server = serve(router().route("/held", held), limits).await;
    let client = Client::of(&server).await;
    let _waits = client.begin(request(Method::GET, "/held"), true).await;
    assert_eq!(client.get("/").await.text, "fine");
    server.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, server.ended)
        .await
        .expect("it stops")
        .unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_and_one_on_which_somebody_waits_is_not() {
    let limits = ClientLimits {
        idle: SOON,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    let (idle, new, waiting) = (
        Client::of(&server).await,
        Client::of(&server).await,
        Client::of(&server).await,
    );
    assert_eq!(idle.get("/").await.text, "fine");
    // Takes four times as long as a connection may idle.
    assert_eq!(waiting.get("/slow").await.text, "slow");
    assert_eq!(idle.ended().await, None);
    assert_eq!(new.ended().await, None);
    assert_eq!(waiting.ended().await, None);
}

/// Pings keep nobody here who wants nothing, and one that does not go is cut off.
#[tokio::test]
async fn a_client_that_does_not_go_is_cut_off() {
    let limits = ClientLimits {
        idle: SOON,
        pong: SOON,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    let mut client = Raw::of(&server).await;
    let mut reasons = Vec::new();
    while let Some(frame) = client.next().await {
        if frame.kind == raw::GOAWAY {
            reasons.push(frame.reason());
        }
        if reasons.is_empty() {
            tokio::time::sleep(SOON / 10).await;
            client.send(&raw::frame(raw::PING, 0, 0, &[1; 8])).await;
        }
    }
    assert_eq!(reasons.first(), Some(&raw::NO_ERROR));
}

/// As in HTTP/1.1, a client that closes its side is gone.
#[tokio::test]
async fn a_client_that_closes_its_side_of_the_connection_is_gone() {
    let server = serve(router(), ClientLimits::default()).await;
    let mut client = Raw::of(&server).await;
    client.send(&raw::head(1, "GET", "/", true)).await;
    assert_eq!(client.next_of(raw::DATA).await.payload, b"fine");
    client.shut().await;
    client.until_gone().await;
}
