//! What a push service's answer means: RFC 8030, sections 5, 7.2, 7.3 and 8.4; RFC 8292, section 4.2; and UnifiedPush's
//! server interface 1.2.0, whose servers may accept with any 2xx and say with 400 that trying again is of no use.

use crate::delivery::http::HttpAnswer;
use crate::delivery::push::{Judgement, PushOutcome};
use crate::domain::time::Timestamp;

/// Reads the answer of the push service at `origin`.
pub(super) fn judge(origin: &str, answer: &HttpAnswer, now: Timestamp) -> Judgement {
    let status = answer.status;
    let said = format!("the push service {origin} answered {status}");
    let after = answer.retry_after(now);
    let sent = match status {
        200..=299 => PushOutcome::delivered(),
        300..=399 => PushOutcome::refused(format!("{said}: redirects are not followed")),
        400 => PushOutcome::refused(said),
        401 | 403 => PushOutcome::retry(
            format!(
                "{said}: it does not accept this server's VAPID key or token; the subscription may have been made for \
                 another key than the service's push.vapid_public_key, webpush_contact may be missing, or the clock wrong"
            ),
            after,
        ),
        404 | 410 => PushOutcome::unregistered(format!("{said}: the subscription does not exist any more")),
        413 => return Judgement::Again,
        _ => PushOutcome::retry(said, after),
    };
    Judgement::Final(sent)
}
