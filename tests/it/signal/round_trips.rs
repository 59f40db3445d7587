//! How often a call asks the store, and how often the same does in Twilio's protocol.
//!
//! A call reads twice more than a request: whose token it is, and which service the account's sessions have. What else it reads
//! comes with these, or as for a request.

use std::sync::Arc;

use countersign::dialect::signal::proto::{
    CheckVerificationCodeRequest, CheckVerificationCodeResponse, CreateRegistrationSessionRequest,
    CreateRegistrationSessionResponse, GetRegistrationSessionMetadataRequest,
    GetRegistrationSessionMetadataResponse, LegacyCheckVerificationCodeResponse, MessageTransport,
    SendVerificationCodeRequest, SendVerificationCodeResponse,
    create_registration_session_response as created,
};
use countersign::store::counting::CountingStore;
use countersign::store::memory::MemoryStore;
use prost::Message;

use crate::support::rpc::{REGISTRATION, RpcCaller};
use crate::support::{Service, TestApp};

const NUMBER: u64 = 12_015_550_100;

/// A backend, and how often the server asks its store.
struct Counted {
    store: Arc<CountingStore<MemoryStore>>,
    server: TestApp,
    backend: RpcCaller,
}

impl Counted {
    async fn new() -> Self {
        let store = Arc::new(CountingStore::new(MemoryStore::new()));
        let server = TestApp::on(store.clone()).await;
        let backend = RpcCaller::of_signal(&server.app, &server.account).await;
        Self {
            store,
            server,
            backend,
        }
    }

    /// How many reads and how many commits since the last time.
    fn reads_and_commits(&self) -> (usize, usize) {
        let trips = self.store.take();
        (trips.reads(), trips.commit)
    }

    async fn call<Asked: Message, Answer: Message + Default>(
        &self,
        name: &str,
        asked: &Asked,
    ) -> (Answer, (usize, usize)) {
        self.store.take();
        let answer = self.backend.call(&format!("{REGISTRATION}/{name}"), asked).await;
        (answer.unwrap(), self.reads_and_commits())
    }

    /// Begins a session.
    async fn create(&self, number: u64) -> (Vec<u8>, (usize, usize)) {
        let asked = CreateRegistrationSessionRequest {
            e164: number,
            ..CreateRegistrationSessionRequest::default()
        };
        let (answer, trips) = self.call("CreateSession", &asked).await;
        let answer: CreateRegistrationSessionResponse = answer;
        let Some(created::Response::SessionMetadata(session)) = answer.response else {
            panic!("{answer:?}");
        };
        (session.session_id, trips)
    }

    async fn send(&self, session: &[u8]) -> (usize, usize) {
        let asked = SendVerificationCodeRequest {
            session_id: session.to_vec(),
            transport: MessageTransport::Sms.into(),
            ..SendVerificationCodeRequest::default()
        };
        let (answer, trips) = self.call("SendVerificationCode", &asked).await;
        let answer: SendVerificationCodeResponse = answer;
        assert_eq!(answer.error, None);
        trips
    }
}

fn guess(session: &[u8]) -> CheckVerificationCodeRequest {
    CheckVerificationCodeRequest {
        session_id: session.to_vec(),
        verification_code: "0000000000".to_owned(),
    }
}

#[tokio::test]
async fn the_first_session_of_an_account_makes_its_service_once() {
    let counted = Counted::new().await;
    let (_, first) = counted.create(NUMBER).await;
    let (_, second) = counted.create(NUMBER + 1).await;
    assert_eq!((first.1, second), (2, (3, 1)));
}

#[tokio::test]
async fn each_call_commits_once_and_reads_no_more_than_it_needs() {
    let counted = Counted::new().await;
    counted.create(NUMBER).await;
    let (session, begun) = counted.create(NUMBER + 1).await;
    // The token; the account with which service it is; that service, with what is counted of the number.
    assert_eq!(begun, (3, 1));
    // The token; the account; the service with the session; what is known of its number; what is taken of budgets.
    assert_eq!(counted.send(&session).await, (5, 1));
    let (checked, trips): (CheckVerificationCodeResponse, _) =
        counted.call("CheckVerificationCode", &guess(&session)).await;
    assert_eq!((checked.error, trips), (None, (4, 1)));
    let (checked, trips): (LegacyCheckVerificationCodeResponse, _) = counted
        .call("LegacyCheckVerificationCode", &guess(&session))
        .await;
    assert_eq!((checked.error, trips), (None, (4, 1)));
    let asked = GetRegistrationSessionMetadataRequest { session_id: session };
    let (_, trips): (GetRegistrationSessionMetadataResponse, _) =
        counted.call("GetSessionMetadata", &asked).await;
    assert_eq!(trips, (4, 0));
}

/// The control: the same in Twilio's protocol, which names the account and the service in each request.
#[tokio::test]
async fn the_same_in_twilios_protocol_commits_as_often() {
    let counted = Counted::new().await;
    let client = counted.server.client();
    let service = Service::create(&client).await;
    let started = format!("{}/Verifications", service.path);
    let checked = format!("{}/VerificationCheck", service.path);
    let form = [("To", "+12015550100"), ("Channel", "sms")];
    counted.store.take();
    let sid = client.post(&started, &form).await.text("sid");
    // Which verification it is need not be read where it is made.
    assert_eq!(counted.reads_and_commits(), (5 - 3, 1));
    let form = [("VerificationSid", sid.as_str()), ("Code", "0000000000")];
    client.post(&checked, &form).await.ok();
    assert_eq!(counted.reads_and_commits(), (4 - 2, 1));
}
