//! Every way to a code of a registration session: one counter and one winner on all of them, by whatever name and protocol.

use std::sync::Arc;

use countersign::dialect::signal::proto::{
    CheckVerificationCodeErrorType as CheckError, CheckVerificationCodeRequest,
    CheckVerificationCodeResponse, CreateRegistrationSessionErrorType as CreateError,
    CreateRegistrationSessionRequest, CreateRegistrationSessionResponse,
    GetRegistrationSessionMetadataRequest, GetRegistrationSessionMetadataResponse,
    LegacyCheckVerificationCodeResponse, MessageTransport, RegistrationSessionMetadata,
    SendVerificationCodeErrorType as SendError, SendVerificationCodeRequest, SendVerificationCodeResponse,
    create_registration_session_response as created, get_registration_session_metadata_response as got,
};
use countersign::domain::verification::Verification;
use countersign::store::Store;
use countersign::store::memory::MemoryStore;

use crate::pathways::signal::EVALUATES;
use crate::support::messages::another_code;
use crate::support::rpc::{Answered, REGISTRATION, RpcCaller};
use crate::support::{Interleaved, TestApp, all_at_once};

const NUMBER: u64 = 12_015_550_100;

struct Ground {
    server: TestApp,
    backend: Backend,
}

impl Ground {
    async fn on(store: Arc<dyn Store>) -> Self {
        let server = TestApp::on(store).await;
        let backend = Backend(RpcCaller::of_signal(&server.app, &server.account).await);
        Self { server, backend }
    }

    async fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new())).await
    }

    /// A session whose code was sent, and that code.
    async fn sent(&self) -> (Vec<u8>, String) {
        let session = self.backend.create(NUMBER).await.unwrap();
        self.backend.send(&session).await.unwrap();
        let code = self.server.message_code(&twilio_sid(&session)).await;
        (session, code)
    }

    async fn stored(&self, session: &[u8]) -> Verification {
        self.server.verification(&twilio_sid(session)).await
    }

    /// How many wrong codes were evaluated.
    async fn failures(&self, session: &[u8]) -> u32 {
        self.stored(session)
            .await
            .codes
            .iter()
            .map(|code| code.failures)
            .sum()
    }

    /// The path of the service of the account's sessions, in the other protocol.
    async fn service(&self) -> String {
        let services = self.server.client().get("/v2/Services").await.ok();
        format!(
            "/v2/Services/{}",
            services["services"][0]["sid"].as_str().unwrap()
        )
    }
}

/// Whoever calls.
#[derive(Clone)]
struct Backend(RpcCaller);

/// What became of a guess or of a wish: the session where it is shown, and what was wrong.
type Outcome<Error> = (Option<RegistrationSessionMetadata>, Option<(Error, bool, u64)>);

impl Backend {
    async fn create(&self, number: u64) -> Result<Vec<u8>, (CreateError, bool, u64)> {
        self.create_apart(number, String::new()).await
    }

    /// Creates a session that is counted apart by this key.
    async fn create_apart(
        &self,
        number: u64,
        rate_limit_collation_key: String,
    ) -> Result<Vec<u8>, (CreateError, bool, u64)> {
        let asked = CreateRegistrationSessionRequest {
            e164: number,
            rate_limit_collation_key,
            ..CreateRegistrationSessionRequest::default()
        };
        let path = format!("{REGISTRATION}/CreateSession");
        let answer: CreateRegistrationSessionResponse = self.0.call(&path, &asked).await.unwrap();
        match answer.response.unwrap() {
            created::Response::SessionMetadata(session) => Ok(session.session_id),
            created::Response::Error(error) => {
                Err((error.error_type(), error.may_retry, error.retry_after_seconds))
            }
        }
    }

    async fn get(&self, session: &[u8]) -> Option<RegistrationSessionMetadata> {
        let asked = GetRegistrationSessionMetadataRequest {
            session_id: session.to_vec(),
        };
        let path = format!("{REGISTRATION}/GetSessionMetadata");
        let answer: GetRegistrationSessionMetadataResponse = self.0.call(&path, &asked).await.unwrap();
        match answer.response.unwrap() {
            got::Response::SessionMetadata(session) => Some(session),
            got::Response::Error(_) => None,
        }
    }

    async fn send(&self, session: &[u8]) -> Result<RegistrationSessionMetadata, (SendError, bool, u64)> {
        let asked = SendVerificationCodeRequest {
            session_id: session.to_vec(),
            transport: MessageTransport::Sms.into(),
            ..SendVerificationCodeRequest::default()
        };
        let path = format!("{REGISTRATION}/SendVerificationCode");
        let answer: SendVerificationCodeResponse = self.0.call(&path, &asked).await.unwrap();
        match answer.error {
            None => Ok(answer.session_metadata.unwrap()),
            Some(error) => Err((error.error_type(), error.may_retry, error.retry_after_seconds)),
        }
    }

    async fn check(&self, session: &[u8], code: &str) -> Outcome<CheckError> {
        let path = format!("{REGISTRATION}/CheckVerificationCode");
        let answer: CheckVerificationCodeResponse = self.0.call(&path, &guess(session, code)).await.unwrap();
        let error = answer
            .error
            .map(|error| (error.error_type(), error.may_retry, error.retry_after_seconds));
        (answer.session_metadata, error)
    }

