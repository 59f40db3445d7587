//! What Apple's answers mean.

use reqwest::StatusCode;
use serde_json::Value;

use crate::delivery::provider::{Answer, word};
use crate::delivery::push::Sent;

/// What is to be done now.
pub(super) enum Verdict {
    Final(Sent),
    TokenExpired,
}

/// Judges an answer by its status and its reason (Apple: "Handling notification responses from APNs").
///
/// A fault that the owner of the credential can mend, and one of Apple's, is worth another try as long as the challenge
/// waits; one that lies in the notification itself is not.
pub(super) fn judge(answer: &Answer) -> Verdict {
    let reason = reason(&answer.body);
    let reason = reason.as_deref();
    let said = format!(
        "APNs answered {} {}",
        answer.status.as_u16(),
        reason.unwrap_or("without a reason")
    );
    let sent = match (answer.status, reason) {
        (StatusCode::OK, _) => Sent::delivered(),
        (StatusCode::FORBIDDEN, Some("ExpiredProviderToken")) => return Verdict::TokenExpired,
        (StatusCode::FORBIDDEN, _) => Sent::retry(
            format!("{said}; check KeyId, TeamId, Topic, Sandbox and PrivateKey of the APNs credential"),
            None,
        ),
        (StatusCode::GONE, reason) => Sent::unregistered(reason.unwrap_or("Unregistered")),
        (StatusCode::BAD_REQUEST, Some(reason @ ("BadDeviceToken" | "DeviceTokenNotForTopic"))) => {
            Sent::unregistered(reason)
        }
        (StatusCode::BAD_REQUEST, Some("IdleTimeout")) => Sent::retry(said, answer.retry_after),
        // Without a reason it is not Apple who speaks, but somebody in between.
        (StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, Some(_))
        | (StatusCode::PAYLOAD_TOO_LARGE, _) => Sent::refused(said),
        _ => Sent::retry(said, answer.retry_after),
    };
    Verdict::Final(sent)
}

fn reason(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(word(body.get("reason")?.as_str()?, 64))
}
