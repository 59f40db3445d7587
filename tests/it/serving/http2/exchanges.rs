//! Requests and answers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, Request};
use axum::routing::{any, get, post};
use bytes::Bytes;
use countersign::dialect::{Http, twilio};
use countersign::domain::entropy::SystemEntropy;
use countersign::server::{ClientLimits, Listener, Protocol, run};
use countersign::web::boundary::Boundary;
use countersign::web::metrics::Requests;
use h2::Reason;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Notify, mpsc, oneshot};

use super::client::{Client, request, whole};
use super::raw::{self, Raw};
use crate::serving::http::{PATIENCE, serve, until_closed};
use crate::serving::limits::router;

#[tokio::test]
async fn answers_have_lower_case_names_a_date_an_identifier_of_their_own_and_nothing_about_connections() {
    let closes = get(async || ([("connection", "close"), ("keep-alive", "timeout=9")], "closes"));
    let server = serve(router().route("/closes", closes), ClientLimits::default()).await;
    let client = Client::of(&server).await;
    let mut ids = HashSet::new();
    for (path, status) in [("/", 200), ("/nowhere", 404), ("/closes", 200), ("/", 200)] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, status);
        let date = answer.headers["date"].to_str().unwrap();
        assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
        let id = answer.headers["twilio-request-id"].to_str().unwrap();
        assert!(id.len() == 34 && ids.insert(id.to_owned()), "{id}");
        if status == 200 {
            assert_eq!(answer.headers["content-length"], answer.text.len().to_string());
        }
        for name in ["connection", "keep-alive", "transfer-encoding"] {
            assert!(!answer.headers.contains_key(name), "{name}");
        }
    }
}

/// The client says what it speaks by how it begins, however slowly that arrives.
#[tokio::test]
async fn the_beginning_says_which_version_it_is() {
    let server = serve(router(), ClientLimits::default()).await;
    let mut one = server.connect().await;
    one.set_nodelay(true).unwrap();
    for byte in b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\nPR" {
        one.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let answer = until_closed(&mut one).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("PR"),
        "{answer}"
    );

    let mut two = Raw::silent(&server).await;
    let begin = [
        raw::PREFACE,
        &raw::frame(raw::SETTINGS, 0, 0, &[]),
        &raw::head(1, "GET", "/", true),
    ];
    for byte in begin.concat() {
        two.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(two.next_of(raw::DATA).await.payload, b"fine");

    for nearly in [
        "PRI * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        "PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = server.exchange(nearly).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn requests_are_answered_beside_each_other() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (entering, leaving) = (Arc::clone(&entered), Arc::clone(&leave));
    let held = get(async move || {
        entering.notify_one();
        leaving.notified().await;
        "held"
    });
    let server = serve(router().route("/held", held), ClientLimits::default()).await;
    let client = Client::of(&server).await;
    let (slow, _) = client.begin(request(Method::GET, "/held"), true).await;
    entered.notified().await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.text, "fine");
        assert_eq!(client.post("/echo", "words").await.text, "words");
    }
    leave.notify_one();
    assert_eq!(whole(slow).await.unwrap().text, "held");
}

/// Answers are cut into what the client has room for, and put together again.
#[tokio::test]
async fn long_answers_arrive_whole_through_small_windows() {
    let long: String = (0..40_000).map(|n| n.to_string()).collect();
    let answer = long.clone();
    let server = serve(
        Router::new().route("/long", get(async move || answer)),
        ClientLimits::default(),
    )
    .await;
    let mut small = h2::client::Builder::new();
    small
        .initial_window_size(1000)
        .initial_connection_window_size(1500);
    let client = Client::with(small, server.connect().await).await;
    let (one, other) = tokio::join!(client.get("/long"), client.get("/long"));
    assert!(one.text == long && other.text == long);
    let client = Client::of(&server).await;
    assert!(client.get("/long").await.text == long);
}

#[tokio::test]
async fn methods_without_bodies_and_answers_without_them_end_at_once() {
    let server = serve(router(), ClientLimits::default()).await;
    let client = Client::of(&server).await;
    let head = client.ask(request(Method::HEAD, "/")).await.unwrap();
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], "4");
    // A tunnel is nothing that is served here.
    let tunnel = Request::builder()
        .method(Method::CONNECT)
        .uri("verify.example:443");
    let refused = client.ask(tunnel.body(()).unwrap()).await;
    assert!(refused.is_err() || refused.unwrap().status >= 400);
    assert_eq!(client.get("/").await.status, 200);
}

