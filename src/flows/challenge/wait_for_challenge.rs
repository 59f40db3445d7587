//! Lists pending challenges as soon as there is one.

use std::time::Duration;

use super::list_challenges::{ChallengeFilter, list_challenges};
use crate::app::App;
use crate::domain::challenge::{Challenge, ChallengeStatus};
use crate::domain::entity::EntityScope;
use crate::domain::sid::{FactorSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::Error;
use crate::flows::actor::Actor;
use crate::flows::admission::Admission;
use crate::flows::page::{Page, PageRequest};
use crate::flows::waiting::Waiting;
use crate::memory::waiters::Interest;

/// A page of the pending challenges of the entity or of one `factor`, once there is one; an empty page after `longest`.
/// A device only sees its own factor's. What a listing would not be answered with at that moment, a wait is not either.
///
/// # Errors
/// As [`list_challenges`], and [`Refusal::Credentials`](crate::domain::refusal::Refusal::Credentials) as soon as the
/// caller's are revoked, [`Refusal::TooManyWaiters`](crate::domain::refusal::Refusal::TooManyWaiters).
pub async fn wait_for_challenge(
    app: &App,
    admission: &Admission,
    (service, identity): (ServiceSid, &Identity),
    factor: Option<FactorSid>,
    request: PageRequest,
    longest: Duration,
) -> Result<(EntityScope, Page<Challenge>), Error> {
    let filter = ChallengeFilter {
        factor,
        status: Some(ChallengeStatus::Pending),
    };
    // Boxed, so that those who wait do not take up what a look needs.
    let look = async || {
        Box::pin(async {
            let actor = admission.check(app).await?;
            let found = list_challenges(app, &actor, (service, identity), filter, request).await?;
            Ok::<_, Error>((actor, found))
        })
        .await
    };
    // A page that is empty because it was a long search, and not the last, is an answer: the caller goes on from there.
    let is_answer = |page: &Page<Challenge>| !page.items.is_empty() || page.next.is_some();
    // Nothing of what a look found is kept while waiting.
    let waiting = {
        let (actor, (scope, page)) = look().await?;
        if longest.is_zero() || is_answer(&page) {
            return Ok((scope, page));
        }
        let own = match actor {
            Actor::Account(_) => factor,
            Actor::Device(device) => Some(device.factor),
        };
        let interest = own.map_or(Interest::Entity, Interest::Factor);
        Waiting::begin(app, admission, &scope, interest, Some(longest))?
    };
    loop {
        let last = waiting.is_over(app);
        {
            let (_, (scope, page)) = look().await?;
            if last || is_answer(&page) {
                return Ok((scope, page));
            }
        }
        waiting.pause(app, None, longest).await;
    }
}
