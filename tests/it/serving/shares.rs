//! What one host or one account holds open keeps no other one out.

use countersign::server::ClientLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::http::{Served, serve, until_body};
use super::limits::router;

/// A connection from another address of this machine.
async fn connect_from(server: &Served, host: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{host}:0").parse().unwrap()).unwrap();
    socket.connect(server.address).await.unwrap()
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
                let mut stream = connect_from(&server, &format!("127.0.0.{number}")).await;
                is_served(&mut stream).await;
                others.push(stream);
            }
            // Nor is the one that hoards kept out for good.
            tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
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
        let mut stream = connect_from(&server, &format!("127.0.0.{number}")).await;
        is_served(&mut stream).await;
        others.push(stream);
    }
    assert_eq!(hoard[0].read(&mut [0]).await.unwrap(), 0, "it is closed");
    for stream in hoard.iter_mut().skip(1).chain(&mut others) {
        is_served(stream).await;
    }
}
