//! Hostile receivers (SECURITY, row 32): whatever they answer, memory and time are bounded and nobody else waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use countersign::delivery::DeliveryOutcome;
use countersign::delivery::http::{BodyEnd, HttpAnswer, HttpClient, HttpError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{PATIENCE, deliver_all, impatient, senders, subscribe};
use crate::support::receiver::OK;
use crate::support::{Receiver, TestApp, User};

/// What a hostile receiver does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Malice {
    /// Never says anything.
    Silence,
    /// Sends headers without end.
    EndlessHeaders,
    /// Sends one header without end.
    EndlessHeader,
    /// Sends interim answers without end.
    EndlessInterim,
    /// Sends a body without end.
    EndlessBody,
    /// Sends a body without end in chunks with endless extensions.
    EndlessChunkHead,
    /// Announces a body of 2^62 bytes and sends what it can.
    HugeLength,
    /// Sends a letter of its head at a time.
    DrippingHead,
    /// Sends a byte of its body at a time.
    DrippingBody,
    /// Sends what is no HTTP.
    Garbage,
    /// Closes the connection at once.
    Hangup,
}

const ALL: [Malice; 11] = [
    Malice::Silence,
    Malice::EndlessHeaders,
    Malice::EndlessHeader,
    Malice::EndlessInterim,
    Malice::EndlessBody,
    Malice::EndlessChunkHead,
    Malice::HugeLength,
    Malice::DrippingHead,
    Malice::DrippingBody,
    Malice::Garbage,
    Malice::Hangup,
];

/// A hostile receiver, and how many bytes were taken from it.
struct Hostile {
    url: String,
    taken: Arc<AtomicUsize>,
}

impl Hostile {
    async fn start(malice: Malice) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = taken.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counter = counter.clone();
                tokio::spawn(async move { act(malice, stream, &counter).await });
            }
        });
        Self { url, taken }
    }
}

