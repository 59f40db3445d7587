//! What Google's answers mean.

use serde_json::Value;

use crate::delivery::http::HttpAnswer;
use crate::delivery::push::{Judgement, PushOutcome, word};
use crate::domain::circuit::FailureScope;
use crate::domain::time::Timestamp;

/// Judges an answer by its status and its error code (Google: "FCM error codes for the HTTP v1 API").
///
/// A fault that the owner of the credential can mend, and one of Google's, is worth another try as long as the challenge
/// waits; one that lies in the message itself is not.
pub(super) fn judge(answer: &HttpAnswer, now: Timestamp) -> Judgement {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = error_code(&body);
    let said = said(answer.status, code, &body);
    let sent = match (answer.status, code) {
        (200, _) if body["name"].is_string() => PushOutcome::delivered(),
        (200, _) => {
            PushOutcome::retry_device(200, "FCM answered 200 with something that is no message", None)
        }
        (404, Some("UNREGISTERED")) => PushOutcome::unregistered("UNREGISTERED"),
        (403, Some("SENDER_ID_MISMATCH")) => PushOutcome::unregistered("SENDER_ID_MISMATCH"),
        (400, Some("INVALID_ARGUMENT")) if blames_token(&body) => {
            PushOutcome::unregistered("INVALID_ARGUMENT")
        }
        // The key of the platform that one device is of.
        (401, Some("THIRD_PARTY_AUTH_ERROR")) => PushOutcome::retry_device(
            401,
            format!("{said}; check the APNs or Web Push key in the Firebase console"),
            None,
        ),
        (401, _) => return Judgement::Again,
        (403, _) => PushOutcome::retry(
            format!(
                "{said}; check that the service account may send messages and that the FCM API is enabled"
            ),
            None,
        ),
        // Without a code it is not Google who speaks, but somebody in between.
        (400 | 404, Some(_)) | (413, _) => PushOutcome::refused(said),
        (429, code) if code != Some("QUOTA_EXCEEDED") => {
            PushOutcome::failed(FailureScope::Overload, said, answer.retry_after(now))
        }
        (503, _) => PushOutcome::failed(FailureScope::Overload, said, answer.retry_after(now)),
        // Too many for this device, trouble with one message: others may do well.
        (status, _) => PushOutcome::retry_device(status, said, answer.retry_after(now)),
    };
    Judgement::Final(sent)
}

/// FCM's own code, which stands in the details; the general one of Google's APIs otherwise.
fn error_code(body: &Value) -> Option<&str> {
    let error = body.get("error")?;
    let details = error.get("details").and_then(Value::as_array);
    let own = details.into_iter().flatten().find_map(|detail| {
        let kind = detail.get("@type")?.as_str()?;
        kind.ends_with("FcmError")
            .then(|| detail.get("errorCode")?.as_str())?
    });
    own.or_else(|| error.get("status")?.as_str())
}

/// Whether the fault is the device's token and not another part of the message.
fn blames_token(body: &Value) -> bool {
    let error = &body["error"];
    let details = error["details"].as_array();
    let violations = details
        .into_iter()
        .flatten()
        .filter_map(|detail| detail["fieldViolations"].as_array());
    let named = violations
        .flatten()
        .any(|violation| violation["field"] == "message.token");
    let message = error["message"].as_str().unwrap_or_default();
    named || message.contains("registration token")
}

fn said(status: u16, code: Option<&str>, body: &Value) -> String {
    let message = body["error"]["message"].as_str().unwrap_or_default();
    let text = format!(
        "FCM answered {} {} {message}",
        status,
        code.unwrap_or("without a code")
    );
    word(text.trim_end(), 300)
}
