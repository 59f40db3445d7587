//! The calls of the registration service.

use std::sync::Arc;

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::auth::{Callers, admit};
use super::errors::{failed, of_checking, of_sending};
use super::language::preferred;
use super::metadata::metadata;
use super::policy::{SESSIONS_OF_A_NUMBER, SESSIONS_WHATEVER_THE_KEY, policy};
use super::proto::registration_service_server::RegistrationService;
use super::proto::{
    CheckVerificationCodeRequest, CheckVerificationCodeResponse, ClientType, CreateRegistrationSessionError,
    CreateRegistrationSessionErrorType, CreateRegistrationSessionRequest, CreateRegistrationSessionResponse,
    GetRegistrationSessionMetadataError, GetRegistrationSessionMetadataErrorType,
    GetRegistrationSessionMetadataRequest, GetRegistrationSessionMetadataResponse,
    LegacyCheckVerificationCodeResponse, MessageTransport, SendVerificationCodeRequest,
    SendVerificationCodeResponse, create_registration_session_response,
    get_registration_session_metadata_response,
};
use crate::app::App;
use crate::domain::channel::Channel;
use crate::domain::destination::Destination;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::text::AppHash;
use crate::domain::verification::{Content, Refusal, Verification, VerificationStatus};
use crate::flows::Error;
use crate::flows::reading::{Admitted, Foreseen};
use crate::flows::verification::{self, Guess, Resend, SessionDraft, SessionPermits, VerificationName};

/// What the calls act on.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    pub(super) app: Arc<App>,
    pub(super) callers: Callers,
    /// What text messages to Android apps end in, by which they find their code.
    pub(super) android_app_hash: Option<AppHash>,
}

#[tonic::async_trait]
impl RegistrationService for Registration {
    async fn create_session(
        &self,
        request: Request<CreateRegistrationSessionRequest>,
    ) -> Result<Response<CreateRegistrationSessionResponse>, Status> {
        use create_registration_session_response::Response as Answer;
        let asked = request.get_ref();
        let new = PhoneNumber::try_from(format!("+{}", asked.e164)).map(|number| SessionDraft {
            destination: Destination::Phone(number),
            policy: policy(),
            permits: vec![
                SessionPermits {
                    rule: SESSIONS_OF_A_NUMBER,
                    apart: Some(asked.rate_limit_collation_key.clone()),
                },
                SessionPermits {
                    rule: SESSIONS_WHATEVER_THE_KEY,
                    apart: None,
                },
            ],
        });
        let foresee = |account, service| match &new {
            Ok(new) => verification::foresee_create(&self.app, account, service, new),
            Err(_) => Foreseen::default(),
        };
        let (account, service) = self.admit(request.metadata(), foresee).await?;
        let refuse = |kind: CreateRegistrationSessionErrorType, wait: Option<u64>| {
            Answer::Error(CreateRegistrationSessionError {
                error_type: kind.into(),
                may_retry: wait.is_some(),
                retry_after_seconds: wait.unwrap_or(0),
            })
        };
        let answer = match new {
            Err(_) => refuse(CreateRegistrationSessionErrorType::IllegalPhoneNumber, None),
            Ok(new) => match verification::create(&self.app, account, service, &new).await {
                Ok(session) => Answer::SessionMetadata(metadata(&session, self.app.clock.now())),
                Err(Error::Refused(Refusal::TooSoon { retry_after })) => refuse(
                    CreateRegistrationSessionErrorType::RateLimited,
                    Some(retry_after.as_secs()),
                ),
                // Its service was deleted a moment ago: the next call makes another one.
                Err(Error::Refused(_)) => {
                    return Err(Status::aborted(
                        "the service of these calls was deleted; try again",
                    ));
                }
                Err(Error::Failed(fault)) => return Err(failed(&fault)),
            },
        };
        Ok(Response::new(CreateRegistrationSessionResponse {
            response: Some(answer),
        }))
    }

    async fn get_session_metadata(
        &self,
        request: Request<GetRegistrationSessionMetadataRequest>,
    ) -> Result<Response<GetRegistrationSessionMetadataResponse>, Status> {
        use get_registration_session_metadata_response::Response as Answer;
        let asked = &request.get_ref().session_id;
        let (account, service, session) = self.admit_to(request.metadata(), asked).await?;
        let found = self.find(account, service, session).await?;
        let answer = match found {
            Some(session) => Answer::SessionMetadata(metadata(&session, self.app.clock.now())),
            None => Answer::Error(GetRegistrationSessionMetadataError {
                error_type: GetRegistrationSessionMetadataErrorType::NotFound.into(),
            }),
        };
        Ok(Response::new(GetRegistrationSessionMetadataResponse {
            response: Some(answer),
        }))
    }

