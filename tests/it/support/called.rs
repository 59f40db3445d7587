//! The server that scripts speak to, and what it does for them beside the protocol.
//!
//! A script writes lines of JSON on its standard output, and reads one line of JSON for each: it lets time pass, asks what
//! was sent, makes and revokes tokens, and changes the service as its owner can through the other protocol.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use countersign::delivery::Senders;
use countersign::delivery::codes::{
    CodeMessage, CodeSender, CodeSenders, ConfiguredSender, SenderKind, Sent,
};
use countersign::dialect::signal::{self, Callers};
use countersign::dialect::{Claim, Http, Speaks, together, twilio, vonage, zitadel};
use countersign::domain::bearer_token::TokenUser;
use countersign::domain::channel::Channel;
use countersign::domain::country::Country;
use countersign::domain::sender_name::SenderName;
use countersign::domain::text::{AppHash, DialectName, FriendlyName, Identity};
use countersign::domain::time::Clock as _;
use countersign::flows::access::presented;
use countersign::flows::bearer_token::{self, NewBearerToken};
use countersign::flows::deliveries::Deliveries;
use countersign::flows::outbox::worker::{Limits, Worker};
use countersign::flows::verification::advance_due;
use countersign::server::self_signed::SelfSigned;
use countersign::server::tls::Certificates;
use countersign::server::{ClientLimits, Listener};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::doubles::watch;
use crate::foreign::python;
use crate::serving::http::{Served, serve_dialect};
use crate::support::{Credentials, TestApp};

/// What text messages to Android apps end in.
pub(crate) const APP_HASH: &str = "FA+9qCX9VSu";

/// A server that speaks both protocols on one port, and whose messages can be read.
pub(crate) struct CalledServer {
    pub(crate) server: TestApp,
    served: Served,
    pub(crate) accounts: [Credentials; 2],
    messages: Arc<Messages>,
    met: Met,
}

impl CalledServer {
    pub(crate) async fn new() -> Self {
        let messages = Arc::new(Messages::default());
        let senders = Senders {
            codes: CodeSenders::new(vec![
                sender("first", &[Channel::Sms, Channel::Call], &messages),
                sender("second", &[Channel::Sms], &messages),
            ]),
            ..Senders::default()
        };
        let server = TestApp::sending(senders).await;
        let accounts = [server.account.clone(), server.another_account().await];
        let hash = AppHash::parse(APP_HASH).unwrap();
        let met = Met::default();
        let noting = |mut spoken: Http| {
            spoken.router = spoken.router.layer(from_fn_with_state(met.clone(), note));
            spoken
        };
        let registration = noting(signal::http(server.app.clone(), Callers::Tokens, Some(hash)));
        let users = noting(zitadel::http(server.app.clone()));
        let requests = vonage::http(server.app.clone());
        let listening = serve_beside_twilio(
            &server,
            vec![
                (signal::claims, registration),
                (zitadel::claims, users),
                (vonage::claims, requests),
            ],
            ClientLimits::default(),
        );
        Self {
            server,
            served: listening,
            accounts,
            messages,
            met,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        self.served.address.to_string()
    }

    /// The same over TLS, for clients that speak nothing else, for as long as what is returned lives.
    pub(crate) fn serve_tls(&self, files: &SelfSigned) -> Served {
        let certificates = Certificates::load(files.certificate.clone(), files.key.clone()).unwrap();
        let settings = Arc::new(certificates).server_config().unwrap();
        let listener = Listener::tls("127.0.0.1:0".parse().unwrap(), settings).unwrap();
        let requests = vonage::http(self.server.app.clone());
        serve_dialect(listener, Speaks::Http(requests), ClientLimits::default())
    }

    /// Whether a call of this name was answered without a status that is an error.
    pub(crate) fn met(&self, method: &str) -> bool {
        self.met.lock().unwrap().contains(method)
    }

    /// Runs a script of `tests/it/python`, which must succeed, for the protocol whose `.proto` files are in this folder.
    pub(crate) async fn run(&mut self, script: &str, modules: &[&str], dialect: &str) {
        let stubs = tempfile::tempdir().unwrap();
        let mut script = python(script, modules);
        script
            .arg(self.served.address.to_string())
            .arg(format!(
                "{}/src/dialect/{dialect}/proto",
                env!("CARGO_MANIFEST_DIR")
            ))
            .arg(stubs.path());
        self.attend(script).await;
    }

    /// Runs a script, which must succeed, and does for it what it asks for.
    pub(crate) async fn attend(&self, script: Command) {
        converse(script, async |wish| self.grant(&wish).await).await;
    }

    /// Does what a script asks for.
    pub(crate) async fn grant(&self, wish: &Value) -> Value {
        let text = |name: &str| wish[name].as_str().unwrap();
        let number = |name: &str| wish[name].as_u64();
        let account = &self.accounts[usize::try_from(number("account").unwrap_or(0)).unwrap()];
        match text("do") {
            "wait" => {
                let millis = Duration::from_millis(number("milliseconds").unwrap());
                self.server.clock.advance(millis);
                advance_due(&self.server.app).await.unwrap();
                Value::Null
            }
            "credentials" => json!({ "key": account.user, "secret": account.password }),
            "message" => self.last_message(text("to")).await,
            "code" => json!(self.server.message_code(&verification(text("session"))).await),
            "token" => {
                let new = NewBearerToken {
                    dialect: DialectName::parse(text("dialect")).unwrap(),
                    user: wish["user"].as_str().map(|name| TokenUser {
                        name: Identity::parse(name).unwrap(),
                        manages_users: wish["manages"].as_bool().unwrap_or(false),
                    }),
                    friendly_name: FriendlyName::parse("A backend").unwrap(),
                    life: number("life").map(Duration::from_secs),
                };
                let owner = account.user.parse().unwrap();
                let (token, secret) = bearer_token::create(&self.server.app, owner, new).await.unwrap();
                let shown = presented(token.sid, &secret);
                watch::secret(&shown);
                json!({ "token": *shown, "sid": token.sid.to_string() })
            }
            "revoke" => {
                let sid = text("sid").parse().unwrap();
                bearer_token::revoke(&self.server.app, sid).await.unwrap();
                Value::Null
            }
            "service" => {
                let path = self.service_path(account, "Signal").await;
                self.server
                    .client_of(account)
                    .post(&path, &form_of(&wish["settings"]))
                    .await
                    .ok()
            }
            "now" => json!(self.server.clock.now().seconds()),
            "twilio" => {
                let client = self.server.client_of(account);
                let service = self.service_path(account, text("service")).await;
                let path = format!("{service}/{}", text("path"));
                match wish.get("form") {
                    Some(form) => client.post(&path, &form_of(form)).await.ok(),
                    None => client.get(&path).await.ok(),
                }
            }
            other => panic!("nothing is known of {other:?}"),
        }
    }

    /// Where the service with this name is that an account has in the other protocol.
    async fn service_path(&self, account: &Credentials, name: &str) -> String {
        let services = self.server.client_of(account).get("/v2/Services").await.ok();
        let services = services["services"].as_array().unwrap();
        let own = services.iter().find(|service| service["friendly_name"] == name);
        format!("/v2/Services/{}", own.unwrap()["sid"].as_str().unwrap())
    }

    /// Delivers what is due; the last message to this number.
    async fn last_message(&self, to: &str) -> Value {
        let mut worker = Worker::new(self.server.app.clone(), Arc::new(Deliveries), Limits::default());
        worker.run_due().await;
        let messages = self.messages.0.lock().unwrap();
        let mut to_it = messages.iter().filter(|message| message["to"] == to);
        to_it.next_back().cloned().unwrap_or_default()
    }
}

/// Runs a script, which must succeed, and grants what it asks for.
pub(crate) async fn converse(mut script: Command, mut grant: impl AsyncFnMut(Value) -> Value) {
    let mut script = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, output) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let (ask, mut asked) = mpsc::unbounded_channel();
    let reading = std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            ask.send(line).expect("the test waits for it");
        }
    });
    while let Some(line) = asked.recv().await {
        let wish: Value = serde_json::from_str(&line).expect("a line of JSON");
        let answer = grant(wish).await;
        writeln!(input, "{answer}").expect("the script waits for it");
    }
    reading.join().unwrap();
    assert!(script.wait().unwrap().success(), "the script says above why");
}

