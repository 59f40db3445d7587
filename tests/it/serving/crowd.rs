//! The binary, started with few connections by the command line, and hosts that want them all.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::process::{Process, basic};
use super::shares::connect_from;

/// A server with 64 connections.
struct Crowd {
    _server: Process,
    _directory: TempDir,
    address: SocketAddr,
    authorization: String,
}

impl Crowd {
    fn gather(variables: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        let mut server = Process::start_with(directory.path(), &["--max-connections", "64"], variables);
        let (sid, token) = server.credentials();
        Self {
            address: server.url.strip_prefix("http://").unwrap().parse().unwrap(),
            authorization: basic(&sid, &token),
            _server: server,
            _directory: directory,
        }
    }

    /// A connection from `host` that sends `text`, unless it is turned away.
    async fn says(&self, host: &str, text: &str) -> TcpStream {
        let mut stream = connect_from(self.address, host).await;
        let _turned_away = stream.write_all(text.as_bytes()).await;
        stream
    }

    /// A request of the account's for `client` that does not go on, in its head or in its body.
    fn begun(&self, client: &str, begins_body: bool) -> String {
        let authorization = &self.authorization;
        let head = format!(
            "POST /v2/Services HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nX-Forwarded-For: {client}\r\n"
        );
        if begins_body {
            head + "Content-Length: 100\r\n\r\nFriendlyName="
        } else {
            head
        }
    }

    /// Asks as somebody who has an account, for whom a proxy says that it speaks, and must be answered at once.
    async fn is_served(&self, stream: &mut TcpStream, client: &str) {
        let began = Instant::now();
        let authorization = &self.authorization;
        let request = format!(
            "GET /v2/Services HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nX-Forwarded-For: {client}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        while !text.ends_with('}') {
            let mut piece = [0; 4096];
            let read = tokio::time::timeout(AT_ONCE, stream.read(&mut piece)).await;
            let length = read.unwrap_or_else(|_| panic!("{client} waits")).unwrap();
            assert!(length > 0, "{client}: closed after {text:?}");
            text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
        assert!(text.starts_with("HTTP/1.1 200 "), "{client}: {text}");
        assert!(began.elapsed() < AT_ONCE, "{client}: {:?}", began.elapsed());
    }
}

/// As many as there are places and twice as many, of a host that says nothing.
#[tokio::test]
async fn of_sixty_four_connections_those_that_one_host_idles_on_keep_nobody_out() {
    for idle in [64, 128] {
        let crowd = Crowd::gather(&[]);
        let mut hoard = Vec::new();
        for _ in 0..idle {
            hoard.push(crowd.says("127.0.0.1", "").await);
        }
        // They take what the one that hoards could not, and then its oldest ones.
        let mut others = Vec::new();
        for number in 2..40 {
            if number == 12 {
                tokio::time::sleep(Duration::from_millis(1100)).await;
            }
            let mut stream = crowd.says(&format!("127.0.0.{number}"), "").await;
            crowd.is_served(&mut stream, "198.51.100.1").await;
            others.push(stream);
        }
        for stream in &mut others {
            crowd.is_served(stream, "198.51.100.1").await;
        }
        let oldest = tokio::time::timeout(AT_ONCE, hoard[0].read(&mut [0])).await;
        assert!(matches!(oldest, Ok(Ok(0) | Err(_))), "it went first: {oldest:?}");
    }
}

/// Heads and bodies that never end.
#[tokio::test]
async fn slow_requests_of_one_host_keep_nobody_out() {
    for begins_body in [false, true] {
        for slow in [64, 128] {
            let crowd = Crowd::gather(&[]);
            let begun = crowd.begun("127.0.0.1", begins_body);
            let mut hoard = Vec::new();
            for _ in 0..slow {
                hoard.push(crowd.says("127.0.0.1", &begun).await);
            }
            let mut others = Vec::new();
            for number in 2..12 {
                let mut stream = crowd.says(&format!("127.0.0.{number}"), "").await;
                crowd.is_served(&mut stream, "198.51.100.1").await;
                others.push(stream);
            }
        }
    }
}

/// All come over one proxy's connections, and one of them sends requests that never end.
#[tokio::test]
async fn one_client_of_a_trusted_proxy_keeps_its_other_clients_out_of_nothing() {
    for slow in [64, 128] {
        let crowd = Crowd::gather(&[("COUNTERSIGN_TRUSTED_PROXIES", "127.0.0.1")]);
        let begun = crowd.begun("198.51.100.1", true);
        let mut hoard = Vec::new();
        for _ in 0..slow {
            hoard.push(crowd.says("127.0.0.1", &begun).await);
        }
        for number in 2..12 {
            let mut stream = crowd.says("127.0.0.1", "").await;
            let client = format!("198.51.100.{number}");
            crowd.is_served(&mut stream, &client).await;
        }
        // It has its share, and is told so, on whichever connections came last to the server; what a connection holds is lost if it
        // went to make room for others.
        let told = hoard.iter_mut().map(async |stream| {
            // The connection stays for a moment behind its answer.
            let mut first = [0; "HTTP/1.1 429 ".len()];
            let _nothing_or_reset = tokio::time::timeout(AT_ONCE, stream.read_exact(&mut first)).await;
            String::from_utf8_lossy(&first).into_owned()
        });
        let told = join_all(told).await;
        assert!(
            told.iter().any(|told| told.starts_with("HTTP/1.1 429 ")),
            "{told:?}"
        );
    }
}

/// Nothing that is answered here takes anywhere near as long, and no time-out of the server is as short.
const AT_ONCE: Duration = Duration::from_secs(4);