    async fn send_verification_code(
        &self,
        request: Request<SendVerificationCodeRequest>,
    ) -> Result<Response<SendVerificationCodeResponse>, Status> {
        let asked = &request.get_ref().session_id;
        let (account, service, session) = self.admit_to(request.metadata(), asked).await?;
        let request = request.into_inner();
        let channel = match request.transport() {
            MessageTransport::Sms => Channel::Sms,
            MessageTransport::Voice => Channel::Call,
            MessageTransport::Unspecified => return Err(Status::invalid_argument("")),
        };
        let for_android = matches!(
            request.client_type(),
            ClientType::AndroidWithFcm | ClientType::AndroidWithoutFcm
        );
        let wanted = Resend {
            channel,
            content: Content {
                locale: preferred(&request.accept_language),
                app_hash: self.android_app_hash.clone().filter(|_| for_android),
                ..Content::default()
            },
            risk_check: true,
            sender: (!request.sender_name.is_empty()).then_some(request.sender_name),
        };
        let who = account.who;
        let sent = verification::resend(&self.app, account, service, session, &wanted).await;
        let (session_metadata, error) = match sent {
            Ok(session) => (Some(session), None),
            Err(Error::Refused(refusal)) => {
                let (error, with_session) = of_sending(&refusal)?;
                (
                    self.beside(with_session, who, service, session).await?,
                    Some(error),
                )
            }
            Err(Error::Failed(fault)) => return Err(failed(&fault)),
        };
        Ok(Response::new(SendVerificationCodeResponse {
            session_metadata: session_metadata.map(|session| metadata(&session, self.app.clock.now())),
            error,
        }))
    }

    async fn check_verification_code(
        &self,
        request: Request<CheckVerificationCodeRequest>,
    ) -> Result<Response<CheckVerificationCodeResponse>, Status> {
        let asked = &request.get_ref().session_id;
        let (account, service, session) = self.admit_to(request.metadata(), asked).await?;
        let request = request.get_ref();
        let who = account.who;
        let checked = self
            .check(account, service, session, &request.verification_code)
            .await;
        let (session_metadata, error) = match checked {
            Ok(session) => (Some(session), None),
            Err(Error::Refused(refusal)) => {
                let (error, with_session) = of_checking(&refusal)?;
                (
                    self.beside(with_session, who, service, session).await?,
                    Some(error),
                )
            }
            Err(Error::Failed(fault)) => return Err(failed(&fault)),
        };
        Ok(Response::new(CheckVerificationCodeResponse {
            session_metadata: session_metadata.map(|session| metadata(&session, self.app.clock.now())),
            error,
        }))
    }

    async fn legacy_check_verification_code(
        &self,
        request: Request<CheckVerificationCodeRequest>,
    ) -> Result<Response<LegacyCheckVerificationCodeResponse>, Status> {
        let asked = &request.get_ref().session_id;
        let (account, service, session) = self.admit_to(request.metadata(), asked).await?;
        let request = request.get_ref();
        let which = VerificationName::Sid(session);
        let guess = Guess {
            code: Some(&request.verification_code),
            compares_approved: true,
            ..Guess::default()
        };
        let checked = verification::check(&self.app, account, service, &which, &guess).await;
        let (verified, error) = match checked {
            Ok(checked) => (checked.is_right, None),
            Err(Error::Refused(refusal)) => (false, Some(of_checking(&refusal)?.0)),
            Err(Error::Failed(fault)) => return Err(failed(&fault)),
        };
        Ok(Response::new(LegacyCheckVerificationCodeResponse {
            verified,
            error,
        }))
    }
}

impl Registration {
    async fn admit(
        &self,
        metadata: &MetadataMap,
        foresee: impl Fn(AccountSid, ServiceSid) -> Foreseen,
    ) -> Result<(Admitted<AccountSid>, ServiceSid), Status> {
        admit(&self.app, &self.callers, metadata, foresee).await
    }

    /// The same for a call about the session that is named by `bytes`. Whoever may not call is told nothing about those.
    async fn admit_to(
        &self,
        metadata: &MetadataMap,
        bytes: &[u8],
    ) -> Result<(Admitted<AccountSid>, ServiceSid, VerificationSid), Status> {
        let session = session_id(bytes);
        let foresee = |account, service| match &session {
            Ok(session) => verification::foresee(account, service, &VerificationName::Sid(*session)),
            Err(_) => Foreseen::default(),
        };
        let (account, service) = self.admit(metadata, foresee).await?;
        Ok((account, service, session?))
    }

    async fn check(
        &self,
        account: Admitted<AccountSid>,
        service: ServiceSid,
        session: VerificationSid,
        code: &str,
    ) -> Result<Verification, Error<Refusal>> {
        let guess = Guess {
            code: Some(code),
            ..Guess::default()
        };
        let which = VerificationName::Sid(session);
        let checked = verification::check(&self.app, account, service, &which, &guess).await?;
        Ok(checked.verification)
    }

    /// The session, unless it is over.
    async fn find(
        &self,
        account: impl Into<Admitted<AccountSid>>,
        service: ServiceSid,
        session: VerificationSid,
    ) -> Result<Option<Verification>, Status> {
        let which = VerificationName::Sid(session);
        let found = match verification::fetch(&self.app, account, service, &which).await {
            Ok((_, session)) => session,
            Err(Error::Refused(_)) => return Ok(None),
            Err(Error::Failed(fault)) => return Err(failed(&fault)),
        };
        let status = found.status(self.app.clock.now());
        let lives = matches!(status, VerificationStatus::Pending | VerificationStatus::Approved);
        Ok(Some(found).filter(|_| lives))
    }

    /// The session beside an error, where it is shown.
    async fn beside(
        &self,
        shown: bool,
        account: AccountSid,
        service: ServiceSid,
        session: VerificationSid,
    ) -> Result<Option<Verification>, Status> {
        if !shown {
            return Ok(None);
        }
        self.find(account, service, session).await
    }
}

/// What callers name a session by.
fn session_id(bytes: &[u8]) -> Result<VerificationSid, Status> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| Status::invalid_argument(""))?;
    Ok(VerificationSid::from_bytes(bytes))
}
