//! What a client may ask for, and how long it may take.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use countersign::dialect::{AnswerForm, FailureAnswers as _, twilio};
use countersign::server::ClientLimits;
use countersign::web::body;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::http::{PATIENCE, serve, until_body, until_closed};

pub(crate) const SOON: Duration = Duration::from_millis(100);

pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(async || "fine"))
        .route("/echo", post(echo))
        .route("/slow", get(slow))
}

async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match body::read(&parts, body).await {
        Ok(bytes) => bytes.into_response(),
        Err(failure) => twilio::TwilioFailures::default().answer(failure, AnswerForm::default()),
    }
}

/// Takes longer than the clients of these tests may.
async fn slow() -> &'static str {
    tokio::time::sleep(SOON * 4).await;
    "slow"
}

fn has_status(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
}

#[tokio::test]
async fn header_names_are_in_title_case_and_every_answer_has_a_date_and_an_identifier() {
    let server = serve(router(), ClientLimits::default()).await;
    for path in ["/", "/nowhere"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = server.exchange(request).await;
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = head
            .lines()
            .skip(1)
            .map(|line| line.split(':').next().unwrap())
            .collect();
        for name in &names {
            let words = name
                .split('-')
                .all(|word| word.starts_with(|c: char| c.is_ascii_uppercase()));
            assert!(words, "{name}");
        }
        assert!(
            names.contains(&"Date") && names.contains(&"Twilio-Request-Id"),
            "{names:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another_and_several_at_once() {
    let server = serve(router(), ClientLimits::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        until_body(&mut stream, "fine").await;
    }
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(until_closed(&mut stream).await.matches("fine").count(), 2);
}

#[tokio::test]
async fn bodies_up_to_64_kib_are_read_and_longer_ones_refused() {
    let server = serve(router(), ClientLimits::default()).await;
    let announced = |length: usize| {
        let head = format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        [head.into_bytes(), vec![b'x'; length]].concat()
    };
    assert!(
        server
            .exchange(announced(65_536))
            .await
            .ends_with(&"x".repeat(65_536))
    );
    // The client sends all of it before it reads; the answer must survive that.
    has_status(&server.exchange(announced(65_537)).await, 413);
    has_status(&server.exchange(announced(200_000)).await, 413);

    let head = "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    has_status(
        &server
            .exchange(format!("{head}{chunk}{chunk}{chunk}0\r\n\r\n"))
            .await,
        413,
    );
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_it_is_sent() {
    let server = serve(router(), ClientLimits::default()).await;
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 65537\r\n\r\n";
    has_status(&server.exchange(head).await, 413);
}

#[tokio::test]
async fn heads_up_to_32_kib_are_read_and_longer_ones_refused() {
    let server = serve(router(), ClientLimits::default()).await;
    let head = |length: usize| {
        format!(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {}\r\n\r\n",
            "y".repeat(length)
        )
    };
    assert!(server.exchange(head(32_000)).await.ends_with("fine"));
    let refused = server.exchange(head(33_000)).await;
    has_status(&refused, 431);
    let error: serde_json::Value = serde_json::from_str(refused.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&error["status"], &error["code"]), (&431.into(), &60306.into()));
    let beyond = server.exchange(head(100_000)).await;
    assert!(
        beyond.starts_with("HTTP/1.1 431 ") && beyond.contains("\r\nDate: "),
        "{beyond}"
    );
}

#[tokio::test]
async fn many_headers_are_read_as_long_as_they_are_short_enough_together() {
    let server = serve(router(), ClientLimits::default()).await;
    let head = |count: usize, value: &str| {
        let headers: Vec<_> = (0..count).map(|n| format!("x-{n}: {value}\r\n")).collect();
        format!(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{}\r\n",
            headers.concat()
        )
    };
    let answer = server.exchange(head(150, "y")).await;
    has_status(&answer, 200);
    assert!(answer.ends_with("fine"), "{answer}");
    let refused = server.exchange(head(200, &"y".repeat(180))).await;
    has_status(&refused, 431);
    assert!(refused.contains(r#""code":60306"#), "{refused}");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_cut_off() {
    let limits = ClientLimits {
        head: SOON,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    for beginning in ["", "GET / HTTP/1.1\r\nhost:"] {
        let answer = server.exchange(beginning).await;
        assert!(!answer.contains("200"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_never_finishes_its_second_head_is_cut_off() {
    let limits = ClientLimits {
        head: SOON,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    until_body(&mut stream, "fine").await;
    // Between two requests it may take longer than within one.
    let mut byte = [0];
    assert!(
        tokio::time::timeout(SOON * 2, stream.read(&mut byte))
            .await
            .is_err()
    );
    stream.write_all(b"GET").await.unwrap();
    until_closed(&mut stream).await;
}

#[tokio::test]
async fn a_client_that_never_finishes_its_body_is_told_and_cut_off() {
    let limits = ClientLimits {
        body: SOON,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    let answer = server
        .exchange("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        .await;
    has_status(&answer, 408);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let limits = ClientLimits {
        idle: SOON,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    assert!(
        server
            .exchange("GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .ends_with("fine")
    );
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_client() {
    let limits = ClientLimits {
        head: SOON,
        body: SOON,
        idle: SOON,
        write: SOON,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    assert!(
        server
            .exchange("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .ends_with("slow")
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let limits = ClientLimits {
        write: SOON,
        ..ClientLimits::default()
    };
    let (gone, mut dropped) = mpsc::channel::<()>(1);
    let endless = get(async move || Body::new(Endless { _gone: gone.clone() }));
    let server = serve(Router::new().route("/endless", endless), limits).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    stream.readable().await.unwrap();
    drop(server.stop);
    // The router goes with the server, so the body holds the last sender.
    let closed = tokio::time::timeout(PATIENCE, dropped.recv()).await;
    assert_eq!(closed.expect("the answer is given up"), None);
}

/// An answer without an end.
pub(crate) struct Endless {
    pub(crate) _gone: mpsc::Sender<()>,
}

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 16_384])))))
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let limits = ClientLimits {
        connections: 1,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    let mut first = server.connect().await;
    first
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    until_body(&mut first, "fine").await;
    let mut second = server.connect().await;
    second
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    assert!(tokio::time::timeout(SOON, second.peek(&mut byte)).await.is_err());
    drop(first);
    until_body(&mut second, "fine").await;
}