    async fn legacy_check(&self, session: &[u8], code: &str) -> (bool, Option<CheckError>) {
        let path = format!("{REGISTRATION}/LegacyCheckVerificationCode");
        let answer: LegacyCheckVerificationCodeResponse =
            self.0.call(&path, &guess(session, code)).await.unwrap();
        (answer.verified, answer.error.map(|error| error.error_type()))
    }
}

fn guess(session: &[u8], code: &str) -> CheckVerificationCodeRequest {
    CheckVerificationCodeRequest {
        session_id: session.to_vec(),
        verification_code: code.to_owned(),
    }
}

/// What a session is called where it is a verification.
fn twilio_sid(session: &[u8]) -> String {
    let digits = session.iter().map(|byte| format!("{byte:02x}"));
    format!("VE{}", digits.collect::<String>())
}

#[tokio::test]
async fn every_call_that_evaluates_codes_counts_them_in_the_same_place() {
    for (name, evaluates) in EVALUATES {
        let ground = Ground::new().await;
        let (session, code) = ground.sent().await;
        // To every call, what would be a guess if it were one: the fields of one are unknown to the others, or mean no code.
        let path = format!("{REGISTRATION}/{name}");
        let answer: Answered<()> = ground
            .backend
            .0
            .call(&path, &guess(&session, &another_code(&code)))
            .await;
        let counted = ground.failures(&session).await;
        assert_eq!(counted, u32::from(evaluates), "{name}: {answer:?}");
    }
}

/// Failures by one call delay the other, and so do those through the other protocol, which knows the session as a verification.
#[tokio::test]
async fn guesses_add_up_over_all_calls_and_both_protocols() {
    let ground = Ground::new().await;
    let (session, code) = ground.sent().await;
    let wrong = another_code(&code);
    let (backend, client) = (&ground.backend, ground.server.client());
    let check = format!("{}/VerificationCheck", ground.service().await);
    let sid = twilio_sid(&session);
    let through_twilio = async |code: &str| {
        client
            .post(&check, &[("VerificationSid", &sid), ("Code", code)])
            .await
    };
    assert_eq!(through_twilio(&wrong).await.ok()["status"], "pending");
    assert_eq!(backend.legacy_check(&session, &wrong).await, (false, None));
    let third = backend.check(&session, &wrong).await.0.unwrap();
    assert_eq!((third.verified, third.next_code_check_seconds), (false, 60));
    // What one has to wait for, the others have to.
    assert_eq!(through_twilio(&code).await.status, 429);
    assert_eq!(
        backend.legacy_check(&session, &code).await,
        (false, Some(CheckError::RateLimited))
    );
    ground.server.wait(60);
    assert_eq!(through_twilio(&wrong).await.ok()["status"], "pending");
    ground.server.wait(120);
    assert_eq!(through_twilio(&wrong).await.ok()["status"], "pending");
    assert_eq!(ground.failures(&session).await, 5);
    ground.server.wait(120);
    let (shown, error) = backend.check(&session, &code).await;
    assert_eq!(error, Some((CheckError::RateLimited, false, 0)));
    assert!(!shown.unwrap().verified);
    assert_eq!(through_twilio(&code).await.status, 429);
    assert_eq!(ground.failures(&session).await, 5, "no sixth was evaluated");
}

/// A verification of its own for the same number, in the same service, is no way around the counters of a session either.
#[tokio::test]
async fn another_verification_of_the_number_proves_nothing_for_the_session() {
    let ground = Ground::new().await;
    let (session, _) = ground.sent().await;
    let client = ground.server.client();
    let service = ground.service().await;
    let to = session_number();
    let other = client
        .post(
            format!("{service}/Verifications"),
            &[("To", &to), ("Channel", "sms")],
        )
        .await
        .ok();
    let other = other["sid"].as_str().unwrap();
    assert_ne!(other, twilio_sid(&session));
    let its_code = ground.server.message_code(other).await;
    let checked = ground.backend.check(&session, &its_code).await.0.unwrap();
    let same = its_code == ground.server.message_code(&twilio_sid(&session)).await;
    assert_eq!(checked.verified, same, "once in a million runs they are the same");
    let checked = client
        .post(
            format!("{service}/VerificationCheck"),
            &[("To", &to), ("Code", &its_code)],
        )
        .await;
    assert_eq!(checked.ok()["status"], "approved");
    assert!(!ground.backend.get(&session).await.unwrap().verified || same);
}

