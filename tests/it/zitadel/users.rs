//! Every way to a user's codes: one counter and one winner on all of them, through whichever service and protocol.

use std::sync::Arc;

use countersign::dialect::signal::proto as signal;
use countersign::dialect::zitadel::proto::zitadel::auth::v1::{
    AddMyAuthFactorOtpRequest, AddMyAuthFactorOtpResponse, GetMyPhoneRequest, GetMyPhoneResponse,
    ListMyAuthFactorsRequest, ListMyAuthFactorsResponse, VerifyMyAuthFactorOtpRequest,
    VerifyMyAuthFactorOtpResponse, VerifyMyPhoneRequest, VerifyMyPhoneResponse,
};
use countersign::dialect::zitadel::proto::zitadel::user::v2::{
    ReturnPhoneVerificationCode, SetPhoneRequest, SetPhoneResponse, VerifyPhoneRequest, VerifyPhoneResponse,
    set_phone_request,
};
use countersign::domain::sid::VerificationSid;
use countersign::store::Store;
use countersign::store::memory::MemoryStore;
use tonic::Code;

use crate::support::messages::another_code;
use crate::support::rpc::{Answered, NAMED_USERS, OWN_USER, REGISTRATION, RpcCaller};
use crate::support::{Authenticator, Interleaved, Service, TestApp, all_at_once};

const ADA: &str = "user-ada-01";
const NUMBER: &str = "+12015550100";

/// A user, and a backend that manages users.
struct Ground {
    server: TestApp,
    ada: Ada,
    backend: RpcCaller,
}

impl Ground {
    async fn on(store: Arc<dyn Store>) -> Self {
        let server = TestApp::on(store).await;
        let ada = RpcCaller::of_zitadel(&server.app, &server.account, ADA, false).await;
        let backend = RpcCaller::of_zitadel(&server.app, &server.account, "backend-01", true).await;
        let ada = Ada(ada);
        ada.is_verified().await;
        Self { server, ada, backend }
    }

    /// Gives the user a number, and returns its code.
    async fn set(&self, number: &str) -> String {
        set(&self.backend, number).await.unwrap()
    }
}

async fn set(backend: &RpcCaller, number: &str) -> Answered<String> {
    let asked = SetPhoneRequest {
        user_id: ADA.to_owned(),
        phone: number.to_owned(),
        verification: Some(set_phone_request::Verification::ReturnCode(
            ReturnPhoneVerificationCode {},
        )),
    };
    let answer: Answered<SetPhoneResponse> = backend.call(&format!("{NAMED_USERS}/SetPhone"), &asked).await;
    answer.map(|answer| answer.verification_code.unwrap())
}

/// The user, who may call both services.
#[derive(Clone)]
struct Ada(RpcCaller);

impl Ada {
    async fn is_verified(&self) -> bool {
        let answer: GetMyPhoneResponse = self
            .0
            .call(&format!("{OWN_USER}/GetMyPhone"), &GetMyPhoneRequest {})
            .await
            .unwrap();
        answer.phone.unwrap().is_phone_verified
    }

    /// Gives a code, by the first service or the second; with which code it is refused.
    async fn verify(&self, by_name: bool, code: &str) -> Result<(), Code> {
        let code = code.to_owned();
        let answer = if by_name {
            let asked = VerifyPhoneRequest {
                user_id: ADA.to_owned(),
                verification_code: code,
            };
            let path = format!("{NAMED_USERS}/VerifyPhone");
            let answer: Answered<VerifyPhoneResponse> = self.0.call(&path, &asked).await;
            answer.map(|_| ())
        } else {
            let path = format!("{OWN_USER}/VerifyMyPhone");
            let answer: Answered<VerifyMyPhoneResponse> =
                self.0.call(&path, &VerifyMyPhoneRequest { code }).await;
            answer.map(|_| ())
        };
        answer.map_err(|(code, _)| code)
    }

    async fn add_app(&self) -> Answered<AddMyAuthFactorOtpResponse> {
        let path = format!("{OWN_USER}/AddMyAuthFactorOTP");
        self.0.call(&path, &AddMyAuthFactorOtpRequest {}).await
    }

