//! Clients that send much and want nothing.

use axum::Router;
use axum::routing::any;
use countersign::server::ClientLimits;

use super::client::Client;
use super::raw::{self, ENHANCE_YOUR_CALM, Raw, frame};
use crate::serving::http::{Served, serve};

async fn server() -> Served {
    let pending = any(async || std::future::pending::<&'static str>().await);
    let router = Router::new()
        .route("/", any(async || "fine"))
        .route("/pending", pending);
    serve(router, ClientLimits::default()).await
}

/// Whoever else is served, is served on.
async fn others_are_served(server: &Served) {
    assert_eq!(Client::of(server).await.get("/").await.text, "fine");
}

/// CVE-2023-44487: requests that are taken back before anybody has seen them.
#[tokio::test]
async fn many_requests_that_are_reset_at_once_end_the_connection() {
    let server = server().await;
    let mut client = Raw::of(&server).await;
    let pairs = (0..1000).flat_map(|n| {
        let stream = 2 * n + 1;
        [raw::head(stream, "GET", "/pending", true), raw::reset(stream)].concat()
    });
    client.send(&pairs.collect::<Vec<_>>()).await;
    assert_eq!(client.until_gone().await, Some(ENHANCE_YOUR_CALM));
    others_are_served(&server).await;
}

/// The same, each time after the server has begun to work.
#[tokio::test]
async fn requests_that_are_reset_one_after_another_end_the_connection_some_time() {
    let server = server().await;
    for (method, path) in [("GET", "/pending"), ("POST", "/")] {
        let mut client = Raw::of(&server).await;
        let mut stream = 1;
        loop {
            client.send(&raw::head(stream, method, path, true)).await;
            client.send(&frame(raw::PING, 0, 0, &[1; 8])).await;
            let pong = loop {
                match client.next().await {
                    Some(frame) if frame.kind == raw::PING => break true,
                    Some(_) => {}
                    None => break false,
                }
            };
            if !pong {
                break;
            }
            client.send(&raw::reset(stream)).await;
            stream += 2;
            assert!(stream < 5000, "it is ended");
        }
    }
    others_are_served(&server).await;
}

#[tokio::test]
async fn a_head_in_endless_pieces_ends_the_connection() {
    let server = server().await;
    let begin = frame(raw::HEADERS, 0, 1, &raw::block("GET", "/", &[]));
    // Empty pieces, small ones, large ones, and a name that never ends.
    let header = raw::block("GET", "/", &[("x", "y")]).split_off(raw::block("GET", "/", &[]).len());
    let large = header.repeat(3000);
    let endless_name = [&[0, 127, 255, 255, 255, 7][..], &[b'x'; 16_000]].concat();
    for piece in [vec![], header, large, endless_name] {
        let mut client = Raw::of(&server).await;
        client.send(&begin).await;
        client.flood(&frame(raw::CONTINUATION, 0, 1, &piece)).await;
    }
    let mut client = Raw::of(&server).await;
    client
        .send(&[&begin[..], &frame(raw::CONTINUATION, 0, 1, &[]).repeat(50)].concat())
        .await;
    assert_eq!(client.until_gone().await, Some(ENHANCE_YOUR_CALM));
    others_are_served(&server).await;
}

/// Each of them has to be answered, or at least looked at.
#[tokio::test]
async fn frames_that_bring_nothing_end_the_connection() {
    let server = server().await;
    for one in [
        frame(raw::PING, 0, 0, &[0; 8]),
        frame(raw::PING, raw::ACK, 0, &[0; 8]),
        frame(raw::SETTINGS, 0, 0, &[]),
        frame(raw::SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0]),
        frame(raw::PRIORITY, 0, 1, &[0, 0, 0, 3, 7]),
        frame(raw::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        frame(0xFA, 0, 0, b"unknown"),
    ] {
        // Some read what is answered, some do not.
        let mut client = Raw::of(&server).await;
        client.flood(&one).await;
        let mut client = Raw::of(&server).await;
        client.send(&one.repeat(5000)).await;
        client.until_gone().await;
    }
    others_are_served(&server).await;
}

#[tokio::test]
async fn data_that_brings_nothing_ends_the_connection() {
    let server = server().await;
    for piece in [&[][..], b"x"] {
        let mut client = Raw::of(&server).await;
        client.send(&raw::head(1, "POST", "/pending", false)).await;
        client.flood(&frame(raw::DATA, 0, 1, piece).repeat(100)).await;
    }
    others_are_served(&server).await;
}

/// Requests that are none are refused one by one, until there are too many of them.
#[tokio::test]
async fn malformed_requests_end_the_connection_some_time() {
    let server = server().await;
    let malformed = |stream: u32| {
        let block = raw::block("GET", "/", &[("connection", "close")]);
        frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, stream, &block)
    };
    let mut client = Raw::of(&server).await;
    client.send(&malformed(1)).await;
    assert_eq!(client.next_of(raw::RST_STREAM).await.stream, 1);
    client.send(&raw::head(3, "GET", "/", true)).await;
    assert_eq!(client.next_of(raw::DATA).await.payload, b"fine");
    let many = (0..1000).flat_map(|n| malformed(2 * n + 5)).collect::<Vec<_>>();
    client.send(&many).await;
    assert_eq!(client.until_gone().await, Some(ENHANCE_YOUR_CALM));
    others_are_served(&server).await;
}

/// Whoever means well may ask for as much as it likes.
#[tokio::test]
async fn thousands_of_requests_are_no_flood() {
    let server = server().await;
    let mut client = Raw::of(&server).await;
    for n in 0..4000 {
        let stream = 2 * n + 1;
        let update = 4_u32.to_be_bytes();
        client
            .send(
                &[
                    raw::head(stream, "GET", "/", true),
                    frame(raw::WINDOW_UPDATE, 0, 0, &update),
                    frame(raw::PING, 0, 0, &[0; 8]),
                ]
                .concat(),
            )
            .await;
        let answer = client.next_of(raw::DATA).await;
        assert_eq!((answer.stream, answer.payload.as_slice()), (stream, &b"fine"[..]));
    }
}