/// Attempts that are all checked before any is counted break limits (CVE-2026-20779). Three may be made without a pause.
#[tokio::test]
async fn of_64_parallel_guesses_three_are_evaluated() {
    let ground = Ground::on(Interleaved::store()).await;
    let (session, code) = ground.sent().await;
    let guesses = (0..64).map(|nth| {
        let (backend, session, wrong) = (ground.backend.clone(), session.clone(), another_code(&code));
        async move {
            if nth % 2 == 0 {
                backend.check(&session, &wrong).await.1.map(|(kind, ..)| kind)
            } else {
                backend.legacy_check(&session, &wrong).await.1
            }
        }
    });
    let answers = all_at_once(guesses).await;
    assert_eq!(answers.iter().filter(|error| error.is_none()).count(), 3);
    assert!(
        answers
            .iter()
            .flatten()
            .all(|error| *error == CheckError::RateLimited)
    );
    assert_eq!(ground.failures(&session).await, 3);
    assert_eq!(ground.stored(&session).await.checks.len(), 3);
}

/// All who know the code are told that the number is proved, and it was proved once.
#[tokio::test]
async fn of_32_parallel_right_codes_one_verifies() {
    let ground = Ground::on(Interleaved::store()).await;
    let (session, code) = ground.sent().await;
    let guesses = (0..32).map(|_| {
        let (backend, session, code) = (ground.backend.clone(), session.clone(), code.clone());
        async move { backend.check(&session, &code).await }
    });
    for (shown, error) in all_at_once(guesses).await {
        assert_eq!(error, None);
        assert!(shown.unwrap().verified);
    }
    let checks = ground.stored(&session).await.checks;
    assert_eq!(checks.iter().map(|check| check.right).collect::<Vec<_>>(), [true]);
}

#[tokio::test]
async fn of_32_parallel_sendings_one_is_allowed() {
    let ground = Ground::on(Interleaved::store()).await;
    let session = ground.backend.create(NUMBER).await.unwrap();
    for sent_before in 0..2 {
        let sendings = (0..32).map(|_| {
            let (backend, session) = (ground.backend.clone(), session.clone());
            async move { backend.send(&session).await }
        });
        let answers = all_at_once(sendings).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        let wait = [60, 120][sent_before];
        for refused in answers.into_iter().filter_map(Result::err) {
            assert_eq!(refused, (SendError::RateLimited, true, wait));
        }
        let stored = ground.stored(&session).await;
        assert_eq!(
            (stored.sends.len(), stored.codes.len()),
            (sent_before + 1, sent_before + 1)
        );
        assert_eq!(ground.server.outbox().await.len(), sent_before + 1);
        ground.server.wait(wait);
    }
}

#[tokio::test]
async fn of_parallel_sessions_of_a_number_one_a_minute_is_begun_and_five_a_day() {
    let ground = Ground::on(Interleaved::store()).await;
    // The service of the sessions is made by the first call; all of these make the first call.
    let mut begun = 0;
    for _ in 0..8 {
        let calls = (0..16).map(|_| {
            let backend = ground.backend.clone();
            async move { backend.create(NUMBER).await }
        });
        let answers = all_at_once(calls).await;
        let made = answers.iter().filter(|answer| answer.is_ok()).count();
        begun += made;
        assert!(made <= 1, "{made} at once");
        for refused in answers.into_iter().filter_map(Result::err) {
            assert_eq!((refused.0, refused.1), (CreateError::RateLimited, true));
        }
        ground.server.wait(60);
    }
    assert_eq!(begun, 5);
    let services = ground.server.client().get("/v2/Services").await.ok();
    assert_eq!(services["services"].as_array().map(Vec::len), Some(1));
}

/// Whoever makes up a key for each session has no end of them otherwise.
#[tokio::test]
async fn whatever_counts_them_apart_a_number_has_fifty_sessions() {
    let ground = Ground::new().await;
    let (backend, mut made) = (&ground.backend, 0);
    while made < 50 {
        backend.create_apart(NUMBER, made.to_string()).await.unwrap();
        made += 1;
    }
    for wait in [0, 28 * 60 - 1] {
        ground.server.wait(wait);
        let left = 28 * 60 - wait;
        let refused = backend.create_apart(NUMBER, "another".to_owned()).await;
        assert_eq!(refused, Err((CreateError::RateLimited, true, left)));
    }
    backend.create(NUMBER + 1).await.unwrap();
    ground.server.wait(1);
    backend.create_apart(NUMBER, "another".to_owned()).await.unwrap();
}

#[tokio::test]
async fn nobody_reaches_the_sessions_of_another_account() {
    let ground = Ground::new().await;
    let (session, code) = ground.sent().await;
    let other = ground.server.another_account().await;
    let other = Backend(RpcCaller::of_signal(&ground.server.app, &other).await);
    // Its service is made first, which is a change.
    assert_eq!(other.get(&session).await, None);
    let before = ground.server.dump().await;
    assert_eq!(other.get(&session).await, None);
    let not_found = (SendError::SessionNotFound, false, 0);
    assert_eq!(other.send(&session).await, Err(not_found));
    let not_found = (CheckError::SessionNotFound, false, 0);
    assert_eq!(other.check(&session, &code).await, (None, Some(not_found)));
    assert_eq!(
        other.legacy_check(&session, &code).await,
        (false, Some(CheckError::SessionNotFound))
    );
    assert_eq!(ground.server.dump().await, before);
    assert!(ground.backend.check(&session, &code).await.0.unwrap().verified);
}

fn session_number() -> String {
    format!("+{NUMBER}")
}