    async fn verify_app(&self, code: &str) -> Result<(), Code> {
        let asked = VerifyMyAuthFactorOtpRequest {
            code: code.to_owned(),
        };
        let path = format!("{OWN_USER}/VerifyMyAuthFactorOTP");
        let answer: Answered<VerifyMyAuthFactorOtpResponse> = self.0.call(&path, &asked).await;
        answer.map(|_| ()).map_err(|(code, _)| code)
    }
}

/// Ten in a row are looked at; then the number's pause begins, for the right code as well.
#[tokio::test]
async fn of_64_parallel_guesses_ten_are_evaluated() {
    let ground = Ground::on(Interleaved::store()).await;
    let code = ground.set(NUMBER).await;
    let guesses = (0..64).map(|nth| {
        let (ada, wrong) = (ground.ada.clone(), other(&code));
        async move { ada.verify(nth % 2 == 0, &wrong).await.unwrap_err() }
    });
    let answers = all_at_once(guesses).await;
    let evaluated = answers
        .iter()
        .filter(|code| **code == Code::InvalidArgument)
        .count();
    assert_eq!(evaluated, 10, "{answers:?}");
    let others = answers.iter().filter(|code| **code != Code::InvalidArgument);
    assert!(others.into_iter().all(|code| *code == Code::ResourceExhausted));
    assert_eq!(
        ground.ada.verify(false, &code).await,
        Err(Code::ResourceExhausted)
    );
    assert!(!ground.ada.is_verified().await);
}

#[tokio::test]
async fn of_32_parallel_right_codes_one_verifies() {
    let ground = Ground::on(Interleaved::store()).await;
    let code = ground.set(NUMBER).await;
    let guesses = (0..32).map(|_| {
        let (ada, code) = (ground.ada.clone(), code.clone());
        async move { ada.verify(false, &code).await }
    });
    let answers = all_at_once(guesses).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let others = answers.into_iter().filter_map(Result::err);
    assert!(others.into_iter().all(|code| code == Code::NotFound));
    assert!(ground.ada.is_verified().await);
}

/// Of numbers that are given at once one is the user's, and the codes of the others are good for nothing.
#[tokio::test]
async fn of_numbers_that_are_set_at_once_the_code_of_one_is_right() {
    let ground = Ground::on(Interleaved::store()).await;
    let sets = (0..8).map(|nth| {
        let backend = ground.backend.clone();
        async move { set(&backend, &format!("+1201555010{nth}")).await }
    });
    let codes: Vec<_> = all_at_once(sets).await.into_iter().flatten().collect();
    assert!(!codes.is_empty());
    let mut right = 0;
    for code in codes {
        right += u32::from(ground.ada.verify(false, &code).await.is_ok());
    }
    assert_eq!(right, 1);
}

/// Somebody who guesses codes of one number through all protocols has no more guesses than through one.
#[tokio::test]
async fn guesses_of_a_number_add_up_over_all_protocols() {
    let ground = Ground::on(Arc::new(MemoryStore::new())).await;
    let code = ground.set(NUMBER).await;
    for nth in 0..5 {
        let wrong = other(&code);
        assert_eq!(
            ground.ada.verify(nth % 2 == 0, &wrong).await,
            Err(Code::InvalidArgument)
        );
    }
    let client = ground.server.client();
    let service = Service::create(&client).await;
    let started = service.send(&client, NUMBER, &[]).await.ok();
    let theirs = ground.server.message_code(started["sid"].as_str().unwrap()).await;
    let check = format!("{}/VerificationCheck", service.path);
    let through_twilio = async |code: &str| {
        let form = [("To", NUMBER), ("Code", code)];
        client.post(&check, &form).await
    };
    for _ in 0..4 {
        assert_eq!(
            through_twilio(&another_code(&theirs)).await.ok()["status"],
            "pending"
        );
    }
    let registration = Registration(RpcCaller::of_signal(&ground.server.app, &ground.server.account).await);
    let session = registration.begin().await;
    assert_eq!(registration.guess(&session, "incorrect").await, None);
    // That were ten. None of them looks at the right code now.
    assert_eq!(
        ground.ada.verify(false, &code).await,
        Err(Code::ResourceExhausted)
    );
    assert_eq!(through_twilio(&theirs).await.status, 429);
    let limited = signal::CheckVerificationCodeErrorType::RateLimited;
    let verification = VerificationSid::from_bytes(session.clone().try_into().unwrap());
    let own = ground.server.message_code(&verification.to_string()).await;
    assert_eq!(
        registration.guess(&session, &own).await,
        Some((limited, true, 30))
    );
    ground.server.wait(30);
    assert_eq!(ground.ada.verify(false, &code).await, Ok(()));
    assert_eq!(through_twilio(&theirs).await.ok()["status"], "approved");
}