/// The client takes its request back, or goes away, while it is served.
#[tokio::test]
async fn a_change_is_carried_to_its_end_when_its_stream_is_reset_and_a_read_is_not() {
    for leaves in [false, true] {
        for (method, carried) in [(Method::POST, true), (Method::DELETE, true), (Method::GET, false)] {
            let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (done, mut is_done) = mpsc::channel::<()>(1);
            let handler = {
                let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
                any(async move || {
                    // Dropped with the request.
                    let done = done.clone();
                    begun.notify_one();
                    go_on.notified().await;
                    let _ = done.send(()).await;
                })
            };
            let server = serve(Router::new().route("/", handler), ClientLimits::default()).await;
            let mut client = Raw::of(&server).await;
            client.send(&raw::head(1, method.as_str(), "/", true)).await;
            begun.notified().await;
            if leaves {
                drop(client);
            } else {
                client.send(&raw::reset(1)).await;
                // Behind the answer to this, the reset has been read.
                client.send(&raw::frame(raw::PING, 0, 0, &[7; 8])).await;
                while client.next_of(raw::PING).await.flags & raw::ACK == 0 {}
            }
            if !carried {
                // Nobody is left who could be told to go on.
                tokio::time::timeout(PATIENCE, async {
                    while Arc::strong_count(&go_on) > 2 {
                        tokio::task::yield_now().await;
                    }
                })
                .await
                .ok();
            }
            go_on.notify_one();
            drop(server);
            let done = tokio::time::timeout(Duration::from_millis(500), is_done.recv()).await;
            assert_eq!(
                matches!(done, Ok(Some(()))),
                carried,
                "{method}, leaves: {leaves}"
            );
        }
    }
}

/// Whoever has said all that it has to say still hears the answer.
#[tokio::test]
async fn a_stream_that_the_client_has_ended_is_answered_for_as_long_as_it_takes() {
    let (pieces, rest) = mpsc::unbounded_channel::<&'static str>();
    let rest = Arc::new(tokio::sync::Mutex::new(rest));
    let stream = get(async move || {
        let rest = Arc::clone(&rest);
        axum::body::Body::from_stream(futures_util::stream::unfold(rest, async |rest| {
            let piece = rest.lock().await.recv().await?;
            Some((Ok::<_, std::io::Error>(Bytes::from(piece)), rest))
        }))
    });
    let server = serve(Router::new().route("/stream", stream), ClientLimits::default()).await;
    let client = Client::of(&server).await;
    let (answer, _) = client.begin(request(Method::GET, "/stream"), true).await;
    let mut body = answer.await.unwrap().into_body();
    for piece in ["one", "two", "three"] {
        pieces.send(piece).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), piece);
    }
    drop(pieces);
    // It ends with a piece that is empty.
    assert!(body.data().await.is_none_or(|end| end.unwrap().is_empty()));
    assert!(body.is_end_stream());
}

/// An answer that breaks off is no answer that ended.
#[tokio::test]
async fn an_answer_that_breaks_off_is_reset() {
    let breaks = get(async || {
        let pieces = [Ok("some"), Err(std::io::Error::other("a secret"))];
        axum::body::Body::from_stream(futures_util::stream::iter(pieces))
    });
    let server = serve(Router::new().route("/breaks", breaks), ClientLimits::default()).await;
    let client = Client::of(&server).await;
    let broken = client.ask(request(Method::GET, "/breaks")).await.unwrap_err();
    assert_eq!(broken.reason(), Some(Reason::INTERNAL_ERROR));
}

#[tokio::test]
async fn every_request_is_counted_once_by_the_class_of_its_status() {
    let requests = Arc::new(Requests::default());
    let failures = Arc::new(twilio::TwilioFailures::default());
    let http = Http {
        router: router().route("/panic", post(async || -> &'static str { panic!("{}", 1 + 1) })),
        failures,
    };
    let boundary = Boundary::new(http, Arc::clone(&requests), &SystemEntropy);
    let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(run(
        vec![listener],
        Protocol::Http(boundary),
        ClientLimits::default(),
        async {
            let _stopped_or_dropped = stopped.await;
        },
    ));
    let client = Client::on(tokio::net::TcpStream::connect(address).await.unwrap()).await;
    for _ in 0..3 {
        client.get("/").await;
    }
    client.get("/nowhere").await;
    let panicked = client.post("/panic", "").await;
    assert!(panicked.text.contains(r#""code":20500"#), "{panicked:?}");
    let counts: Vec<_> = requests.by_class().map(|(_, count)| count).collect();
    assert_eq!(counts, [0, 3, 0, 1, 1]);
    drop((stop, client));
    serving.await.unwrap();
}
