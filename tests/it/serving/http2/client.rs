//! A client of HTTP/2 that keeps the rules.

use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::serving::http::{PATIENCE, Served};

/// One connection.
pub(crate) struct Client {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Client {
    /// Begins with HTTP/2 at once.
    pub(crate) async fn of(server: &Served) -> Self {
        Self::on(TcpStream::connect(server.address).await.unwrap()).await
    }

    pub(crate) async fn on<Stream>(stream: Stream) -> Self
    where
        Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::with(h2::client::Builder::new(), stream).await
    }

    /// With windows and limits of its own.
    pub(crate) async fn with<Stream>(settings: h2::client::Builder, stream: Stream) -> Self
    where
        Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (requests, connection) = settings.handshake(stream).await.unwrap();
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    /// A request whose body is still to come, unless it `ends` here.
    pub(crate) async fn begin(
        &self,
        request: Request<()>,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = self.requests.clone().ready().await.unwrap();
        requests.send_request(request, ends).unwrap()
    }

    /// A request without a body.
    pub(crate) async fn ask(&self, request: Request<()>) -> Result<Answer, h2::Error> {
        let (answer, _) = self.begin(request, true).await;
        whole(answer).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(request(Method::GET, path)).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        let (answer, mut out) = self.begin(request(Method::POST, path), false).await;
        // It may be answered, and reset, before all of it is sent.
        let _partly = out.send_data(body.into(), true);
        whole(answer).await.unwrap()
    }

    /// Whether the connection goes on.
    pub(crate) fn is_open(&self) -> bool {
        !self.connection.is_finished()
    }

    /// Waits for the end of the connection; what the server gave as its reason, if it was no good one.
    pub(crate) async fn ended(self) -> Option<Reason> {
        let Self { requests, connection } = self;
        // The connection would end by itself when nobody can ask any more.
        let ended = tokio::time::timeout(PATIENCE, connection).await;
        drop(requests);
        ended
            .expect("the server ends the connection")
            .unwrap()
            .err()
            .map(|error| error.reason().unwrap_or(Reason::NO_ERROR))
    }
}

/// A request as every client makes it.
pub(crate) fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("http://verify.example{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

/// All of an answer.
pub(crate) async fn whole(answer: ResponseFuture) -> Result<Answer, h2::Error> {
    let waited = tokio::time::timeout(PATIENCE, async {
        let (head, body) = answer.await?.into_parts();
        let text = text_of(body).await?;
        Ok(answer_of(head.status, head.headers, text))
    });
    waited.await.expect("an answer comes")
}

async fn text_of(mut body: RecvStream) -> Result<String, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok(String::from_utf8(bytes).unwrap())
}

fn answer_of(status: StatusCode, headers: HeaderMap, text: String) -> Answer {
    Answer {
        status: status.as_u16(),
        headers,
        text,
    }
}
