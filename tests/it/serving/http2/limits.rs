//! What a client may ask for, how much at once, and how long it may take.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use axum::routing::{any, get};
use bytes::Bytes;
use countersign::server::ClientLimits;
use countersign::web::rpc;
use h2::Reason;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::client::{Client, request, whole};
use super::raw::{self, Raw};
use crate::serving::http::{PATIENCE, serve, until_body};
use crate::serving::limits::{Endless, SOON, router};

#[tokio::test]
async fn bodies_up_to_64_kib_are_read_and_longer_ones_refused() {
    let server = serve(router(), ClientLimits::default()).await;
    let client = Client::of(&server).await;
    let longest = "x".repeat(65_536);
    assert_eq!(client.post("/echo", longest.clone()).await.text, longest);
    for length in [65_537, 200_000] {
        let refused = client.post("/echo", "x".repeat(length)).await;
        assert_eq!(refused.status, 413);
        assert!(refused.text.contains(r#""code":60306"#), "{}", refused.text);
    }
    // One that says that it is too long is refused before it is sent.
    let mut announced = request(Method::POST, "/echo");
    announced.headers_mut().insert("content-length", 65_537.into());
    let (answer, _out) = client.begin(announced, false).await;
    assert_eq!(whole(answer).await.unwrap().status, 413);
    assert_eq!(client.get("/").await.status, 200);
}

/// Some clients lose an answer with which the end of its stream comes: it comes later, if at all.
#[tokio::test]
async fn an_answer_that_does_not_wait_for_its_body_can_be_read_before_its_stream_is_reset() {
    const PIECE: u32 = 16_000;
    let server = serve(router(), ClientLimits::default()).await;
    let mut client = Raw::of(&server).await;
    let long = raw::block("POST", "/echo", &[("content-length", "9000000")]);
    let piece = |stream| raw::frame(raw::DATA, 0, stream, &[b'x'; PIECE as usize]);
    let begin = |stream| raw::frame(raw::HEADERS, raw::END_HEADERS, stream, &long);

    // One that ends by itself is not: what is reset first is the next one.
    let short = raw::block("POST", "/echo", &[("content-length", "65537")]);
    client
        .send(&raw::frame(raw::HEADERS, raw::END_HEADERS, 1, &short))
        .await;
    assert_eq!(client.next_of(raw::DATA).await.stream, 1);
    client.send(&piece(1).repeat(4)).await;
    while client.next_of(raw::WINDOW_UPDATE).await.stream != 1 {}
    client
        .send(&raw::frame(raw::DATA, raw::END_STREAM, 1, &[b'x'; 1_537]))
        .await;
    // One that goes on is reset after a moment, with the reason that says that nothing went wrong.
    client.send(&begin(5)).await;
    client.send(&piece(5)).await;
    let answer = client.next_of(raw::DATA).await;
    assert_eq!((answer.stream, answer.flags), (5, raw::END_STREAM));
    let answered = Instant::now();
    let reset = client.next_of(raw::RST_STREAM).await;
    assert_eq!((reset.stream, reset.reason()), (5, raw::NO_ERROR));
    let moment = answered.elapsed();
    assert!(moment > Duration::from_millis(500), "{moment:?}");

    // And sooner if it is more than a little.
    client.send(&begin(7)).await;
    let (mut room, mut sent) = (65_536, 0);
    let reset = loop {
        while room >= PIECE {
            client.send(&piece(7)).await;
            (room, sent) = (room - PIECE, sent + PIECE);
        }
        let frame = client.next().await.expect("the connection goes on");
        match frame.kind {
            raw::WINDOW_UPDATE if frame.stream == 7 => {
                room += u32::from_be_bytes(frame.payload[..].try_into().unwrap());
            }
            raw::RST_STREAM => break frame,
            _ => {}
        }
    };
    assert_eq!((reset.stream, reset.reason()), (7, raw::NO_ERROR));
    assert!((4_000_000..4_500_000).contains(&sent), "{sent}");
    client.send(&raw::head(9, "GET", "/", true)).await;
    assert_eq!(client.next_of(raw::DATA).await.payload, b"fine");
}

/// What is thrown away leaves its room to the other requests of the connection, which has room for four bodies.
#[tokio::test]
async fn bodies_that_nobody_wants_are_in_nobodys_way() {
    let server = serve(router(), ClientLimits::default()).await;
    let client = Client::of(&server).await;
    let mut unwanted = Vec::new();
    for _ in 0..20 {
        let mut announced = request(Method::POST, "/echo");
        announced.headers_mut().insert("content-length", 1_000_000.into());
        let (answer, mut out) = client.begin(announced, false).await;
        out.send_data(vec![b'x'; 60_000].into(), false).unwrap();
        unwanted.push((answer, out));
    }
    let wanted = "y".repeat(60_000);
    assert_eq!(client.post("/echo", wanted.clone()).await.text, wanted);
    for (answer, _out) in unwanted {
        assert_eq!(whole(answer).await.unwrap().status, 413);
    }
    assert_eq!(client.post("/echo", wanted.clone()).await.text, wanted);
}

/// Debian's curl gives an answer up whose stream is reset while it still sends.
#[tokio::test]
async fn curl_reads_the_answer_to_what_is_too_long() {
    let curl = std::process::Command::new("curl").arg("--version").output();
    assert!(curl.is_ok(), "curl is not installed (`apt-get install curl`)");
    let server = serve(router(), ClientLimits::default()).await;
    let directory = tempfile::TempDir::new().unwrap();
    let (file, url) = (
        directory.path().join("body"),
        format!("http://{}/echo", server.address),
    );
    for length in [65_537, 4_000_000] {
        std::fs::write(&file, vec![b'x'; length]).unwrap();
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let mut curl = std::process::Command::new("curl");
            curl.args([
                "-sS",
                version,
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "-H",
                "Expect:",
            ]);
            curl.arg("--data-binary")
                .arg(format!("@{}", file.display()))
                .arg(&url);
            let output = tokio::task::spawn_blocking(move || curl.output());
            let output = output.await.unwrap().unwrap();
            assert!(output.status.success(), "{version} {length}: {output:?}");
            assert_eq!(output.stdout, b"413", "{version} {length}");
        }
    }
}

#[tokio::test]
async fn heads_up_to_32_kib_are_read_and_longer_ones_refused() {
    let server = serve(router(), ClientLimits::default()).await;
    let client = Client::of(&server).await;
    let head = |length: usize| {
        let mut request = request(Method::GET, "/");
        request
            .headers_mut()
            .insert("x", "y".repeat(length).parse().unwrap());
        request
    };
    assert_eq!(client.ask(head(32_000)).await.unwrap().text, "fine");
    let refused = client.ask(head(33_000)).await.unwrap();
    assert_eq!(refused.status, 431);
    let error: serde_json::Value = serde_json::from_str(&refused.text).unwrap();
    assert_eq!((&error["status"], &error["code"]), (&431.into(), &60306.into()));
    assert!(refused.headers.contains_key("twilio-request-id"));
    // Beyond what is kept of a head at all, the library answers, and the connection goes on.
    let beyond = client.ask(head(100_000)).await;
    assert!(
        beyond.as_ref().map_or(true, |answer| answer.status == 431),
        "{beyond:?}"
    );
    assert_eq!(client.get("/").await.text, "fine");
    // What is larger by far ends it.
    let far_beyond = client.ask(head(1_000_000)).await;
    assert_eq!(far_beyond.unwrap_err().reason(), Some(Reason::ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn many_headers_are_read_as_long_as_they_are_short_enough_together() {
    let server = serve(router(), ClientLimits::default()).await;
    let client = Client::of(&server).await;
    let head = |count: usize, value: &str| {
        let mut request = request(Method::GET, "/");
        for n in 0..count {
            let name: HeaderName = format!("x-{n}").parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request
    };
    let answer = client.ask(head(150, "y")).await.unwrap();
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (200.try_into().unwrap(), "fine")
    );
    let refused = client.ask(head(200, &"y".repeat(180))).await.unwrap();
    assert_eq!(refused.status, 431);
    assert!(refused.text.contains(r#""code":60306"#), "{}", refused.text);
    assert_eq!(client.get("/").await.text, "fine");
}

#[tokio::test]
async fn a_body_that_is_never_finished_is_refused_and_the_other_requests_go_on() {
    let limits = ClientLimits {
        body: SOON,
        idle: SOON * 3,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    let client = Client::of(&server).await;
    let (waits, _) = client.begin(request(Method::GET, "/slow"), true).await;
    let (answer, mut out) = client.begin(request(Method::POST, "/echo"), false).await;
    let dribble = tokio::spawn(async move {
        // Also one that comes in very small pieces is late in the end.
        while out.send_data("x".into(), false).is_ok() {
            tokio::time::sleep(SOON / 5).await;
        }
    });
    let refused = whole(answer).await.unwrap();
    assert_eq!(refused.status, 408);
    assert!(refused.text.contains(r#""code":60306"#), "{}", refused.text);
    assert_eq!(client.post("/echo", "in time").await.text, "in time");
    assert_eq!(whole(waits).await.unwrap().text, "slow");
    tokio::time::timeout(PATIENCE, dribble)
        .await
        .expect("its stream is reset")
        .unwrap();
}

/// It neither idles nor is late: it owes nothing.
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
    assert_eq!(Client::of(&server).await.get("/slow").await.text, "slow");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_beginning_or_a_head_is_cut_off() {
    let limits = ClientLimits {
        head: SOON,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    let headers = raw::frame(raw::HEADERS, 0, 3, &raw::block("GET", "/", &[]));
    let begun = [raw::PREFACE, &raw::frame(raw::SETTINGS, 0, 0, &[])].concat();
    for beginning in [
        raw::PREFACE[..10].to_vec(),
        raw::PREFACE.to_vec(),
        begun[..begun.len() - 1].to_vec(),
        [&begun[..], &headers].concat(),
        [&begun[..], &headers[..headers.len() - 1]].concat(),
        [&begun[..], &headers, &raw::frame(raw::CONTINUATION, 0, 3, &[])].concat(),
    ] {
        let mut client = Raw::silent(&server).await;
        client.send(&beginning).await;
        client.until_gone().await;
    }
    // One that only rests is not.
    let mut client = Raw::of(&server).await;
    client.send(&raw::head(1, "GET", "/", true)).await;
    client.next_of(raw::DATA).await;
    tokio::time::sleep(SOON * 2).await;
    client.send(&raw::head(3, "GET", "/", true)).await;
    client.next_of(raw::DATA).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_an_answer_loses_it_and_keeps_the_others() {
    let limits = ClientLimits {
        write: SOON,
        ..ClientLimits::default()
    };
    let (gone, mut dropped) = mpsc::channel::<()>(1);
    let endless = get(async move || Body::new(Endless { _gone: gone.clone() }));
    let slow = get(async || {
        tokio::time::sleep(SOON * 4).await;
        "x".repeat(30)
    });
    let router = router().route("/endless", endless).route("/long", slow);
    let server = serve(router, limits).await;
    // No window at all, and one of ten bytes.
    for (window, stream) in [(0, 1), (10, 1)] {
        let mut client = Raw::with(&server, &[(4, window)]).await;
        client.send(&raw::head(1, "GET", "/endless", true)).await;
        client.send(&raw::head(3, "GET", "/long", true)).await;
        let mut reset = client.next_of(raw::RST_STREAM).await;
        while reset.stream != stream {
            reset = client.next_of(raw::RST_STREAM).await;
        }
        assert_eq!(reset.reason(), raw::CANCEL);
        // Whoever makes room in time gets its answer, in as many pieces as it has room for.
        let mut length = 0;
        let headers = client.next_of(raw::HEADERS).await;
        assert_eq!(headers.stream, 3);
        while length < 30 {
            client
                .send(&raw::frame(raw::WINDOW_UPDATE, 0, 3, &7_u32.to_be_bytes()))
                .await;
            let data = client.next_of(raw::DATA).await;
            length += data.payload.len();
        }
        assert_eq!(length, 30);
        client.send(&raw::frame(raw::PING, 0, 0, &[1; 8])).await;
        client.next_of(raw::PING).await;
    }
    drop(server.stop);
    let closed = tokio::time::timeout(PATIENCE, dropped.recv()).await;
    assert_eq!(closed.expect("the answers are given up"), None);
}

/// A window that opens by a byte now and then does not keep an answer in memory for ever.
#[tokio::test]
async fn an_answer_that_is_read_byte_by_byte_is_given_up() {
    let limits = ClientLimits {
        write: SOON * 2,
        ..ClientLimits::default()
    };
    let long = get(async || "x".repeat(10_000));
    let server = serve(Router::new().route("/long", long), limits).await;
    let mut client = Raw::with(&server, &[(4, 1)]).await;
    client.send(&raw::head(1, "GET", "/long", true)).await;
    let reset = loop {
        let frame = client.next().await.expect("the connection goes on");
        match frame.kind {
            raw::DATA => {
                tokio::time::sleep(SOON / 10).await;
                client
                    .send(&raw::frame(raw::WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()))
                    .await;
            }
            raw::RST_STREAM => break frame,
            _ => {}
        }
    };
    assert_eq!(reset.reason(), raw::CANCEL);
}

#[tokio::test]
async fn a_client_that_reads_nothing_at_all_is_cut_off() {
    let limits = ClientLimits {
        write: SOON,
        ..ClientLimits::default()
    };
    let (gone, mut dropped) = mpsc::channel::<()>(1);
    let endless = get(async move || Body::new(Endless { _gone: gone.clone() }));
    let server = serve(Router::new().route("/endless", endless), limits).await;
    // Windows without an end, but nobody who takes what comes out of the socket.
    let mut client = Raw::with(&server, &[(4, 0x7FFF_FFFF)]).await;
    let open = 0x7FFF_0000_u32 - 65_535;
    client
        .send(&raw::frame(raw::WINDOW_UPDATE, 0, 0, &open.to_be_bytes()))
        .await;
    client.send(&raw::head(1, "GET", "/endless", true)).await;
    client.next_of(raw::DATA).await;
    drop(server.stop);
    let closed = tokio::time::timeout(PATIENCE, dropped.recv()).await;
    assert_eq!(closed.expect("the answer is given up"), None);
}

#[tokio::test]
async fn more_streams_than_were_agreed_are_refused_and_the_others_go_on() {
    let leave = Arc::new(Semaphore::new(0));
    let leaving = Arc::clone(&leave);
    let held = get(async move || {
        leaving.acquire().await.unwrap().forget();
        "held"
    });
    let limits = ClientLimits {
        streams: 2,
        ..ClientLimits::default()
    };
    let server = serve(router().route("/held", held), limits).await;
    let mut client = Raw::of(&server).await;
    let settings = client.next_of(raw::SETTINGS).await.payload;
    let mut pairs = settings.chunks_exact(6);
    assert!(pairs.any(|pair| pair == [0, 3, 0, 0, 0, 2]), "{settings:?}");
    for stream in [1, 3, 5] {
        client.send(&raw::head(stream, "GET", "/held", true)).await;
    }
    let refused = client.next_of(raw::RST_STREAM).await;
    assert_eq!((refused.stream, refused.reason()), (5, raw::REFUSED_STREAM));
    leave.add_permits(2);
    let (one, other) = (client.next_of(raw::DATA).await, client.next_of(raw::DATA).await);
    assert_eq!(
        (one.payload.as_slice(), other.payload.as_slice()),
        (&b"held"[..], &b"held"[..])
    );
    client.send(&raw::head(7, "GET", "/", true)).await;
    assert_eq!(client.next_of(raw::DATA).await.payload, b"fine");
}

/// Nor does a deadline end more than the answer: what goes on behind it counts, and a server that stops waits for it.
#[tokio::test]
async fn calls_that_go_on_behind_their_deadline_count_until_they_are_done() {
    let (done, leave) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (counted, leaving) = (Arc::clone(&done), Arc::clone(&leave));
    let held = tower::service_fn(move |_: Request<tonic::body::Body>| {
        let (counted, leaving) = (Arc::clone(&counted), Arc::clone(&leaving));
        async move {
            leaving.acquire().await.unwrap().forget();
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(tonic::Status::ok("").into_http())
        }
    });
    let limits = ClientLimits {
        streams: 2,
        ..ClientLimits::default()
    };
    let server = serve(router().route_service("/held", rpc::serve(held)), limits).await;
    let client = Client::of(&server).await;
    let call = async || {
        let mut asked = request(Method::POST, "/held");
        for (name, value) in [("content-type", "application/grpc"), ("grpc-timeout", "20m")] {
            asked.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let (answer, mut out) = client.begin(asked, false).await;
        out.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
        whole(answer).await.unwrap()
    };
    for _ in 0..4 {
        assert_eq!(call().await.headers["grpc-status"], "4");
    }
    assert_eq!(done.load(Ordering::Relaxed), 0);
    let refused = client.get("/").await;
    assert!(refused.text.contains(r#""code":20429"#), "{}", refused.text);
    // The end waits, though nobody has a connection any more.
    server.stop.send(()).unwrap();
    assert_eq!(client.ended().await, None);
    tokio::time::sleep(SOON).await;
    assert!(!server.ended.is_finished());
    leave.add_permits(4);
    server.ended.await.unwrap();
    assert_eq!(done.load(Ordering::Relaxed), 4);
}

/// Giving up what was asked for does not make room for more while it is still worked at.
#[tokio::test]
async fn changes_that_were_given_up_count_until_they_are_done() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (entering, leaving) = (Arc::clone(&entered), Arc::clone(&leave));
    let held = any(async move || {
        entering.notify_one();
        leaving.acquire().await.unwrap().forget();
        "held"
    });
    let limits = ClientLimits {
        streams: 2,
        ..ClientLimits::default()
    };
    let server = serve(router().route("/held", held), limits).await;
    let mut client = Raw::of(&server).await;
    for stream in [1, 3, 5, 7] {
        client.send(&raw::head(stream, "POST", "/held", true)).await;
        entered.notified().await;
        client.send(&raw::reset(stream)).await;
    }
    client.send(&raw::head(9, "GET", "/", true)).await;
    let refused = client.next_of(raw::DATA).await;
    let text = String::from_utf8(refused.payload).unwrap();
    assert!(refused.stream == 9 && text.contains(r#""code":20429"#), "{text}");
    leave.add_permits(4);
    // They are done one after the other, at some moment.
    for stream in (11..).step_by(2) {
        client.send(&raw::head(stream, "GET", "/", true)).await;
        if client.next_of(raw::DATA).await.payload == b"fine" {
            break;
        }
        assert!(stream < 10_001);
    }
    // Reads that were given up are over at once, however many.
    for stream in (10_003..10_103).step_by(2) {
        client.send(&raw::head(stream, "GET", "/held", true)).await;
        entered.notified().await;
        client.send(&raw::reset(stream)).await;
    }
    client.send(&raw::head(20_001, "GET", "/", true)).await;
    assert_eq!(client.next_of(raw::DATA).await.payload, b"fine");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let limits = ClientLimits {
        connections: 1,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    let first = Client::of(&server).await;
    assert_eq!(first.get("/").await.text, "fine");
    let mut second = server.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut second, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    assert!(tokio::time::timeout(SOON, second.peek(&mut byte)).await.is_err());
    drop(first);
    until_body(&mut second, "fine").await;
}

#[tokio::test]
async fn a_client_that_waits_must_still_be_there() {
    let held = get(async || std::future::pending::<&'static str>().await);
    let limits = ClientLimits {
        ping: SOON,
        pong: SOON * 3,
        ..ClientLimits::default()
    };
    let server = serve(Router::new().route("/held", held), limits).await;
    // It is asked again and again and answers each time.
    let alive = Client::of(&server).await;
    let (waits, _) = alive.begin(request(Method::GET, "/held"), true).await;
    let mut silent = Raw::of(&server).await;
    silent.send(&raw::head(1, "GET", "/held", true)).await;
    silent.next_of(raw::PING).await;
    // It does not answer, so nobody waits for it any more.
    assert_eq!(silent.until_gone().await, None);
    tokio::time::sleep(SOON * 5).await;
    assert!(
        tokio::time::timeout(Duration::from_millis(1), waits)
            .await
            .is_err()
    );
    assert!(alive.is_open());
}
