//! Fetches a challenge as soon as it is decided.

use std::time::Duration;

use super::fetch_challenge::fetch_challenge;
use crate::app::App;
use crate::domain::challenge::{Challenge, ChallengeStatus};
use crate::domain::entity::EntityScope;
use crate::domain::sid::{ChallengeSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::Error;
use crate::flows::admission::Admission;
use crate::flows::waiting::Waiting;
use crate::memory::waiters::Interest;

/// The challenge once it is no longer pending, or as it is after `longest`. What a fetch would not be answered with at
/// that moment, a wait is not either.
///
/// # Errors
/// As [`fetch_challenge`], and [`Refusal::Credentials`](crate::domain::refusal::Refusal::Credentials) as soon as the
/// caller's are revoked, [`Refusal::TooManyWaiters`](crate::domain::refusal::Refusal::TooManyWaiters).
pub async fn wait_for_decision(
    app: &App,
    admission: &Admission,
    (service, identity): (ServiceSid, &Identity),
    sid: ChallengeSid,
    longest: Duration,
) -> Result<(EntityScope, Challenge), Error> {
    // Boxed, so that those who wait do not take up what a look needs.
    let look = async || {
        Box::pin(async {
            let actor = admission.check(app).await?;
            fetch_challenge(app, &actor, service, identity, sid).await
        })
        .await
    };
    let is_pending = |challenge: &Challenge| challenge.status(app.clock.now()) == ChallengeStatus::Pending;
    // Nothing of what a look found is kept while waiting.
    let waiting = {
        let (scope, challenge) = look().await?;
        if longest.is_zero() || !is_pending(&challenge) {
            return Ok((scope, challenge));
        }
        Waiting::begin(app, admission, &scope, Interest::Challenge(sid), Some(longest))?
    };
    loop {
        let last = waiting.is_over(app);
        let expires_at = {
            let (scope, challenge) = look().await?;
            if last || !is_pending(&challenge) {
                return Ok((scope, challenge));
            }
            challenge.expires_at
        };
        waiting.pause(app, Some(expires_at), longest).await;
    }
}
