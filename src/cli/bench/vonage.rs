//! `countersign bench vonage`: requests of Vonage's Verify, beside the same through Twilio's API.

use axum::http::{Request, StatusCode};
use serde_json::Value;

use super::comparison::ComparisonArgs;
use super::http2::Http2Lane;
use super::operations::{CodeDialect, CodeOperation, CodeSession, WRONG};
use super::target::{AccountCredentials, Target};

#[derive(Debug, clap::Args)]
pub(super) struct VonageArgs {
    #[command(flatten)]
    comparison: ComparisonArgs,
}

pub(super) fn run(args: &VonageArgs) -> Result<(), String> {
    let account = args.comparison.account().clone();
    args.comparison
        .run(|target, _| VonageRequests { target, account })
}

/// Requests, each begun and sent at once, and asked.
struct VonageRequests {
    target: Target,
    account: AccountCredentials,
}

impl CodeDialect for VonageRequests {
    const NAME: &'static str = "vonage";
    const OPERATIONS: &'static [CodeOperation] = &[CodeOperation::Send, CodeOperation::Check];

    async fn perform(
        &self,
        operation: CodeOperation,
        session: &mut CodeSession,
        lane: &mut Http2Lane,
    ) -> Result<(), String> {
        let (path, form, expected) = match operation {
            // Nothing is begun without a sending.
            CodeOperation::Begin => return Ok(()),
            // One text message, as through Twilio's API: nothing follows by itself.
            CodeOperation::Send => (
                "/verify/json",
                format!(
                    "number={}&brand=Benchmark&code_length=6&workflow_id=6",
                    session.number
                ),
                "0",
            ),
            CodeOperation::Check => {
                let id = String::from_utf8_lossy(&session.id);
                (
                    "/verify/check/json",
                    format!("request_id={id}&code={WRONG}"),
                    "16",
                )
            }
        };
        let Target { host, prefix, .. } = &self.target;
        let request = Request::post(format!("http://{host}{prefix}{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", self.account.reveal())
            .body(())
            .map_err(|error| error.to_string())?;
        let answer = lane.exchange(request, form.into()).await?;
        let read: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status != StatusCode::OK || read["status"] != expected {
            let text = String::from_utf8_lossy(&answer.body);
            return Err(format!("{path} answers {} {text}", answer.status));
        }
        if let Some(id) = read["request_id"].as_str() {
            session.id = id.as_bytes().to_vec();
        }
        Ok(())
    }
}
