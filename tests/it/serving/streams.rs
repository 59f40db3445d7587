//! A dialect that is no HTTP.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::dialect::{AcceptedStream, Acceptor, Speaks, Stage};
use countersign::server::{ClientLimits, Listener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::http::{serve_dialect, until_closed};

/// Repeats lines, until the server stops.
#[derive(Debug)]
struct Echo;

#[async_trait]
impl Acceptor for Echo {
    async fn accept(&self, mut client: AcceptedStream) {
        assert!(client.peer.is_loopback());
        let mut line = [0; 5];
        loop {
            tokio::select! {
                read = client.bytes.read_exact(&mut line) => match read {
                    Ok(_) => client.stage.reach(Stage::Answering),
                    Err(_) => return,
                },
                () = client.draining.begun() => {
                    client.bytes.write_all(b"bye\n").await.unwrap();
                    return;
                }
            }
            client.bytes.write_all(&line).await.unwrap();
            client.stage.reach(Stage::Idle);
        }
    }
}

#[tokio::test]
async fn a_dialect_may_take_the_bytes_themselves() {
    let limits = ClientLimits {
        head: Duration::from_millis(100),
        ..ClientLimits::default()
    };
    let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = serve_dialect(listener, Speaks::Streams(Arc::new(Echo)), limits);
    let mut polite = server.connect().await;
    for line in [b"PRI *", b"hello"] {
        polite.write_all(line).await.unwrap();
        let mut back = [0; 5];
        polite.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, line);
    }
    // One that does not finish what it began is cut off, one that rests is not.
    let mut slow = server.connect().await;
    slow.write_all(b"hel").await.unwrap();
    assert_eq!(until_closed(&mut slow).await, "");
    server.stop.send(()).unwrap();
    assert_eq!(until_closed(&mut polite).await, "bye\n");
    drop(polite);
    server.ended.await.unwrap();
}

/// Holds a place for each byte, until a zero.
#[derive(Debug)]
struct Holder;

#[async_trait]
impl Acceptor for Holder {
    async fn accept(&self, mut client: AcceptedStream) {
        let mut held = Vec::new();
        while let Ok(byte) = client.bytes.read_u8().await {
            client.stage.reach(Stage::Answering);
            if byte == 0 {
                held.clear();
            }
            let place = client.requests.begin();
            client.bytes.write_u8(u8::from(place.is_some())).await.unwrap();
            held.extend(place);
        }
    }
}

#[tokio::test]
async fn what_is_asked_over_streams_is_at_work_like_any_request() {
    let limits = ClientLimits {
        connections: 8,
        ..ClientLimits::default()
    };
    let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = serve_dialect(listener, Speaks::Streams(Arc::new(Holder)), limits);
    let (mut one, mut other) = (server.connect().await, server.connect().await);
    let mut begun = Vec::new();
    for nth in 0..8 {
        let stream = if nth % 2 == 0 { &mut one } else { &mut other };
        stream.write_u8(1).await.unwrap();
        begun.push(stream.read_u8().await.unwrap());
    }
    assert_eq!(begun, [1, 1, 1, 1, 1, 1, 0, 0], "a client has three quarters");
    one.write_u8(0).await.unwrap();
    assert_eq!(one.read_u8().await.unwrap(), 1, "they are given back");
    for _ in 0..2 {
        other.write_u8(1).await.unwrap();
        assert_eq!(other.read_u8().await.unwrap(), 1);
    }
}
