//! Somebody whom the server sends to: a loopback server that notes what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A loopback server; it ends with the test.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

/// What came.
#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<Received>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// The header of this name, in lower case; there must be exactly one.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.iter().filter(|(n, _)| n == name).collect();
        let [(_, value)] = values[..] else {
            panic!("{name}: {values:?}")
        };
        value
    }

    /// The URL that the request was sent to, as its receiver puts it together.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.header("host"), self.target)
    }
}

/// The usual answer.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

impl Receiver {
    /// Answers every request with `answer` and closes the connection.
    pub(crate) async fn answering(answer: impl Into<String>) -> Self {
        Self::on("127.0.0.1:0", answer).await
    }

    /// The same at this address.
    pub(crate) async fn on(address: &str, answer: impl Into<String>) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = seen.clone();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                noted.lock().unwrap().connections += 1;
                // Whoever leaves in the middle was no request.
                if let Some(mut stream) = receive(stream, &noted).await {
                    let _gone = stream.write_all(answer.as_bytes()).await;
                    let _gone = stream.shutdown().await;
                }
            }
        });
        Self {
            address,
            seen,
            serving,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its URL with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often somebody connected.
    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.seen.lock().unwrap().requests.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn receive(stream: TcpStream, seen: &Mutex<Seen>) -> Option<TcpStream> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    seen.lock().unwrap().requests.push(Received {
        method,
        target,
        headers,
        body,
    });
    Some(stream.into_inner())
}
