//! `countersign bench signal`: sessions of Signal's registration service, beside the same through Twilio's API.

use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use prost::Message;

use super::comparison::ComparisonArgs;
use super::http2::{Http2Answer, Http2Lane};
use super::operations::{CodeDialect, CodeOperation, CodeSession, WRONG};
use super::target::{SignalToken, Target};
use crate::dialect::signal::proto::registration_service_server::SERVICE_NAME;
use crate::dialect::signal::proto::{
    CheckVerificationCodeRequest, CheckVerificationCodeResponse, CreateRegistrationSessionRequest,
    CreateRegistrationSessionResponse, MessageTransport, SendVerificationCodeRequest,
    SendVerificationCodeResponse, create_registration_session_response,
};

#[derive(Debug, clap::Args)]
pub(super) struct SignalArgs {
    /// What `countersign token create --signal` printed for that account.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "COUNTERSIGN_SIGNAL_TOKEN",
        hide_env_values = true
    )]
    token: SignalToken,
    #[command(flatten)]
    comparison: ComparisonArgs,
}

pub(super) fn run(args: &SignalArgs) -> Result<(), String> {
    args.comparison.run(|target, run| SignalSessions {
        target,
        bearer: args.token.header(),
        run,
    })
}

/// Sessions, each begun, sent a code, and asked.
struct SignalSessions {
    target: Target,
    /// The `authorization` metadata.
    bearer: String,
    /// What no other run is called.
    run: String,
}

impl CodeDialect for SignalSessions {
    const NAME: &'static str = "signal";
    const OPERATIONS: &'static [CodeOperation] =
        &[CodeOperation::Begin, CodeOperation::Send, CodeOperation::Check];

    async fn perform(
        &self,
        operation: CodeOperation,
        session: &mut CodeSession,
        lane: &mut Http2Lane,
    ) -> Result<(), String> {
        match operation {
            CodeOperation::Begin => self.begin(session, lane).await,
            CodeOperation::Send => self.send(session, lane).await,
            CodeOperation::Check => self.check(session, lane).await,
        }
    }
}

impl SignalSessions {
    async fn begin(&self, session: &mut CodeSession, lane: &mut Http2Lane) -> Result<(), String> {
        use create_registration_session_response::Response;
        let asked = CreateRegistrationSessionRequest {
            e164: session.number.parse().unwrap_or_default(),
            account_exists_with_e164: false,
            // However often it is run, no number's sessions are used up.
            rate_limit_collation_key: self.run.clone(),
        };
        let answer: CreateRegistrationSessionResponse = self.call(lane, "CreateSession", &asked).await?;
        let Some(Response::SessionMetadata(begun)) = answer.response else {
            return Err(format!("CreateSession answers {answer:?}"));
        };
        session.id = begun.session_id;
        Ok(())
    }

    async fn send(&self, session: &CodeSession, lane: &mut Http2Lane) -> Result<(), String> {
        let asked = SendVerificationCodeRequest {
            transport: MessageTransport::Sms.into(),
            session_id: session.id.clone(),
            ..SendVerificationCodeRequest::default()
        };
        let answer: SendVerificationCodeResponse = self.call(lane, "SendVerificationCode", &asked).await?;
        match answer.error {
            None => Ok(()),
            Some(_) => Err(format!("SendVerificationCode answers {answer:?}")),
        }
    }

    async fn check(&self, session: &CodeSession, lane: &mut Http2Lane) -> Result<(), String> {
        let asked = CheckVerificationCodeRequest {
            session_id: session.id.clone(),
            verification_code: WRONG.to_owned(),
        };
        let answer: CheckVerificationCodeResponse = self.call(lane, "CheckVerificationCode", &asked).await?;
        match answer.error {
            None => Ok(()),
            Some(_) => Err(format!("CheckVerificationCode answers {answer:?}")),
        }
    }

    async fn call<Asked: Message, Answer: Message + Default>(
        &self,
        lane: &mut Http2Lane,
        name: &str,
        asked: &Asked,
    ) -> Result<Answer, String> {
        let Target { host, prefix, .. } = &self.target;
        let request = Request::post(format!("http://{host}{prefix}/{SERVICE_NAME}/{name}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", &self.bearer)
            .body(())
            .map_err(|error| error.to_string())?;
        let answer = lane.exchange(request, framed(asked)).await?;
        message(name, &answer)
    }
}

/// A message behind its length (gRPC over HTTP/2, "Length-Prefixed-Message").
fn framed(message: &impl Message) -> Bytes {
    let length = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), &message.encode_to_vec()]
        .concat()
        .into()
}

fn message<Answer: Message + Default>(name: &str, answer: &Http2Answer) -> Result<Answer, String> {
    let of = |headers: &HeaderMap, name| headers.get(name).cloned();
    let status = of(&answer.trailers, "grpc-status").or_else(|| of(&answer.headers, "grpc-status"));
    match answer.body.get(FRAME_HEAD..) {
        Some(message) if status.is_some_and(|status| status == "0") => {
            Answer::decode(message).map_err(|error| format!("{name} answers no message: {error}"))
        }
        _ => Err(format!("{name} answers {} {:?}", answer.status, answer.headers)),
    }
}

/// A flag and a length.
const FRAME_HEAD: usize = 5;
