//! Codes through Twilio's API, which other protocols are compared with.

use axum::http::{Request, StatusCode};

use super::http2::Http2Lane;
use super::operations::{CodeDialect, CodeOperation, CodeSession, WRONG};
use super::target::{AccountCredentials, Target};

/// Verifications, each begun and sent at once, and asked.
pub(super) struct TwilioCodes {
    pub(super) target: Target,
    pub(super) account: AccountCredentials,
    /// The service's SID.
    pub(super) service: String,
}

impl CodeDialect for TwilioCodes {
    const NAME: &'static str = "twilio";
    const OPERATIONS: &'static [CodeOperation] = &[CodeOperation::Send, CodeOperation::Check];

    async fn perform(
        &self,
        operation: CodeOperation,
        session: &mut CodeSession,
        lane: &mut Http2Lane,
    ) -> Result<(), String> {
        let number = &session.number;
        let (resource, form) = match operation {
            // Nothing is begun without a sending.
            CodeOperation::Begin => return Ok(()),
            CodeOperation::Send => ("Verifications", format!("To=%2B{number}&Channel=sms")),
            CodeOperation::Check => ("VerificationCheck", format!("To=%2B{number}&Code={WRONG}")),
        };
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
