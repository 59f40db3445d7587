//! A server that speaks everything, within the test or as a process, and whoever may call it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Version};
use bytes::Bytes;
use countersign::app::{App as Wired, Policy};
use countersign::dialect::signal::{self, Callers};
use countersign::dialect::zitadel::proto::zitadel::auth::v1::{
    AddMyAuthFactorOtpRequest, AddMyAuthFactorOtpResponse, VerifyMyAuthFactorOtpRequest,
    VerifyMyAuthFactorOtpResponse,
};
use countersign::dialect::{Http, together, twilio, vonage, zitadel};
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::store::Store;
use http_body_util::BodyExt as _;
use prost::Message;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Kind, Subject};
use crate::doubles::watch;
use crate::serving::process::{Process, stdout_of};
use crate::support::messages::next_number;
use crate::support::rpc::{
    Answered, OWN_USER, RawAnswer, RpcConnection, answered, framed, new_token, new_user_token,
};
use crate::support::{Authenticator, Credentials, TestApp};

/// The server, and the credentials of an account.
pub(crate) struct Ground {
    server: Server,
    account: Credentials,
}

enum Server {
    Here(Box<TestApp>, Router),
    There(Box<Running>),
}

/// A process, and the data that it serves.
struct Running {
    /// It is for one thread at a time.
    process: Mutex<Process>,
    connection: RpcConnection,
    data: PathBuf,
}

/// An authenticator app, and the factor that it is.
#[derive(Clone, Debug)]
pub(crate) struct App {
    /// The user's path in Twilio's API.
    pub(crate) entity: String,
    /// The factor's SID.
    pub(crate) factor: String,
    pub(crate) user: String,
    /// The user's token.
    pub(crate) token: String,
    authenticator: Authenticator,
}

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "a-token-of-a-server-that-is-killed";

impl Ground {
    /// Within the test, on this store.
    pub(super) async fn on(store: Arc<dyn Store>) -> Arc<Self> {
        Self::of(TestApp::on(store).await)
    }

    /// The same, as its operator wants it.
    pub(super) async fn with(store: Arc<dyn Store>, policy: Policy) -> Arc<Self> {
        Self::of(TestApp::with(store, policy).await)
    }

    fn of(server: TestApp) -> Arc<Self> {
        let usual = Http {
            router: server.router(),
            failures: Arc::new(twilio::TwilioFailures::default()),
        };
        let registration = signal::http(server.app.clone(), Callers::Tokens, None);
        let users = zitadel::http(server.app.clone());
        let requests = vonage::http(server.app.clone());
        let special = vec![
            (signal::claims as _, registration),
            (zitadel::claims as _, users),
            (vonage::claims as _, requests),
        ];
        let account = server.account.clone();
        let router = together(usual, special).router;
        Arc::new(Self {
            server: Server::Here(Box::new(server), router),
            account,
        })
    }

    /// What serves within the test.
    pub(super) fn wired(&self) -> Option<&Arc<Wired>> {
        match &self.server {
            Server::Here(server, _) => Some(&server.app),
            Server::There(_) => None,
        }
    }

    /// A process that serves `data`.
    pub(super) async fn process(data: &Path) -> Self {
        let bootstrap = format!("{ACCOUNT}:{TOKEN}");
        let variables = [("COUNTERSIGN_BOOTSTRAP", bootstrap.as_str())];
        let process = Process::start_with(data, &[], &variables);
        let connection = RpcConnection::to(&process.url).await;
        Self {
            server: Server::There(Box::new(Running {
                process: Mutex::new(process),
                connection,
                data: data.to_owned(),
            })),
            account: Credentials::new(&ACCOUNT, TOKEN),
        }
    }

    /// What follows a kill (SIGKILL) right after an answer.
    pub(super) async fn killed(self) -> Self {
        let Server::There(running) = self.server else {
            panic!("only a process can be killed");
        };
        let process = running.process.into_inner().unwrap();
        process.signal("KILL");
        assert_eq!(process.wait(), None, "it was killed");
        Self::process(&running.data).await
    }

    /// A subject of this kind that nobody has called for.
    pub(super) async fn subject(&self, kind: Kind) -> Subject {
        match kind {
            Kind::Number => Subject::Number(next_number()),
            Kind::Unverified => Subject::Unverified(self.app().await),
            Kind::Verified => Subject::Verified(self.verified(self.app().await).await),
        }
    }

    /// The store's opinion on what the message of this verification says, where that can be asked.
    pub(crate) async fn message_code(&self, verification: &str) -> Option<String> {
        match &self.server {
            Server::Here(server, _) => Some(server.message_code(verification).await),
            Server::There(_) => None,
        }
    }