/// Serves these dialects and the usual one on one free port.
pub(crate) fn serve_beside_twilio(
    server: &TestApp,
    special: Vec<(Claim, Http)>,
    limits: ClientLimits,
) -> Served {
    let usual = Http {
        router: server.router(),
        failures: Arc::new(twilio::TwilioFailures::default()),
    };
    let all = together(usual, special);
    let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    serve_dialect(listener, Speaks::Http(all), limits)
}

/// Notes which calls succeed, by what they are called.
async fn note(State(met): State<Met>, request: Request, next: Next) -> Response {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default();
    let method = method.to_owned();
    let answer = next.run(request).await;
    // One that fails says so in its head.
    if !answer.headers().contains_key("grpc-status") {
        met.lock().unwrap().insert(method);
    }
    answer
}

type Met = Arc<Mutex<BTreeSet<String>>>;

/// The fields of a form.
fn form_of(fields: &Value) -> Vec<(&str, &str)> {
    let fields = fields.as_object().unwrap();
    fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect()
}

/// What an account's verification is called in the other protocol.
fn verification(session: &str) -> String {
    format!("VE{session}")
}

/// What was sent.
#[derive(Debug, Default)]
struct Messages(Mutex<Vec<Value>>);

/// A sender that keeps what it is given.
#[derive(Debug)]
struct Keeping {
    name: &'static str,
    messages: Arc<Messages>,
}

#[async_trait]
impl CodeSender for Keeping {
    async fn send(&self, message: &CodeMessage) -> Sent {
        let number = message.to.phone().unwrap();
        self.messages.0.lock().unwrap().push(json!({
            "sender": self.name,
            "to": number.digits(),
            "channel": message.channel.name(),
            "locale": message.locale,
            "text": *message.text,
            "code": *message.code,
        }));
        Sent::delivered(None)
    }
}

/// One that serves all countries but France.
fn sender(name: &'static str, channels: &[Channel], messages: &Arc<Messages>) -> ConfiguredSender {
    let countries = ["BE", "DE", "US"].map(|country| Country::parse(country).unwrap());
    ConfiguredSender {
        name: SenderName::parse(name).unwrap(),
        kind: SenderKind::Http,
        channels: channels.to_vec(),
        countries: Some(countries.to_vec()),
        messaging_service: None,
        price: None,
        sender: Arc::new(Keeping {
            name,
            messages: messages.clone(),
        }),
    }
}
