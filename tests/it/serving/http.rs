//! A client that sends exactly the bytes it is told to, and a server inside the test.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use countersign::dialect::{Dialect, Http, Speaks, twilio};
use countersign::domain::entropy::SystemEntropy;
use countersign::server::{ClientLimits, Listener, Protocol, run};
use countersign::web::boundary::Boundary;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server inside the test.
pub(crate) struct Served {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) ended: JoinHandle<()>,
}

/// Serves `router` on a free port.
pub(crate) async fn serve(router: Router, limits: ClientLimits) -> Served {
    let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    serve_on(listener, router, limits)
}

pub(crate) fn serve_on(listener: Listener, router: Router, limits: ClientLimits) -> Served {
    let failures = Arc::new(twilio::TwilioFailures::default());
    let http = Speaks::Http(Http { router, failures });
    serve_dialect(listener, http, limits)
}

/// Serves what is spoken as `speaks` has it.
pub(crate) fn serve_dialect(listener: Listener, speaks: Speaks, limits: ClientLimits) -> Served {
    let address = listener.address();
    let dialect = Dialect { name: "test", speaks };
    let protocol = Protocol::of(dialect, |http| {
        Boundary::new(http, Arc::default(), &SystemEntropy)
    });
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(run(vec![listener], protocol, limits, async {
        let _stopped_or_dropped = stopped.await;
    }));
    Served { address, stop, ended }
}

impl Served {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Everything that is answered to `request` until the server closes the connection.
    pub(crate) async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        until_closed(&mut stream).await
    }
}

/// Everything that arrives until the server closes the connection, which it must within reasonable time.
pub(crate) async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes));
    read.await
        .expect("the server closes the connection")
        .expect("it is not reset");
    String::from_utf8(bytes).unwrap()
}

/// The next answer whose body is `body`.
pub(crate) async fn until_body(stream: &mut TcpStream, body: &str) -> String {
    let mut text = String::new();
    let read = async {
        while !text.ends_with(&format!("\r\n\r\n{body}")) {
            let mut piece = [0; 1024];
            let length = stream.read(&mut piece).await.unwrap();
            assert!(length > 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("an answer comes");
    text
}

/// Far beyond every limit that a test sets.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
