//! Makes recorded requests over a connection, broken ones, and looks at each answer.

use axum::http::{HeaderMap, Method, Request, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign::dialect::zitadel;
use countersign::store::counting::CountingStore;
use countersign::store::memory::MemoryStore;
use serde_json::Value;
use tonic::Code;

use super::answers::Said;
use super::mutator::Mutator;
use crate::support::rpc::RpcConnection;

/// A request that is good.
pub(super) struct Recorded {
    /// The path of the call.
    pub(super) path: String,
    pub(super) message: Vec<u8>,
    /// The same over plain HTTP, where there is that.
    pub(super) plain: Option<PlainRequest>,
    pub(super) token: String,
    /// Whether it only reads.
    pub(super) reads: bool,
}

impl Recorded {
    /// Whether a request asks for the same operation.
    fn is_asked_by(&self, request: &Request<Bytes>) -> bool {
        let (path, verb) = (request.uri().path(), request.method());
        path == self.path
            || self
                .plain
                .as_ref()
                .is_some_and(|plain| plain.path == path && plain.verb == verb)
    }
}

/// A request over plain HTTP.
pub(super) struct PlainRequest {
    pub(super) verb: Method,
    pub(super) path: String,
    pub(super) body: Value,
}

/// In which form a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Native,
    Web,
    WebText,
    Json,
}

impl Form {
    /// Those of calls over HTTP/2, and over HTTP/1.1.
    pub(super) const CALLS: &[Self] = &[Self::Native, Self::Web, Self::WebText];
    pub(super) const WEB_CALLS: &[Self] = &[Self::Web, Self::WebText];

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Native => "application/grpc",
            Self::Web => "application/grpc-web+proto",
            Self::WebText => "application/grpc-web-text+proto",
            Self::Json => "application/json",
        }
    }
}

/// What bodies are said to be that are something else.
const OTHER_TYPES: [&str; 8] = [
    "",
    "application/grpc",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/x-www-form-urlencoded",
    "application/json; charset=utf-16",
    "multipart/form-data; boundary=x",
    "text/plain",
];

/// Whoever makes the requests.
pub(super) struct Breaker {
    pub(super) connection: RpcConnection,
    pub(super) forms: &'static [Form],
    mutator: Mutator,
    recorded: Vec<Recorded>,
}

/// How many requests were answered well, and how many refused.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) well: usize,
    pub(super) refused: usize,
}

/// What gRPC has `INTERNAL` for: what frames or messages there are is not what the caller says ("Status codes and their use in
/// gRPC"). What only the server is to blame for is told in other words.
const INTERNAL: [&str; 8] = [
    "a message begins with 0, or with 1 if it is compressed",
    "the body is not in base64",
    "the call ends within its message",
    "the call ends within the head of its message",
    "the call has more than one message",
    "the call has no message",
    "failed to decode Protobuf message",
    "protocol error: received message with compressed-flag but no grpc-encoding was specified",
];

/// What is in the head of a request beside its type.
struct BrokenHead {
    headers: HeaderMap,
    token_changed: bool,
    /// Whether that is another one: the case of its first half makes none.
    is_stranger: bool,
}

/// A request that was made.
#[derive(Debug)]
struct SentRequest {
    reads: bool,
    request: Request<Bytes>,
}

impl SentRequest {
    /// Whether it says that it is a call.
    fn is_call(&self) -> bool {
        self.request.headers()["content-type"]
            .as_bytes()
            .starts_with(b"application/grpc")
    }
}

impl Breaker {
    /// One whose choices begin with `seed`.
    pub(super) fn new(connection: RpcConnection, forms: &'static [Form], seed: u32) -> Self {
        Self {
            connection,
            forms,
            mutator: Mutator::new(seed),
            recorded: Vec::new(),
        }
    }

    /// From now on, these are broken.
    pub(super) fn record(&mut self, recorded: Vec<Recorded>) {
        let pieces = recorded.iter().map(|request| match &request.plain {
            Some(plain) if self.forms == [Form::Json] => plain.body.to_string().into_bytes(),
            _ => request.message.clone(),
        });
        self.mutator.others = pieces.collect();
        self.recorded = recorded;
    }

    /// Makes so many broken requests. What only reads, and what no operation was asked, changes nothing of the store, but that
    /// the audit log may tell of it.
    pub(super) async fn round(
        &mut self,
        requests: usize,
        store: Option<&CountingStore<MemoryStore>>,
    ) -> Tally {
        let mut tally = Tally::default();
        for _ in 0..requests {
            store.map(CountingStore::take);
            let (sent, said) = self.one().await;
            let commits = store.map_or(0, |store| {
                let made = store.take();
                made.commit - made.audit
            });
            // What was not sent is counted.
            let refused_unasked = said.code != Code::Ok && !said.identified;
            if sent.reads || refused_unasked && !said.text.starts_with("the code was not sent") {
                assert_eq!(commits, 0, "no change: {said:?}: {sent:?}");
            }
            if said.code == Code::Ok {
                tally.well += 1;
            } else {
                tally.refused += 1;
            }
        }
        tally
    }