/// Ends when the other side does.
async fn act(malice: Malice, mut stream: TcpStream, taken: &AtomicUsize) {
    let mut request = vec![0; 16 * 1024];
    if malice == Malice::Hangup {
        return;
    }
    // The request is small: one read is the most of it.
    let _read = stream.read(&mut request).await;
    let block = "x".repeat(16 * 1024);
    let line = "x-filler: 0123456789\r\n".repeat(700);
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(400);
    let chunk = format!("4000\r\n{block}\r\n");
    let (start, again) = match malice {
        Malice::Hangup => return,
        Malice::Silence => (String::new(), ""),
        Malice::EndlessHeaders => (HEAD.to_owned(), line.as_str()),
        Malice::EndlessHeader => (format!("{HEAD}x-filler: "), block.as_str()),
        Malice::EndlessInterim => (String::new(), interim.as_str()),
        Malice::EndlessBody => (
            format!("{HEAD}transfer-encoding: chunked\r\n\r\n"),
            chunk.as_str(),
        ),
        Malice::EndlessChunkHead => (
            format!("{HEAD}transfer-encoding: chunked\r\n\r\n1;"),
            block.as_str(),
        ),
        Malice::HugeLength => (
            format!("{HEAD}content-length: {}\r\n\r\n", 1_u64 << 62),
            block.as_str(),
        ),
        Malice::DrippingHead => (HEAD.to_owned(), "x"),
        Malice::DrippingBody => (format!("{HEAD}content-length: 100000\r\n\r\n"), "x"),
        Malice::Garbage => (block.clone(), block.as_str()),
    };
    let mut drip = tokio::time::interval(Duration::from_millis(20));
    if stream.write_all(start.as_bytes()).await.is_err() {
        return;
    }
    if again.is_empty() {
        // Nothing comes any more: this waits for the end.
        let _ended = stream.read(&mut request).await;
        return;
    }
    while stream.write_all(again.as_bytes()).await.is_ok() {
        taken.fetch_add(again.len(), Ordering::SeqCst);
        if again.len() == 1 {
            drip.tick().await;
        }
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\n";

/// More than socket buffers hold, and much less than can be sent in the time.
const MOST_TAKEN: usize = 32 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_receivers_cost_little_and_nobody_waits_for_them() {
    let server = TestApp::sending(senders(impatient())).await;
    let client = server.client();
    let user = User::create(&client).await;
    let mut hostile = Vec::new();
    for malice in ALL {
        let receiver = Hostile::start(malice).await;
        subscribe(&client, &user, &receiver.url, "factor.created", "v2").await;
        hostile.push((malice, receiver));
    }
    user.unverified_totp(&client, "one", &[]).await;
    let rows = server.outbox().await;
    assert_eq!(rows.len(), ALL.len());

    let neighbour = User::create(&client).await;
    let good = Receiver::answering(OK).await;
    subscribe(&client, &neighbour, &good.url("/"), "factor.created", "v2").await;
    neighbour.unverified_totp(&client, "one", &[]).await;
    let known: Vec<_> = rows.iter().map(|row| row.sid).collect();
    let others = server.outbox().await.into_iter();
    let others: Vec<_> = others.filter(|row| !known.contains(&row.sid)).collect();

    let begun = Instant::now();
    let attacked = tokio::spawn({
        let server = server.clone();
        async move { deliver_all(&server, rows).await }
    });
    assert_eq!(deliver_all(&server, others).await, [DeliveryOutcome::Delivered]);
    assert!(
        !attacked.is_finished(),
        "the silent ones still hold their senders"
    );
    let outcomes = attacked.await.unwrap();
    let taken = begun.elapsed();
    assert!(taken < 8 * PATIENCE, "{taken:?}");
    // A head of success counts, whatever becomes of the body; without one the message is sent again.
    let delivered = outcomes
        .iter()
        .filter(|outcome| **outcome == DeliveryOutcome::Delivered);
    assert_eq!(delivered.count(), 4, "{outcomes:?}");
    for outcome in &outcomes {
        assert!(
            matches!(
                outcome,
                DeliveryOutcome::Delivered | DeliveryOutcome::Retry { after: None, .. }
            ),
            "{outcome:?}"
        );
    }
    for (malice, receiver) in hostile {
        let taken = receiver.taken.load(Ordering::SeqCst);
        // Interim answers are thrown away as they come; only the time bounds how many come.
        let bounded = matches!(malice, Malice::EndlessInterim) || taken < MOST_TAKEN;
        assert!(bounded, "{malice:?}: {taken} bytes");
    }
}

async fn post(url: &str) -> Result<HttpAnswer, HttpError> {
    let client = HttpClient::new(impatient());
    client
        .post(&url.parse().unwrap(), HeaderMap::default(), b"x".to_vec())
        .await
}

#[tokio::test]
async fn a_body_is_cut_at_its_limit() {
    for malice in [Malice::EndlessBody, Malice::HugeLength] {
        let hostile = Hostile::start(malice).await;
        let answer = post(&hostile.url).await.unwrap();
        assert_eq!(
            (answer.status, answer.body.len(), answer.ending),
            (200, 64 * 1024, BodyEnd::Cut)
        );
    }
}

#[tokio::test]
async fn what_came_in_time_is_kept() {
    let hostile = Hostile::start(Malice::DrippingBody).await;
    let begun = Instant::now();
    let answer = post(&hostile.url).await.unwrap();
    assert!(begun.elapsed() < 3 * PATIENCE);
    assert!(
        matches!(answer.ending, BodyEnd::Broken(_)) && (1..1000).contains(&answer.body.len()),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    for malice in [Malice::Silence, Malice::DrippingHead] {
        let hostile = Hostile::start(malice).await;
        let begun = Instant::now();
        let error = post(&hostile.url).await.unwrap_err();
        assert!(
            matches!(error, HttpError::TimedOut { .. }),
            "{malice:?}: {error:?}"
        );
        assert!(begun.elapsed() < 3 * PATIENCE);
    }
}

/// A kilobyte of gzip can be a megabyte: what comes is taken as it comes.
#[tokio::test]
async fn nothing_is_decompressed() {
    let packed = "not gzip at all";
    let receiver = Receiver::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{packed}",
        packed.len()
    ))
    .await;
    let answer = post(&receiver.url("/")).await.unwrap();
    assert_eq!(
        (answer.body.as_slice(), &answer.ending),
        (packed.as_bytes(), &BodyEnd::Whole)
    );
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let sent = receiver.requests().pop().unwrap();
    assert!(!sent.headers.iter().any(|(name, _)| name == "accept-encoding"));
}

#[tokio::test]
async fn no_cookie_is_kept() {
    let receiver = Receiver::answering(
        "HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    )
    .await;
    let client = HttpClient::new(impatient());
    for _ in 0..2 {
        let url = receiver.url("/").parse().unwrap();
        client.post(&url, HeaderMap::default(), Vec::new()).await.unwrap();
    }
    for sent in receiver.requests() {
        assert!(!sent.headers.iter().any(|(name, _)| name == "cookie"), "{sent:?}");
    }
}
