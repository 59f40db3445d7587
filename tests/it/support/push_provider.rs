//! Apple and Google on this machine: an HTTP/2 server without TLS that answers as it is told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, Request, Response, Version};
use countersign::delivery::Senders;
use countersign::delivery::http::HttpClient;
use countersign::delivery::push::{Addresses, PushProviders};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The server.
#[derive(Clone, Debug)]
pub(crate) struct PushProvider {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    /// For notifications; each is used once, then everything is well.
    replies: VecDeque<Reply>,
    /// For access tokens, in the same way.
    token_replies: VecDeque<Reply>,
    tokens: usize,
    connections: usize,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A status with `Retry-After` and a body.
    Status(u16, Option<&'static str>, String),
    /// Nothing, ever.
    Never,
    /// The same, once the test says so.
    Held(Arc<Notify>, Box<Reply>),
}

/// What is at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// A server that takes connections and never says a word.
    Mute,
    /// One that speaks another protocol.
    Garbage,
    /// One that never takes the connections that wait for it.
    NeverAccepts,
    /// Nobody.
    Absent,
}

impl Reply {
    /// Apple's form of a fault.
    pub(crate) fn apns(status: u16, reason: &str) -> Self {
        Self::Status(status, None, json!({"reason": reason}).to_string())
    }

    /// Google's form of a fault.
    pub(crate) fn fcm(status: u16, general: &str, code: &str, message: &str) -> Self {
        let body = json!({"error": {
            "code": status,
            "message": message,
            "status": general,
            "details": [{
                "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
                "errorCode": code,
            }],
        }});
        Self::Status(status, None, body.to_string())
    }

    /// The same with a wait.
    pub(crate) fn after(self, wait: &'static str) -> Self {
        match self {
            Self::Status(status, _, body) => Self::Status(status, Some(wait), body),
            other => other,
        }
    }
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of a form.
    pub(crate) fn form(&self, name: &str) -> String {
        let mut pairs = form_urlencoded::parse(&self.body);
        pairs.find(|(given, _)| given == name).unwrap().1.into_owned()
    }
}

impl PushProvider {
    /// Begins to serve.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let server = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                server.state.lock().unwrap().connections += 1;
                tokio::spawn(server.clone().serve(stream));
            }
        });
        provider
    }

    /// The senders of a server whose providers are here, and which waits for them for so long.
    pub(crate) fn senders(&self, timeout: Option<Duration>) -> Senders {
        senders(self.address, timeout)
    }

    /// What the next notifications are answered with.
    pub(crate) fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().replies.extend(replies);
    }

    /// What the next notification is answered with, once the value is notified.
    pub(crate) fn reply_when_told(&self, reply: Reply) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        self.reply([Reply::Held(Arc::clone(&gate), Box::new(reply))]);
        gate
    }

    /// What the next requests for a token are answered with.
    pub(crate) fn reply_to_tokens(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().token_replies.extend(replies);
    }

    /// All requests since the last call.
    pub(crate) fn received(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.lock().unwrap().received)
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    async fn serve(self, stream: TcpStream) {
        let answer = service_fn(move |request: Request<Incoming>| self.clone().answer(request));
        let connection =
            http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer);
        // It ends when the client goes.
        let _ = connection.await;
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        assert_eq!(request.version(), Version::HTTP_2);
        assert_eq!(request.method(), "POST");
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let reply = self.note(Received {
            path,
            headers: parts.headers,
            body,
        });
        let reply = match reply {
            Reply::Held(gate, reply) => {
                gate.notified().await;
                *reply
            }
            other => other,
        };
        let Reply::Status(status, wait, body) = reply else {
            return std::future::pending().await;
        };
        let mut response = Response::builder().status(status);
        if let Some(wait) = wait {
            response = response.header("retry-after", wait);
        }
        Ok(response.body(Full::new(Bytes::from(body))).unwrap())
    }

    fn note(&self, received: Received) -> Reply {
        let mut state = self.state.lock().unwrap();
        let path = received.path.clone();
        state.received.push(received);
        if path == "/token" {
            state.tokens += 1;
            let body = json!({
                "access_token": format!("ya29.{}", state.tokens),
                "expires_in": 3599,
                "token_type": "Bearer",
            });
            let good = Reply::Status(200, None, body.to_string());
            return state.token_replies.pop_front().unwrap_or(good);
        }
        let body = if path.contains("/v1/projects/") {
            json!({"name": "projects/owl-bank/messages/1"}).to_string()
        } else {
            String::new()
        };
        state
            .replies
            .pop_front()
            .unwrap_or(Reply::Status(200, None, body))
    }
}

/// The senders of a server whose providers behave like this, as long as the second value lives.
pub(crate) async fn misbehaving(behaviour: Behaviour, timeout: Duration) -> (Senders, impl Sized) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let senders = senders(listener.local_addr().unwrap(), Some(timeout));
    let (task, listener) = match behaviour {
        Behaviour::Absent => (None, None),
        Behaviour::NeverAccepts => (None, Some(listener)),
        Behaviour::Mute | Behaviour::Garbage => (
            Some(tokio::spawn(async move {
                let mut open = Vec::new();
                while let Ok((mut stream, _)) = listener.accept().await {
                    if behaviour == Behaviour::Garbage {
                        let _ = stream.write_all(b"220 mail.owlbank.example ESMTP\r\n").await;
                    }
                    open.push(stream);
                }
            })),
            None,
        ),
    };
    (senders, (task, listener))
}

fn senders(address: SocketAddr, timeout: Option<Duration>) -> Senders {
    let url = |path: &str| Some(format!("http://{address}{path}").parse().unwrap());
    let addresses = Addresses {
        apns: url(""),
        apns_sandbox: url("/sandbox/"),
        fcm: url("/"),
        fcm_tokens: url("/token"),
        timeout,
    };
    let push = PushProviders::new(addresses, HttpClient::default());
    Senders {
        push,
        ..Senders::default()
    }
}
