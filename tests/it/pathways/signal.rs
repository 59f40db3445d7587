//! Signal's registration service.

use std::sync::Arc;

use async_trait::async_trait;
use countersign::dialect::signal::proto::{
    CheckVerificationCodeErrorType as CheckError, CheckVerificationCodeRequest,
    CheckVerificationCodeResponse, CreateRegistrationSessionRequest, CreateRegistrationSessionResponse,
    LegacyCheckVerificationCodeResponse, MessageTransport, SendVerificationCodeRequest,
    SendVerificationCodeResponse, create_registration_session_response as created,
};
use countersign::domain::sid::VerificationSid;

use super::ground::{Ground, next_user};
use super::{Kind, Spoken, Subject, Target, Verdict, Way};
use crate::support::rpc::{REGISTRATION, methods};

pub(super) fn spoken() -> Spoken {
    let evaluates = EVALUATES.map(|(name, evaluates)| (format!("{REGISTRATION}/{name}"), evaluates));
    Spoken {
        described: methods("signal"),
        evaluates: evaluates.into(),
        ways: vec![
            Arc::new(Check { is_legacy: false }),
            Arc::new(Check { is_legacy: true }),
        ],
    }
}

/// What the calls do with codes. A new one has to say that here.
pub(crate) const EVALUATES: [(&str, bool); 5] = [
    ("CreateSession", false),
    ("GetSessionMetadata", false),
    ("SendVerificationCode", false),
    ("CheckVerificationCode", true),
    ("LegacyCheckVerificationCode", true),
];

struct Check {
    is_legacy: bool,
}

#[async_trait]
impl Way for Check {
    fn call(&self) -> &'static str {
        if self.is_legacy {
            "/org.signal.registration.rpc.RegistrationService/LegacyCheckVerificationCode"
        } else {
            "/org.signal.registration.rpc.RegistrationService/CheckVerificationCode"
        }
    }

    fn kind(&self) -> Kind {
        Kind::Number
    }

    /// The fourth one has to wait for a minute.
    fn evaluates(&self) -> usize {
        3
    }

    fn repeats(&self) -> bool {
        true
    }

    async fn begin(&self, ground: &Ground, subject: &Subject) -> Target {
        let Subject::Number(number) = subject else {
            panic!("codes are sent to numbers")
        };
        let token = ground.signal_token().await;
        let asked = CreateRegistrationSessionRequest {
            e164: number[1..].parse().unwrap(),
            // Otherwise there is one a minute.
            rate_limit_collation_key: next_user(),
            ..CreateRegistrationSessionRequest::default()
        };
        let path = format!("{REGISTRATION}/CreateSession");
        let answer: CreateRegistrationSessionResponse = ground.call(&path, &token, &asked).await.unwrap();
        let Some(created::Response::SessionMetadata(session)) = answer.response else {
            panic!("{answer:?}");
        };
        let session_id = session.session_id;
        let asked = SendVerificationCodeRequest {
            session_id: session_id.clone(),
            transport: MessageTransport::Sms.into(),
            ..SendVerificationCodeRequest::default()
        };
        let path = format!("{REGISTRATION}/SendVerificationCode");
        let sent: SendVerificationCodeResponse = ground.call(&path, &token, &asked).await.unwrap();
        assert_eq!(sent.error, None);
        let sid = VerificationSid::from_bytes(session_id.try_into().unwrap());
        Target {
            right: ground.message_code(&sid.to_string()).await,
            at: vec![sid.to_string()],
            token,
            wrong: "incorrect".to_owned(),
        }
    }

    async fn guess(&self, ground: &Ground, target: &Target, code: &str) -> Verdict {
        let sid: VerificationSid = target.at[0].parse().unwrap();
        let asked = CheckVerificationCodeRequest {
            session_id: sid.as_bytes().to_vec(),
            verification_code: code.to_owned(),
        };
        let (verified, error) = if self.is_legacy {
            let answer: LegacyCheckVerificationCodeResponse =
                ground.call(self.call(), &target.token, &asked).await.unwrap();
            (answer.verified, answer.error.map(|error| error.error_type()))
        } else {
            let answer: CheckVerificationCodeResponse =
                ground.call(self.call(), &target.token, &asked).await.unwrap();
            let verified = answer.session_metadata.is_some_and(|session| session.verified);
            (verified, answer.error.map(|error| error.error_type()))
        };
        match error {
            None if verified => Verdict::Right,
            None => Verdict::Wrong,
            Some(CheckError::RateLimited) => Verdict::Limited,
            Some(_) => Verdict::Refused,
        }
    }
}
