//! A connection over which calls and other requests are made, by either version of HTTP and over whatever stream.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, TE};
use axum::http::{HeaderMap, Request, Uri, Version};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use super::rpc::{Answered, answered, framed};

/// A connection to a server.
pub(crate) struct RpcConnection {
    requests: Requests,
    /// What every URL begins with, such as `http://127.0.0.1:8080`.
    url: String,
}

enum Requests {
    Http1(Mutex<http1::SendRequest<Sent>>),
    Http2(http2::SendRequest<Sent>),
}

/// The body of a request.
type Sent = UnsyncBoxBody<Bytes, Infallible>;

/// What came back, as bytes.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

impl RpcConnection {
    /// By HTTP/2 without TLS. `url` begins with `http://`.
    pub(crate) async fn to(url: &str) -> Self {
        Self::on(connect(url).await, url, Version::HTTP_2).await
    }

    /// By HTTP/1.1 without TLS. `url` begins with `http://`.
    pub(crate) async fn over_http1(url: &str) -> Self {
        Self::on(connect(url).await, url, Version::HTTP_11).await
    }

    /// By this version on a stream that leads to `url`. It ends with the server, or with the test.
    pub(crate) async fn on<Stream>(stream: Stream, url: &str, version: Version) -> Self
    where
        Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = TokioIo::new(stream);
        let requests = if version == Version::HTTP_2 {
            let (requests, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            Requests::Http2(requests)
        } else {
            let (requests, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            Requests::Http1(Mutex::new(requests))
        };
        let url = url.trim_end_matches('/').to_owned();
        Self { requests, url }
    }

    /// Calls `path`, with a token if there is one.
    pub(crate) async fn call<Asked: Message, Answer: Message + Default>(
        &self,
        path: &str,
        token: Option<&str>,
        asked: &Asked,
    ) -> Answered<Answer> {
        let request = call(path, "application/grpc", token).body(framed(asked).into());
        let answer = self.ask(request.unwrap()).await;
        answered(&answer.headers, &answer.trailers, &answer.body)
    }

    /// Begins a call whose body is still to come.
    pub(crate) async fn begin(&self, path: &str, content_type: &str, token: Option<&str>) -> BegunCall {
        let (body, rest) = oneshot::channel();
        // Nothing comes of a call that is let go.
        let pieces = rest.into_stream().filter_map(|piece| {
            let piece = piece.ok().map(|piece| Ok(Frame::data(piece)));
            future::ready(piece)
        });
        let request = call(path, content_type, token).body(StreamBody::new(pieces).boxed_unsync());
        let answer = self.send(request.unwrap()).await;
        BegunCall { body, answer }
    }

    /// The answer to a request, whose URI is a path.
    pub(crate) async fn ask(&self, request: Request<Bytes>) -> RawAnswer {
        let request = request.map(|body| Full::new(body).boxed_unsync());
        patient(self.send(request).await).await
    }

    /// Sends a request, or begins to; its answer.
    async fn send(&self, mut request: Request<Sent>) -> JoinHandle<RawAnswer> {
        let path = request.uri().clone();
        match &self.requests {
            Requests::Http1(requests) => {
                let host = self.url.split("//").nth(1).unwrap();
                request.headers_mut().insert(HOST, host.parse().unwrap());
                let mut requests = requests.lock().await;
                requests.ready().await.expect("the connection goes on");
                tokio::spawn(whole(requests.send_request(request)))
            }
            Requests::Http2(requests) => {
                let whole_uri: Uri = format!("{}{path}", self.url).parse().unwrap();
                *request.uri_mut() = whole_uri;
                *request.version_mut() = Version::HTTP_2;
                let mut requests = requests.clone();
                requests.ready().await.expect("the connection goes on");
                tokio::spawn(whole(requests.send_request(request)))
            }
        }
    }
}

async fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await;
    let stream = stream.unwrap();
    // A body that waits for the head to be acknowledged waits for 40 ms.
    stream.set_nodelay(true).unwrap();
    stream
}

/// The head of a call.
fn call(path: &str, content_type: &str, token: Option<&str>) -> axum::http::request::Builder {
    let head = Request::post(path).header(CONTENT_TYPE, content_type);
    let head = match token {
        Some(token) => head.header(AUTHORIZATION, format!("Bearer {token}")),
        None => head,
    };
    // Nothing else needs trailers, and HTTP/1.1 has none.
    if content_type.starts_with("application/grpc-web") {
        head
    } else {
        head.header(TE, "trailers")
    }
}

async fn whole(answer: impl Future<Output = hyper::Result<axum::http::Response<Incoming>>>) -> RawAnswer {
    let (head, body) = answer.await.expect("an answer").into_parts();
    let body = body.collect().await.expect("the whole answer");
    let trailers = body.trailers().cloned().unwrap_or_default();
    RawAnswer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.to_bytes().to_vec(),
        trailers,
    }
}

/// Far beyond what any answer takes.
async fn patient(answer: JoinHandle<RawAnswer>) -> RawAnswer {
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await;
    answer.expect("an answer comes").unwrap()
}

/// A call whose body is still to come.
pub(crate) struct BegunCall {
    body: oneshot::Sender<Bytes>,
    answer: JoinHandle<RawAnswer>,
}

impl BegunCall {
    /// Sends the body, all of it, and reads the answer to its end.
    pub(crate) async fn end(self, body: Vec<u8>) -> RawAnswer {
        // It may be answered before all of it is sent.
        let _answered_already = self.body.send(body.into());
        patient(self.answer).await
    }
}
