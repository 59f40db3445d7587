//! A server that is killed between two calls has counted what it answered: neither a guess, nor a sending, nor a session is
//! given back.

use countersign::dialect::signal::proto::{
    CheckVerificationCodeErrorType as CheckError, CheckVerificationCodeRequest,
    CheckVerificationCodeResponse, CreateRegistrationSessionErrorType as CreateError,
    CreateRegistrationSessionRequest, CreateRegistrationSessionResponse, MessageTransport,
    SendVerificationCodeErrorType as SendError, SendVerificationCodeRequest, SendVerificationCodeResponse,
    create_registration_session_response as created,
};
use tempfile::TempDir;

use crate::serving::process::Process;
use crate::support::rpc::{REGISTRATION, RpcConnection};

const NUMBER: u64 = 12_015_550_100;

/// A server, and whoever may call it without a token.
struct Life {
    server: Process,
    caller: RpcConnection,
}

impl Life {
    async fn begin(data: &TempDir) -> Self {
        let server = Process::start_with(data.path(), &[], &[("COUNTERSIGN_SIGNAL_AUTH", "none")]);
        let caller = RpcConnection::to(&server.url).await;
        Self { server, caller }
    }

    /// What follows a kill (SIGKILL) right after an answer.
    async fn again(self, data: &TempDir) -> Self {
        self.server.signal("KILL");
        assert_eq!(self.server.wait(), None, "it was killed");
        Self::begin(data).await
    }

    async fn create(&self) -> Result<Vec<u8>, (CreateError, bool)> {
        let path = format!("{REGISTRATION}/CreateSession");
        let asked = CreateRegistrationSessionRequest {
            e164: NUMBER,
            ..CreateRegistrationSessionRequest::default()
        };
        let answer: CreateRegistrationSessionResponse = self.caller.call(&path, None, &asked).await.unwrap();
        match answer.response.unwrap() {
            created::Response::SessionMetadata(session) => Ok(session.session_id),
            created::Response::Error(error) => Err((error.error_type(), error.may_retry)),
        }
    }

    async fn send(&self, session: &[u8]) -> Option<(SendError, bool)> {
        let path = format!("{REGISTRATION}/SendVerificationCode");
        let asked = SendVerificationCodeRequest {
            session_id: session.to_vec(),
            transport: MessageTransport::Sms.into(),
            ..SendVerificationCodeRequest::default()
        };
        let answer: SendVerificationCodeResponse = self.caller.call(&path, None, &asked).await.unwrap();
        let error = answer.error?;
        Some((error.error_type(), error.may_retry))
    }

    /// Gives what is surely no code.
    async fn guess(&self, session: &[u8]) -> Option<(CheckError, bool)> {
        let path = format!("{REGISTRATION}/CheckVerificationCode");
        let asked = CheckVerificationCodeRequest {
            session_id: session.to_vec(),
            verification_code: "incorrect".to_owned(),
        };
        let answer: CheckVerificationCodeResponse = self.caller.call(&path, None, &asked).await.unwrap();
        assert!(!answer.session_metadata.unwrap().verified);
        let error = answer.error?;
        Some((error.error_type(), error.may_retry))
    }
}

#[tokio::test]
async fn no_kill_gives_back_a_session_a_sending_or_a_guess() {
    let data = TempDir::new().unwrap();
    let life = Life::begin(&data).await;
    let session = life.create().await.unwrap();
    let life = life.again(&data).await;
    assert_eq!(life.create().await, Err((CreateError::RateLimited, true)));
    assert_eq!(life.send(&session).await, None);
    let life = life.again(&data).await;
    assert_eq!(life.send(&session).await, Some((SendError::RateLimited, true)));
    assert_eq!(life.guess(&session).await, None);
    let life = life.again(&data).await;
    assert_eq!(life.guess(&session).await, None);
    let life = life.again(&data).await;
    assert_eq!(life.guess(&session).await, None);
    // The fourth one has to wait for a minute.
    let life = life.again(&data).await;
    assert_eq!(life.guess(&session).await, Some((CheckError::RateLimited, true)));
    assert_eq!(life.create().await, Err((CreateError::RateLimited, true)));
}