#[tokio::test]
async fn of_32_parallel_codes_of_an_app_one_verifies_it() {
    let ground = Ground::on(Interleaved::store()).await;
    let made = ground.ada.add_app().await.unwrap();
    let code = app(&made.secret).code(&ground.server);
    let guesses = (0..32).map(|_| {
        let (ada, code) = (ground.ada.clone(), code.clone());
        async move { ada.verify_app(&code).await }
    });
    let answers = all_at_once(guesses).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let others = answers.into_iter().filter_map(Result::err);
    assert!(others.into_iter().all(|code| code == Code::FailedPrecondition));
}

/// Each takes the place of the one that waited, so one is left, and its code is the one that is right.
#[tokio::test]
async fn of_apps_that_are_added_at_once_one_is_left() {
    let ground = Ground::on(Interleaved::store()).await;
    let adds = (0..8).map(|_| {
        let ada = ground.ada.clone();
        async move { ada.add_app().await }
    });
    let made: Vec<_> = all_at_once(adds).await.into_iter().flatten().collect();
    let listed: ListMyAuthFactorsResponse = ground
        .ada
        .0
        .call(
            &format!("{OWN_USER}/ListMyAuthFactors"),
            &ListMyAuthFactorsRequest {},
        )
        .await
        .unwrap();
    assert_eq!(listed.result.len(), 1);
    assert!(!made.is_empty());
    let mut right = 0;
    for added in made {
        let code = app(&added.secret).code(&ground.server);
        right += u32::from(ground.ada.verify_app(&code).await.is_ok());
    }
    assert!(right <= 1, "{right} apps were verified");
}

/// A code of the same form that is not this one.
fn other(code: &str) -> String {
    let first = if code.starts_with('A') { "B" } else { "A" };
    format!("{first}{}", &code[1..])
}

/// The app that has this secret.
fn app(secret: &str) -> Authenticator {
    let alphabet = base32::Alphabet::Rfc4648 { padding: false };
    Authenticator::new(&base32::decode(alphabet, secret).unwrap())
}

/// A backend of Signal's service.
struct Registration(RpcCaller);

impl Registration {
    /// A session whose code was sent.
    async fn begin(&self) -> Vec<u8> {
        use signal::create_registration_session_response::Response;
        let asked = signal::CreateRegistrationSessionRequest {
            e164: NUMBER[1..].parse().unwrap(),
            ..signal::CreateRegistrationSessionRequest::default()
        };
        let path = format!("{REGISTRATION}/CreateSession");
        let answer: signal::CreateRegistrationSessionResponse = self.0.call(&path, &asked).await.unwrap();
        let Some(Response::SessionMetadata(begun)) = answer.response else {
            panic!("{answer:?}");
        };
        let asked = signal::SendVerificationCodeRequest {
            session_id: begun.session_id.clone(),
            transport: signal::MessageTransport::Sms.into(),
            ..signal::SendVerificationCodeRequest::default()
        };
        let path = format!("{REGISTRATION}/SendVerificationCode");
        let sent: signal::SendVerificationCodeResponse = self.0.call(&path, &asked).await.unwrap();
        assert_eq!(sent.error, None);
        begun.session_id
    }

    async fn guess(
        &self,
        session: &[u8],
        code: &str,
    ) -> Option<(signal::CheckVerificationCodeErrorType, bool, u64)> {
        let asked = signal::CheckVerificationCodeRequest {
            session_id: session.to_vec(),
            verification_code: code.to_owned(),
        };
        let path = format!("{REGISTRATION}/CheckVerificationCode");
        let answer: signal::CheckVerificationCodeResponse = self.0.call(&path, &asked).await.unwrap();
        let error = answer.error?;
        Some((error.error_type(), error.may_retry, error.retry_after_seconds))
    }
}
