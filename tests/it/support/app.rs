//! The server under test, without a network.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::doubles::{ManualClock, SeededEntropy, TestParts, watch};
use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::stores::new_store;
use super::{Answer, Client, Credentials, contract};
use countersign::app::{App, Policy};
use countersign::delivery::Senders;
use countersign::dialect::twilio;
use countersign::domain::text::FriendlyName;
use countersign::domain::time::{Clock, Timestamp};
use countersign::flows::sweep;
use countersign::flows::{account, api_key};
use countersign::store::Store;
use countersign::store::memory::MemoryStore;
use countersign::web::public_url::PublicUrl;

/// What every URL in an answer begins with.
pub(crate) const BASE: &str = "https://verify.owlbank.example";

/// The moment at which every test begins: the beginning of a time step of every length there is.
pub(crate) const BEGINNING: u64 = 1_800_000_000;

/// The server under test.
#[derive(Clone, Debug)]
pub(crate) struct TestApp {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) account: Credentials,
    router: Router,
    met: Arc<Mutex<BTreeSet<(&'static str, u16)>>>,
}

impl TestApp {
    /// A server with one account, on a store that nothing is said of.
    pub(crate) async fn new() -> Self {
        Self::on(new_store().await).await
    }

    /// A server with one account, on a store in memory whatever the tests run on: where time is paused, it would pass as
    /// soon as a database is waited for.
    pub(crate) async fn in_memory() -> Self {
        Self::on(Arc::new(MemoryStore::new())).await
    }

    /// A server with one account, on such a store, whose messages leave as `senders` have it.
    pub(crate) async fn sending(senders: Senders) -> Self {
        Self::new().await.with_senders(senders)
    }

    /// A server with one account, on `store`.
    pub(crate) async fn on(store: Arc<dyn Store>) -> Self {
        Self::with(store, crate::doubles::policy()).await
    }

    /// A server with one account, on `store`, with what its operator chose.
    pub(crate) async fn with(store: Arc<dyn Store>, policy: Policy) -> Self {
        let parts = TestParts {
            store,
            policy,
            ..TestParts::default()
        };
        let mut server = Self::begin(Timestamp::from_seconds(BEGINNING), parts, Credentials::nobody());
        server.account = server.another_account().await;
        server
    }

    /// The same account's server after a restart, on a store that was opened anew.
    pub(crate) fn restarted(&self, store: Arc<dyn Store>) -> Self {
        let parts = TestParts {
            store,
            ..TestParts::of(&self.app)
        };
        Self::begin(self.clock.now(), parts, self.account.clone())
    }

    /// The same server with these senders.
    pub(crate) fn with_senders(self, senders: Senders) -> Self {
        let parts = TestParts {
            senders: Arc::new(senders),
            ..TestParts::of(&self.app)
        };
        Self::wire(parts, self.clock, self.account)
    }

    /// The same server, whose operator now chose this.
    pub(crate) fn with_policy(self, policy: Policy) -> Self {
        let parts = TestParts {
            policy,
            ..TestParts::of(&self.app)
        };
        Self::wire(parts, self.clock, self.account)
    }

    /// A process that starts now. The master key outlives a restart, the random bytes do not.
    fn begin(now: Timestamp, parts: TestParts, account: Credentials) -> Self {
        static STARTS: AtomicU64 = AtomicU64::new(1);
        let start = STARTS.fetch_add(1, Ordering::SeqCst);
        let clock = Arc::new(ManualClock::new(now));
        let parts = TestParts {
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(start << 32)),
            ..parts
        };
        Self::wire(parts, clock, account)
    }

    fn wire(parts: TestParts, clock: Arc<ManualClock>, account: Credentials) -> Self {
        let app = Arc::new(parts.wire());
        let router = twilio::router(app.clone(), public_url());
        Self {
            app,
            clock,
            account,
            router,
            met: Arc::default(),
        }
    }

    /// The account's backend.
    pub(crate) fn client(&self) -> Client<'_> {
        self.client_of(&self.account)
    }

    /// Whoever has these credentials.
    pub(crate) fn client_of(&self, credentials: &Credentials) -> Client<'_> {
        Client::new(self, Some(credentials.clone()))
    }

    /// Somebody without credentials.
    pub(crate) fn stranger(&self) -> Client<'_> {
        Client::new(self, None)
    }

    /// Another account.
    pub(crate) async fn another_account(&self) -> Credentials {
        let name = FriendlyName::parse("An account").unwrap();
        let new = account::create(&self.app, name).await.unwrap();
        Credentials::new(&new.account.sid, new.token.reveal())
    }

    /// A key of the account.
    pub(crate) async fn api_key(&self) -> Credentials {
        let name = FriendlyName::parse("A key").unwrap();
        let owner = self.account.user.parse().unwrap();
        let (key, secret) = api_key::create(&self.app, owner, name).await.unwrap();
        Credentials::new(&key.sid, secret.reveal())
    }

    /// Sends any request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let has_body = request.method() != Method::HEAD;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (parts, body) = self.open(request).await.into_parts();
        let is_stream = parts
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == "text/event-stream");
        let bytes = if is_stream {
            // It has no end: that it began is the answer. See `Events` for what it says.
            Vec::new()
        } else {
            body.collect().await.unwrap().to_bytes().to_vec()
        };
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap()
        };
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes,
            body,
        };
        watch_members(&answer.body);
        if has_body && !is_stream {
            answer.check_form();
            let faults = contract::faults(
                method.as_str(),
                &path,
                answer.status,
                &answer.headers,
                &answer.body,
            );
            assert!(faults.is_empty(), "{method} {path}: {}", faults.join("; "));
        }
        if let Some(operation) = contract::operation(method.as_str(), &path) {
            self.met.lock().unwrap().insert((operation, answer.status));
        }
        answer
    }

    /// Which operations of Twilio's description were asked for, and the statuses that they answered with.
    pub(crate) fn met(&self) -> BTreeSet<(&'static str, u16)> {
        self.met.lock().unwrap().clone()
    }

    /// What listeners hand requests to.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Sends any request; the body is left to be read.
    pub(crate) async fn open(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Waits until so many wait.
    pub(crate) async fn until_waiting(&self, number: usize) {
        while self.app.memory.waiters.waiting() != number {
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Sets the clock, so that `seconds` have passed since the beginning.
    pub(crate) fn set_clock(&self, seconds: i64) {
        let moment = BEGINNING.checked_add_signed(seconds).unwrap();
        self.clock.set(Timestamp::from_seconds(moment));
    }

    /// What time it is, in seconds.
    pub(crate) fn seconds(&self) -> u64 {
        self.clock.now().seconds()
    }

    /// Sweeps until there is nothing left to sweep.
    pub(crate) async fn sweep(&self) {
        while sweep::round(&self.app).await.unwrap() > 0 {}
    }
}

/// What an answer tells this once must not be told by a log.
fn watch_members(body: &Value) {
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(text) if SECRET_MEMBERS.contains(&name.as_str()) => watch::secret(text),
                    _ => watch_members(value),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(watch_members),
        _ => {}
    }
}

const SECRET_MEMBERS: [&str; 5] = ["notification_token", "qr_code", "secret", "token", "uri"];

/// The one place that says how clients reach the server under test.
fn public_url() -> PublicUrl {
    PublicUrl::fixed(&BASE.parse().unwrap())
}
