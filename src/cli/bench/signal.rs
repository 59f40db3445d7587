//! `countersign bench signal`: sessions of Signal's registration service, and beside them the same through Twilio's API.
//!
//! Nobody reads the messages here, so each session is asked with a wrong code, which is counted and on disk as the right one
//! would be. Both sides speak HTTP/2, with one request on the way on each connection.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use prost::Message;

use super::http2::{Chain, Http2Answer, Http2Lane};
use super::numbers;
use super::target::{AccountCredentials, Target};
use crate::dialect::signal::proto::registration_service_server::SERVICE_NAME;
use crate::dialect::signal::proto::{
    CheckVerificationCodeRequest, CheckVerificationCodeResponse, CreateRegistrationSessionRequest,
    CreateRegistrationSessionResponse, MessageTransport, SendVerificationCodeRequest,
    SendVerificationCodeResponse, create_registration_session_response,
};

/// Which number is next: each session has one that nobody has asked about for long.
pub(super) struct FreshNumbers {
    areas: Vec<u16>,
    begun: AtomicUsize,
}

impl FreshNumbers {
    pub(super) fn new() -> Self {
        Self {
            areas: numbers::areas(),
            begun: AtomicUsize::new(0),
        }
    }

    /// The next number, and how many were taken before it.
    fn next(&self) -> (String, usize) {
        let nth = self.begun.fetch_add(1, Ordering::Relaxed);
        (numbers::number(&self.areas, nth), nth)
    }
}

/// Sessions without end: begun, sent a code, asked.
pub(super) struct SessionLoad {
    pub(super) target: Target,
    /// The `authorization` metadata.
    pub(super) bearer: String,
    /// What no other run is called.
    pub(super) run: String,
    pub(super) numbers: FreshNumbers,
}

impl SessionLoad {
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

impl Chain for SessionLoad {
    async fn run(&self, lane: &mut Http2Lane) -> Result<(), String> {
        use create_registration_session_response::Response;
        let (number, nth) = self.numbers.next();
        let create = CreateRegistrationSessionRequest {
            e164: number.parse().unwrap_or_default(),
            account_exists_with_e164: false,
            // However long it takes, and however often it is run, no number's sessions are used up.
            rate_limit_collation_key: format!("{} {nth}", self.run),
        };
        let begun: CreateRegistrationSessionResponse = self.call(lane, "CreateSession", &create).await?;
        let Some(Response::SessionMetadata(session)) = begun.response else {
            return Err(format!("CreateSession answers {begun:?}"));
        };
        let send = SendVerificationCodeRequest {
            transport: MessageTransport::Sms.into(),
            session_id: session.session_id.clone(),
            ..SendVerificationCodeRequest::default()
        };
        let answer: SendVerificationCodeResponse = self.call(lane, "SendVerificationCode", &send).await?;
        if answer.error.is_some() {
            return Err(format!("SendVerificationCode answers {answer:?}"));
        }
        let check = CheckVerificationCodeRequest {
            session_id: session.session_id,
            verification_code: WRONG.to_owned(),
        };
        let checked: CheckVerificationCodeResponse = self.call(lane, "CheckVerificationCode", &check).await?;
        if checked.error.is_some() {
            return Err(format!("CheckVerificationCode answers {checked:?}"));
        }
        Ok(())
    }
}

/// The same through Twilio's API: a verification that is begun and sent at once, and asked.
pub(super) struct VerificationLoad {
    pub(super) target: Target,
    pub(super) account: AccountCredentials,
    pub(super) service: String,
    pub(super) numbers: FreshNumbers,
}

impl VerificationLoad {
    async fn post(&self, lane: &mut Http2Lane, resource: &str, form: String) -> Result<(), String> {
        let Target { host, prefix, .. } = &self.target;
        let uri = format!("http://{host}{prefix}/v2/Services/{}/{resource}", self.service);
        let request = Request::post(uri)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", self.account.reveal())
            .body(())
            .map_err(|error| error.to_string())?;
        let answer = lane.exchange(request, form.into()).await?;
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status == StatusCode::CREATED && text.contains(r#""status":"pending""#) {
            Ok(())
        } else {
            Err(format!("{resource} answers {} {text}", answer.status))
        }
    }
}

impl Chain for VerificationLoad {
    async fn run(&self, lane: &mut Http2Lane) -> Result<(), String> {
        let (number, _) = self.numbers.next();
        self.post(lane, "Verifications", format!("To=%2B{number}&Channel=sms"))
            .await?;
        self.post(lane, "VerificationCheck", format!("To=%2B{number}&Code={WRONG}"))
            .await
    }
}

/// No code of six digits, and a guess all the same.
const WRONG: &str = "0000000000";

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
