//! What one host or one account holds open keeps no other one out.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::routing::get;
use bytes::Bytes;
use countersign::dialect::Stranger;
use countersign::server::ClientLimits;
use countersign::web::rpc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::http::{serve, until_body, until_closed};
use super::http2::{Client, request, whole};
use super::limits::{SOON, router};

/// A connection from another address of this machine.
pub(super) async fn connect_from(server: SocketAddr, host: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{host}:0").parse().unwrap()).unwrap();
    socket.connect(server).await.unwrap()
}

async fn is_served(stream: &mut TcpStream) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    until_body(stream, "fine").await;
}

/// Sockets that say nothing, that speak HTTP/2 and ask for nothing, and that had an answer.
#[tokio::test]
async fn idle_connections_of_one_address_keep_nobody_else_out() {
    const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for first in [&b""[..], HTTP_2, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
        // As many as there are places, and twice as many.
        for idle in [64, 128] {
            let limits = ClientLimits {
                connections: 64,
                ..ClientLimits::default()
            };
            let server = serve(router(), limits).await;
            let mut hoard = Vec::new();
            for _ in 0..idle {
                let mut stream = server.connect().await;
                // One that is turned away is closed by now.
                let _open_or_not = stream.write_all(first).await;
                hoard.push(stream);
            }
            let mut others = Vec::new();
            for number in 2..10 {
                let mut stream = connect_from(server.address, &format!("127.0.0.{number}")).await;
                is_served(&mut stream).await;
                others.push(stream);
            }
            // Nor is the one that hoards kept out for good.
            tokio::time::sleep(Duration::from_millis(1100)).await;
            is_served(&mut server.connect().await).await;
            for stream in &mut others {
                is_served(stream).await;
            }
        }
    }
}

/// All places of others are taken: a new one gets one of whoever has most, and that one's busy connections stay.
#[tokio::test]
async fn under_pressure_the_oldest_idle_connection_of_whoever_has_most_is_closed() {
    let limits = ClientLimits {
        connections: 8,
        ..ClientLimits::default()
    };
    let server = serve(router(), limits).await;
    let mut hoard = Vec::new();
    for _ in 0..6 {
        let mut stream = server.connect().await;
        is_served(&mut stream).await;
        hoard.push(stream);
    }
    let mut others = Vec::new();
    for number in 2..5 {
        let mut stream = connect_from(server.address, &format!("127.0.0.{number}")).await;
        is_served(&mut stream).await;
        others.push(stream);
    }
    assert_eq!(hoard[0].read(&mut [0]).await.unwrap(), 0, "it is closed");
    for stream in hoard.iter_mut().skip(1).chain(&mut others) {
        is_served(stream).await;
    }
}

/// Requests that are never answered, over as few connections as the protocol needs.
#[tokio::test]
async fn requests_of_one_address_over_http_2_leave_room_for_others() {
    let limits = ClientLimits {
        connections: 64,
        ..ClientLimits::default()
    };
    let router = router().route("/never", get(std::future::pending::<()>));
    for wanted in [64_usize, 128] {
        let server = serve(router.clone(), limits).await;
        let clients = [Client::of(&server).await, Client::of(&server).await];
        let mut asked = Vec::new();
        for number in 0..wanted {
            let client = &clients[number % wanted.div_ceil(100)];
            asked.push(client.begin(request(Method::GET, "/never"), true).await);
        }
        // What is beyond its share is refused, whichever connection it came over.
        assert_eq!(clients[0].get("/").await.status, 429);
        let mut refused = 0;
        for (answer, _) in &mut asked {
            if let Ok(answer) = tokio::time::timeout(SOON, answer).await {
                assert_eq!(answer.unwrap().status(), 429);
                refused += 1;
            }
        }
        assert_eq!(refused, wanted - 48);
        for number in 2..10 {
            let host = format!("127.0.0.{number}");
            is_served(&mut connect_from(server.address, &host).await).await;
            let client = Client::on(connect_from(server.address, &host).await).await;
            assert_eq!(client.get("/").await.text, "fine");
        }
        // What is given up makes room.
        drop(asked);
        let given_up = async {
            while clients[0].get("/").await.status != 200 {
                tokio::time::sleep(SOON / 10).await;
            }
        };
        tokio::time::timeout(super::http::PATIENCE, given_up)
            .await
            .unwrap();
    }
}

/// Behind an answer to somebody who is not known a connection is kept for a moment only, and as long as any other one behind
/// an answer to somebody who is.
#[tokio::test]
async fn who_is_not_known_does_not_idle_for_long() {
    let limits = ClientLimits {
        stranger: SOON * 3,
        ..ClientLimits::default()
    };
    let refuse = get(async || (StatusCode::UNAUTHORIZED, Extension(Stranger)));
    let call = tower::service_fn(async |_: Request<tonic::body::Body>| {
        Ok::<_, Infallible>(tonic::Status::unauthenticated("no").into_http())
    });
    let router = router()
        .route("/refused", refuse)
        .route_service("/call", rpc::serve(call));
    let server = serve(router, limits).await;
    let asked = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    // Whoever tries again in time goes on, and then has as long as everybody.
    let mut known = server.connect().await;
    known.write_all(asked("/refused").as_bytes()).await.unwrap();
    until_body(&mut known, "").await;
    is_served(&mut known).await;
    let known_too = Client::of(&server).await;
    assert_eq!(known_too.get("/refused").await.status, 401);
    assert_eq!(known_too.get("/").await.status, 200);
    let mut one = server.connect().await;
    one.write_all(asked("/refused").as_bytes()).await.unwrap();
    let two = Client::of(&server).await;
    assert_eq!(two.get("/refused").await.status, 401);
    let began = Instant::now();
    assert!(until_closed(&mut one).await.starts_with("HTTP/1.1 401 "));
    assert!(two.ended().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // Whatever the protocol says it with.
    for version in [1, 2] {
        let began = Instant::now();
        if version == 1 {
            let mut web = server.connect().await;
            let head = "POST /call HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web\r\n";
            let text = format!("{head}content-length: 5\r\n\r\n\0\0\0\0\0");
            web.write_all(text.as_bytes()).await.unwrap();
            assert!(until_closed(&mut web).await.contains("Grpc-Status: 16\r\n"));
        } else {
            let native = Client::of(&server).await;
            let mut head = request(Method::POST, "/call");
            head.headers_mut()
                .insert("content-type", HeaderValue::from_static("application/grpc"));
            let (answer, mut out) = native.begin(head, false).await;
            out.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
            assert_eq!(whole(answer).await.unwrap().headers["grpc-status"], "16");
            assert!(native.ended().await.is_none());
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    // Who waits for something owes nothing, whatever else was refused.
    let three = Client::of(&server).await;
    let (slow, _) = three.begin(request(Method::GET, "/slow"), true).await;
    assert_eq!(three.get("/refused").await.status, 401);
    assert_eq!(whole(slow).await.unwrap().text, "slow");
    is_served(&mut known).await;
    assert_eq!(known_too.get("/").await.status, 200);
}
