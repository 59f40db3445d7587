//! A push service on the loopback (RFC 8030, section 5).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What arrived.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// What the push service says to the next message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Status(u16),
    RetryAfter(u16, &'static str),
    /// To a page that must not be called.
    Redirect(u16),
    Never,
}

/// The push service. It says what it was told to, in turn, and the last of it forever.
#[derive(Clone, Debug)]
pub(super) struct PushService {
    pub(super) origin: String,
    state: Arc<Mutex<Conversation>>,
}

#[derive(Debug)]
struct Conversation {
    replies: Vec<Reply>,
    messages: Vec<Message>,
}

impl PushService {
    pub(super) async fn saying(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let conversation = Conversation {
            replies: replies.iter().rev().copied().collect(),
            messages: Vec::new(),
        };
        let service = Self {
            origin,
            state: Arc::new(Mutex::new(conversation)),
        };
        let router = Router::new().fallback(receive).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        service
    }

    pub(super) fn endpoint(&self) -> String {
        format!("{}/push/a-secret-path?and=query", self.origin)
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        self.state.lock().unwrap().messages.clone()
    }
}

async fn receive(State(service): State<PushService>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.iter();
    let message = Message {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: to_bytes(body, 1 << 20).await.unwrap().to_vec(),
    };
    let reply = {
        let mut conversation = service.state.lock().unwrap();
        conversation.messages.push(message);
        match conversation.replies.as_slice() {
            [last] => *last,
            _ => conversation.replies.pop().unwrap(),
        }
    };
    let status = |code| StatusCode::from_u16(code).unwrap();
    match reply {
        Reply::Status(code) => status(code).into_response(),
        Reply::RetryAfter(code, after) => (status(code), [("retry-after", after)]).into_response(),
        Reply::Redirect(code) => (status(code), [("location", "/elsewhere")]).into_response(),
        Reply::Never => std::future::pending().await,
    }
}

/// Something that is no HTTP server; returns the endpoint.
pub(super) async fn garbage() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/p", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            // Whether anybody listens is not for it to know.
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"\x00\xff not HTTP\r\n\r\n").await;
        }
    });
    endpoint
}

/// An endpoint where nobody listens.
pub(super) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/p", listener.local_addr().unwrap())
}
