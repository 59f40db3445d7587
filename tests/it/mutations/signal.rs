//! A registration session.

use std::sync::Arc;

use countersign::dialect::signal::proto::{
    CheckVerificationCodeRequest, ClientType, CreateRegistrationSessionRequest,
    CreateRegistrationSessionResponse, GetRegistrationSessionMetadataRequest,
    GetRegistrationSessionMetadataResponse, MessageTransport, SendVerificationCodeRequest,
    create_registration_session_response as created, get_registration_session_metadata_response as got,
};
use countersign::dialect::signal::{self, Callers};
use countersign::domain::verification::{Verification, VerificationStatus};
use countersign::flows::check_store::check_store;
use countersign::flows::store_format;
use countersign::store::counting::CountingStore;
use countersign::store::memory::MemoryStore;
use countersign::store::records::decode;
use prost::Message as _;
use tempfile::TempDir;
use tonic::Code;

use super::answers::Said;
use super::breaker::{Breaker, Form, Recorded, Tally};
use super::patient_limits;
use crate::serving::process::{Process, stdout_of};
use crate::support::TestApp;
use crate::support::called::serve_beside_twilio;
use crate::support::rpc::{REGISTRATION, RpcConnection, framed, methods, new_token};

/// Whoever makes good calls.
struct Backend {
    connection: RpcConnection,
    token: String,
    begun: u64,
}

impl Backend {
    /// Begins a session, which is returned with all that may be asked of it.
    async fn session(&mut self) -> (Vec<u8>, Vec<Recorded>) {
        let create = CreateRegistrationSessionRequest {
            e164: 12_015_550_100 + self.begun % 100 + 10_000_000 * (1 + self.begun / 100 % 3),
            account_exists_with_e164: true,
            rate_limit_collation_key: format!("key {}", self.begun),
        };
        self.begun += 1;
        let path = format!("{REGISTRATION}/CreateSession");
        let token = Some(self.token.as_str());
        let answer: CreateRegistrationSessionResponse =
            self.connection.call(&path, token, &create).await.unwrap();
        let Some(created::Response::SessionMetadata(session)) = answer.response else {
            panic!("{answer:?}");
        };
        let session_id = session.session_id;
        let get = GetRegistrationSessionMetadataRequest {
            session_id: session_id.clone(),
        };
        let send = SendVerificationCodeRequest {
            session_id: session_id.clone(),
            transport: MessageTransport::Sms.into(),
            accept_language: "pt-BR, de;q=0.8".to_owned(),
            client_type: ClientType::AndroidWithFcm.into(),
            sender_name: "log".to_owned(),
        };
        let guess = CheckVerificationCodeRequest {
            session_id: session_id.clone(),
            // Letters: no mutation of a few bytes makes the right code of it.
            verification_code: "incorrect code".to_owned(),
        };
        let calls = [
            ("CreateSession", create.encode_to_vec()),
            ("GetSessionMetadata", get.encode_to_vec()),
            ("SendVerificationCode", send.encode_to_vec()),
            ("CheckVerificationCode", guess.encode_to_vec()),
            ("LegacyCheckVerificationCode", guess.encode_to_vec()),
        ];
        let calls = calls.map(|(name, message)| Recorded {
            path: format!("{REGISTRATION}/{name}"),
            message,
            plain: None,
            token: self.token.clone(),
            reads: name == "GetSessionMetadata",
        });
        let paths: Vec<_> = calls.iter().map(|call| call.path.clone()).collect();
        assert_eq!(paths, methods("signal"), "all calls are broken");
        (session_id, calls.into())
    }

    /// Whether a good call is answered as it should be.
    async fn finds(&self, session: &[u8]) -> bool {
        let asked = GetRegistrationSessionMetadataRequest {
            session_id: session.to_vec(),
        };
        let path = format!("{REGISTRATION}/GetSessionMetadata");
        let answer: GetRegistrationSessionMetadataResponse = self
            .connection
            .call(&path, Some(&self.token), &asked)
            .await
            .unwrap();
        matches!(answer.response, Some(got::Response::SessionMetadata(_)))
    }
}

