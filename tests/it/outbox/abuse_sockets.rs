//! The same over real connections: receivers that accept and never answer, and a mail server that never answers for domains that
//! it cannot resolve.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use countersign::app::App;
use countersign::delivery::DeliveryOutcome;
use countersign::delivery::codes::CodeSender as _;
use countersign::delivery::codes::smtp::{Security, Smtp, SmtpSettings};
use countersign::delivery::http::{AddressGuard, HttpClient, HttpPolicy, SystemNames};
use countersign::domain::circuit::FailureScope;
use countersign::domain::destination::EmailAddress;
use countersign::domain::events::{OutboxMessage, OutboxRow};
use countersign::domain::time::SystemClock;
use countersign::flows::Fault;
use countersign::flows::deliveries::Deliveries;
use countersign::flows::outbox::worker::{Limits, Worker};
use countersign::flows::outbox::{Parcel, Settled, Unpack};
use reqwest::header::HeaderMap;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::abuse::{Arrivals, Delivering, GOOD, arrive, limits, prove};
use crate::code_senders::email;
use crate::support::TestApp;

/// Accepts connections and lets `serve` have each; its port.
pub(super) async fn listen<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Reads for as long as somebody writes, and says nothing.
pub(super) async fn hang(mut stream: TcpStream) {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

/// Takes whatever is posted.
pub(super) async fn take(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        head.extend_from_slice(&bytes[..read]);
        // All bodies are empty.
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

/// A mail server that looks up the domain of each recipient, for ever if it does not resolve.
pub(super) async fn relay(stream: TcpStream) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut answer = "220 relay.example\r\n";
    let mut in_mail = false;
    loop {
        if writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        answer = loop {
            let Ok(Some(line)) = lines.next_line().await else {
                return;
            };
            match line.split([' ', ':']).next().unwrap_or_default() {
                "." if in_mail => {
                    in_mail = false;
                    break "250 taken\r\n";
                }
                _ if in_mail => {}
                "RCPT" if line.contains("unresolvable") => std::future::pending().await,
                "DATA" => {
                    in_mail = true;
                    break "354 go on\r\n";
                }
                "QUIT" => break "221 bye\r\n",
                _ => break "250 relay.example\r\n",
            }
        };
    }
}

/// What rows are delivered with: the clients and policies that a server has.
pub(super) struct Senders {
    pub(super) webhooks: HttpClient,
    pub(super) push_services: HttpClient,
    pub(super) gateway: HttpClient,
    pub(super) mail: Smtp,
    pub(super) hangs: Url,
    pub(super) takes: Url,
    /// Each row's receiver has a name of its own, below `fine.test` or `hangs.test`.
    pub(super) has_names: bool,
    pub(super) arrivals: Arrivals,
}

#[derive(Clone)]
struct OverSockets(Arc<Senders>);

/// A sender of e-mail through the relay at `port`.
pub(super) fn mail(port: u16) -> Smtp {
    let settings = SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port,
        security: Security::None,
        authorities: None,
        login: None,
        from: EmailAddress::parse("codes@example.com").unwrap(),
        from_name: None,
        hello_name: Some("countersign.example.com".to_owned()),
        timeout: Duration::from_secs(10),
    };
    Smtp::new(settings, Arc::new(SystemClock))
}

/// Where this machine listens.
pub(super) fn url(port: u16) -> Url {
    Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap()
}

impl Senders {
    /// A server that delivers with them.
    pub(super) async fn delivering(self, limits: Limits) -> Delivering {
        let (server, arrivals) = (TestApp::new().await, Arc::clone(&self.arrivals));
        let unpack = Arc::new(OverSockets(Arc::new(self)));
        let worker = Worker::new(Arc::clone(&server.app), unpack, limits);
        Delivering {
            server,
            worker,
            arrivals,
        }
    }

    async fn post(&self, client: &HttpClient, row: &OutboxRow) -> DeliveryOutcome {
        let (url, domain) = if row.message.account() == GOOD {
            (&self.takes, "fine.test")
        } else {
            (&self.hangs, "hangs.test")
        };
        let mut url = url.clone();
        if self.has_names {
            url.set_host(Some(&format!("{}.{domain}", row.sid))).unwrap();
        }
        match client.post(&url, HeaderMap::new(), Vec::new()).await {
            Ok(answer) if answer.is_success() => DeliveryOutcome::Delivered,
            other => DeliveryOutcome::Retry {
                why: format!("{other:?}"),
                after: None,
                about: FailureScope::Sender,
            },
        }
    }

    async fn deliver(&self, row: &OutboxRow) -> DeliveryOutcome {
        match &row.message {
            OutboxMessage::Code(code) if code.sender.to_string() == "mail" => {
                let number = u64::from_be_bytes(code.verification.as_bytes()[..8].try_into().unwrap());
                let domain = if code.account == GOOD {
                    "fine"
                } else {
                    "unresolvable"
                };
                let to = format!("user@{domain}-{number}.example");
                self.mail.send(&email(&to, "Your code is 471142")).await.outcome
            }
            OutboxMessage::Code(_) => self.post(&self.gateway, row).await,
            OutboxMessage::Push { .. } => self.post(&self.push_services, row).await,
            OutboxMessage::Blocked { .. } | OutboxMessage::Notice { .. } | OutboxMessage::Webhook { .. } => {
                self.post(&self.webhooks, row).await
            }
        }
    }
}

impl std::fmt::Debug for OverSockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OverSockets")
    }
}

impl Unpack for OverSockets {
    fn unpack(&self, row: &OutboxRow) -> Box<dyn Parcel> {
        Box::new(SocketParcel {
            senders: self.clone(),
            real: Deliveries.unpack(row),
        })
    }
}

#[derive(Debug)]
struct SocketParcel {
    senders: OverSockets,
    real: Box<dyn Parcel>,
}

#[async_trait]
impl Parcel for SocketParcel {
    async fn deliver(&mut self, _app: &App, row: &OutboxRow) -> DeliveryOutcome {
        let senders = &self.senders.0;
        let outcome = senders.deliver(row).await;
        if outcome == DeliveryOutcome::Delivered {
            arrive(&senders.arrivals, row);
        }
        outcome
    }

    async fn settle(
        &self,
        app: &App,
        leased: &OutboxRow,
        outcome: &DeliveryOutcome,
    ) -> Result<Settled, Fault> {
        self.real.settle(app, leased, outcome).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accounts_messages_leave_at_once_over_real_connections() {
    let hung = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hung);
    let hangs = listen(move |stream| {
        count.fetch_add(1, Ordering::Relaxed);
        hang(stream)
    })
    .await;
    let (takes, relay) = (listen(take).await, listen(relay).await);
    let delivering = async || {
        let guard = AddressGuard::allowing(vec!["127.0.0.0/8".parse().unwrap()]);
        let names = Arc::new(SystemNames::default());
        let senders = Senders {
            webhooks: HttpClient::new(HttpPolicy::webhooks(guard.clone(), names.clone())),
            push_services: HttpClient::new(HttpPolicy::push_services(guard, names)),
            gateway: HttpClient::new(HttpPolicy::gateway(Duration::from_secs(10), None)),
            mail: mail(relay),
            hangs: url(hangs),
            takes: url(takes),
            has_names: false,
            arrivals: Arrivals::default(),
        };
        senders.delivering(limits()).await
    };
    prove(delivering().await, delivering().await).await;
    let hung = hung.load(Ordering::Relaxed);
    assert!(hung >= limits().visits, "only {hung} connections hung");
}