    /// Makes a broken request; what became of it.
    async fn one(&mut self) -> (SentRequest, Said) {
        let all: Vec<_> = (0..self.recorded.len()).collect();
        let nth = *self.mutator.choice(&all);
        let form = *self.mutator.choice(self.forms);
        let head = self.head(nth, form);
        let mut request = if form == Form::Json {
            self.plain(nth)
        } else {
            self.call(nth, form)
        };
        request.headers_mut().extend(head.headers);
        let sent = SentRequest {
            reads: self.recorded[nth].reads && self.recorded[nth].is_asked_by(&request),
            request,
        };
        let answer = self.connection.ask(sent.request.clone()).await;
        if form == Form::Json && !zitadel::claims(sent.request.uri(), &HeaderMap::new()) {
            assert!((400..500).contains(&answer.status), "{sent:?}: {answer:?}");
            return (sent, Said::not_here());
        }
        let said = if sent.is_call() {
            assert_eq!(answer.status, 200, "{sent:?}: {answer:?}");
            Said::by_call(&answer)
        } else {
            Said::by_json(&answer)
        };
        let permitted = match said.code {
            Code::Ok => !head.is_stranger || sent.request.uri().path().ends_with("ealthz"),
            Code::Internal => INTERNAL.iter().any(|text| said.text.starts_with(text)),
            Code::Unknown | Code::DataLoss | Code::Cancelled | Code::Unavailable | Code::Aborted => false,
            Code::Unauthenticated => head.token_changed,
            Code::DeadlineExceeded => sent.request.headers().contains_key("grpc-timeout"),
            _ => true,
        };
        assert!(permitted, "{said:?}: {sent:?}");
        (sent, said)
    }

    fn call(&mut self, nth: usize, form: Form) -> Request<Bytes> {
        let body = self.mutator.frame(&self.recorded[nth].message);
        let sent = if form == Form::WebText && !self.mutator.one_in(8) {
            STANDARD.encode(&body).into_bytes()
        } else {
            body
        };
        Request::post(&self.recorded[nth].path)
            .header("content-type", form.content_type())
            .body(sent.into())
            .unwrap()
    }

    fn plain(&mut self, nth: usize) -> Request<Bytes> {
        let plain = self.recorded[nth]
            .plain
            .as_ref()
            .expect("a request over plain HTTP");
        let body = self.mutator.json(&plain.body);
        let path = if self.mutator.one_in(6) {
            self.mutator.path(&plain.path)
        } else {
            plain.path.clone()
        };
        let uri: Uri = path.parse().unwrap();
        let verb = if self.mutator.one_in(12) {
            let verbs = [
                Method::GET,
                Method::PUT,
                Method::POST,
                Method::DELETE,
                Method::PATCH,
            ];
            self.mutator.choice(&verbs).clone()
        } else {
            plain.verb.clone()
        };
        let content_type = if self.mutator.one_in(8) {
            self.mutator.choice(&OTHER_TYPES)
        } else {
            "application/json"
        };
        let request = Request::builder()
            .method(verb)
            .uri(uri)
            .header("content-type", content_type);
        request.body(body.into()).unwrap()
    }

    /// One head in six is broken as well.
    fn head(&mut self, nth: usize, form: Form) -> BrokenHead {
        let token = &self.recorded[nth].token;
        let mut head = BrokenHead {
            headers: HeaderMap::new(),
            token_changed: false,
            is_stranger: false,
        };
        if form == Form::Native {
            head.headers.insert("te", "trailers".parse().unwrap());
        }
        let mut shown = token.clone();
        if self.mutator.one_in(6) {
            match *self.mutator.choice(&["token", "timeout", "encoding", "long"]) {
                "token" => {
                    shown = self.mutator.header(token);
                    head.token_changed = shown != *token;
                    head.is_stranger = !shown.eq_ignore_ascii_case(token);
                }
                "timeout" => {
                    let timeouts = [
                        "5S",
                        "0n",
                        "1n",
                        "-1S",
                        "99999999H",
                        "999999999999H",
                        "5",
                        "S",
                        "1.5S",
                        "1 S",
                    ];
                    let timeout = *self.mutator.choice(&timeouts);
                    head.headers.insert("grpc-timeout", timeout.parse().unwrap());
                }
                "encoding" => {
                    let encodings = ["gzip", "identity", "deflate", "snappy", "", "gzip, gzip"];
                    let encoding = *self.mutator.choice(&encodings);
                    head.headers.insert("grpc-encoding", encoding.parse().unwrap());
                }
                _ => {
                    let long = "A".repeat(3000);
                    head.headers.insert("x-long-bin", long.parse().unwrap());
                }
            }
        }
        // Without that, answers to calls of web pages are not in base64 either.
        if form == Form::WebText && self.mutator.one_in(2) {
            let wanted = "application/grpc-web-text".parse();
            head.headers.insert("accept", wanted.unwrap());
        }
        let shown = format!("Bearer {shown}");
        head.headers.insert("authorization", shown.parse().unwrap());
        head
    }
}