/// Breaks 500 calls of each of so many sessions, made in these forms.
async fn break_sessions(sessions: usize, forms: &'static [Form], seed: u32) -> Tally {
    let store = Arc::new(CountingStore::new(MemoryStore::new()));
    let server = TestApp::on(store.clone()).await;
    store_format::check(&server.app).await.unwrap();
    let token = new_token(&server.app, &server.account, "signal").await;
    let registration = signal::http(server.app.clone(), Callers::Tokens, None);
    let listening = serve_beside_twilio(&server, vec![(signal::claims, registration)], patient_limits());
    let url = format!("http://{}", listening.address);
    let mut backend = Backend {
        connection: RpcConnection::to(&url).await,
        token: token.clone(),
        begun: 0,
    };
    let over_http2 = forms.contains(&Form::Native);
    let connect = async || {
        if over_http2 {
            RpcConnection::to(&url).await
        } else {
            RpcConnection::over_http1(&url).await
        }
    };
    let mut breaker = Breaker::new(connect().await, forms, seed);
    let mut all = Tally::default();
    for nth in 0..sessions {
        let (session, calls) = backend.session().await;
        breaker.record(calls);
        // A call that was begun before all of these, and ends behind them.
        let path = format!("{REGISTRATION}/GetSessionMetadata");
        let other = connect().await;
        let beside = if over_http2 { &breaker.connection } else { &other };
        let bystander = beside.begin(&path, forms[0].content_type(), Some(&token)).await;
        let tally = breaker.round(500, Some(&store)).await;
        all.well += tally.well;
        all.refused += tally.refused;
        let asked = GetRegistrationSessionMetadataRequest {
            session_id: session.clone(),
        };
        let said = Said::by_call(&bystander.end(framed(&asked)).await);
        assert_eq!((said.code, &*said.text), (Code::Ok, ""));
        assert!(backend.finds(&session).await, "others go on, round {nth}");
        server.wait(61);
    }
    for (_, entry) in server.scan(b"v".to_vec()).await {
        let verification: Verification = decode(&entry.value).unwrap();
        assert_eq!(verification.account.to_string(), server.account.user);
        assert_ne!(
            verification.status(server.app.clock.now()),
            VerificationStatus::Approved
        );
    }
    server.assert_audited("signal").await;
    let report = check_store(&server.app).await.unwrap();
    assert!(report.is_healthy(), "{report}");
    all
}

#[tokio::test]
async fn ten_thousand_broken_calls_are_answered_and_change_nothing_that_they_may_not() {
    let all = break_sessions(20, Form::CALLS, 0x5161).await;
    assert!(all.well > 1000 && all.refused > 4000, "{all:?}");
}

#[tokio::test]
async fn three_thousand_broken_calls_of_web_pages_over_http_1_1_do_no_more() {
    let all = break_sessions(6, Form::WEB_CALLS, 0x5162).await;
    assert!(all.well > 300 && all.refused > 1200, "{all:?}");
}

/// The same against the real binary, which does not grow.
#[tokio::test]
async fn broken_calls_cost_no_memory() {
    let directory = TempDir::new().unwrap();
    let server = Process::start(directory.path());
    let token = stdout_of(directory.path(), &["token", "create", "--signal"]);
    let mut backend = Backend {
        connection: RpcConnection::to(&server.url).await,
        token: token.trim().to_owned(),
        begun: 0,
    };
    let calls = backend.session().await.1;
    let mut breaker = Breaker::new(RpcConnection::to(&server.url).await, Form::CALLS, 0x5163);
    breaker.record(calls);
    breaker.round(500, None).await;
    let before = server.most_memory();
    breaker.round(1500, None).await;
    let grown = server.most_memory().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes");
}
