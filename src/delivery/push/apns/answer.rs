//! What Apple's answers mean.

use serde_json::Value;

use crate::delivery::http::HttpAnswer;
use crate::delivery::push::{Judgement, PushOutcome, word};
use crate::domain::circuit::FailureScope;
use crate::domain::time::Timestamp;

/// Judges an answer by its status and its reason (Apple: "Handling notification responses from APNs").
///
/// A fault that the owner of the credential can mend, and one of Apple's, is worth another try as long as the challenge
/// waits; one that lies in the notification itself is not.
pub(super) fn judge(answer: &HttpAnswer, now: Timestamp) -> Judgement {
    let reason = reason(&answer.body);
    let reason = reason.as_deref();
    let said = format!(
        "APNs answered {} {}",
        answer.status,
        reason.unwrap_or("without a reason")
    );
    let after = answer.retry_after(now);
    let sent = match (answer.status, reason) {
        (200, _) => PushOutcome::delivered(),
        (403, Some("ExpiredProviderToken")) => return Judgement::Again,
        (403, _) => PushOutcome::retry(
            format!(
                "{said}; check the APNs credential: its signing key, key ID, team ID and topic, and whether it is for \
                 Apple's development environment"
            ),
            None,
        ),
        (410, reason) => PushOutcome::unregistered(reason.unwrap_or("Unregistered")),
        (400, Some(reason @ ("BadDeviceToken" | "DeviceTokenNotForTopic"))) => {
            PushOutcome::unregistered(reason)
        }
        (400, Some("IdleTimeout")) => PushOutcome::retry(said, after),
        (429, Some("TooManyProviderTokenUpdates")) | (503, _) => {
            PushOutcome::failed(FailureScope::Overload, said, after)
        }
        // Without a reason it is not Apple who speaks, but somebody in between.
        (400 | 404 | 405, Some(_)) | (413, _) => PushOutcome::refused(said),
        // Too many for this device (429 TooManyRequests), trouble with one notification (500): others may do well.
        (status, _) => PushOutcome::retry_device(status, said, after),
    };
    Judgement::Final(sent)
}

fn reason(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(word(body.get("reason")?.as_str()?, 64))
}