    /// The code that the app shows now, and one that it shows at no time near it.
    pub(crate) fn app_codes(&self, app: &App) -> (String, String) {
        let step = self.step();
        let near: Vec<_> = (step - 10..step + 10)
            .map(|step| app.authenticator.code_of(step))
            .collect();
        let mut later = (step + 1000..).map(|step| app.authenticator.code_of(step));
        let wrong = later.find(|code| !near.contains(code)).unwrap();
        (app.authenticator.code_of(step), wrong)
    }

    /// The code that the app shows now if its clock is so many steps ahead.
    pub(super) fn app_code(&self, app: &App, ahead: u64) -> String {
        app.authenticator.code_of(self.step() + ahead)
    }

    /// Time passes, within the test.
    pub(super) fn wait(&self, seconds: u64) {
        if let Server::Here(server, _) = &self.server {
            server.wait(seconds);
        }
    }

    fn step(&self) -> u64 {
        let now = match &self.server {
            Server::Here(server, _) => server.seconds(),
            Server::There(_) => SystemClock.now().seconds(),
        };
        now / 30
    }

    async fn app(&self) -> App {
        let user = next_user();
        let token = self.user_token(&user, false).await;
        let path = format!("{OWN_USER}/AddMyAuthFactorOTP");
        let made: AddMyAuthFactorOtpResponse = self
            .call(&path, &token, &AddMyAuthFactorOtpRequest {})
            .await
            .unwrap();
        let services = self.twilio("GET", "/v2/Services", &[]).await.1;
        let services = services["services"].as_array().unwrap();
        let own = services
            .iter()
            .find(|service| service["friendly_name"] == "ZITADEL");
        let service = own.unwrap()["sid"].as_str().unwrap();
        let entity = format!("/v2/Services/{service}/Entities/{user}");
        let factors = self.twilio("GET", &format!("{entity}/Factors"), &[]).await.1;
        let alphabet = base32::Alphabet::Rfc4648 { padding: false };
        App {
            factor: factors["factors"][0]["sid"].as_str().unwrap().to_owned(),
            authenticator: Authenticator::new(&base32::decode(alphabet, &made.secret).unwrap()),
            entity,
            user,
            token,
        }
    }

    /// The app, once it is proved by a code that is not the next right one.
    async fn verified(&self, app: App) -> App {
        let asked = VerifyMyAuthFactorOtpRequest {
            code: app.authenticator.code_of(self.step() - 1),
        };
        let path = format!("{OWN_USER}/VerifyMyAuthFactorOTP");
        let proved: Answered<VerifyMyAuthFactorOtpResponse> = self.call(&path, &app.token, &asked).await;
        proved.unwrap();
        app
    }

    /// A new token for Signal's service.
    pub(crate) async fn signal_token(&self) -> String {
        match &self.server {
            Server::Here(server, _) => new_token(&server.app, &self.account, "signal").await,
            Server::There(running) => running.token(&["--signal"]),
        }
    }

    /// A new token of a user, for Zitadel's services.
    pub(crate) async fn user_token(&self, name: &str, manages_users: bool) -> String {
        match &self.server {
            Server::Here(server, _) => new_user_token(&server.app, &self.account, name, manages_users).await,
            Server::There(running) if manages_users => running.token(&["--user", name, "--manage-users"]),
            Server::There(running) => running.token(&["--user", name]),
        }
    }

    /// The answer to a form of the account: the status, and the body in JSON.
    pub(crate) async fn form(&self, method: &str, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", self.account.header())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.into());
        let answer = self.ask(request.unwrap()).await;
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    /// The same, of Twilio's API.
    pub(crate) async fn twilio(&self, method: &str, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.form(method, path, form).await
    }

    /// The answer to a call over gRPC.
    pub(crate) async fn call<Asked: Message, Answer: Message + Default>(
        &self,
        path: &str,
        token: &str,
        asked: &Asked,
    ) -> Answered<Answer> {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(framed(asked).into());
        let answer = self.ask(request.unwrap()).await;
        answered(&answer.headers, &answer.trailers, &answer.body)
    }

    /// The answer to any request, over HTTP/2.
    pub(crate) async fn ask(&self, request: Request<Bytes>) -> RawAnswer {
        match &self.server {
            Server::There(running) => running.connection.ask(request).await,
            Server::Here(_, router) => {
                let mut request = request.map(Body::from);
                *request.version_mut() = Version::HTTP_2;
                let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
                let body = body.collect().await.unwrap();
                RawAnswer {
                    status: head.status.as_u16(),
                    headers: head.headers,
                    trailers: body.trailers().cloned().unwrap_or_default(),
                    body: body.to_bytes().to_vec(),
                }
            }
        }
    }
}

impl Running {
    /// A new token, as operators make it.
    fn token(&self, whose: &[&str]) -> String {
        let token = stdout_of(&self.data, &[&["token", "create"], whose].concat());
        let token = token.trim_end().to_owned();
        watch::secret(&token);
        token
    }
}

/// The name of a user whom no test knows yet.
pub(crate) fn next_user() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("user-{:06}", NEXT.fetch_add(1, Ordering::Relaxed))
}
