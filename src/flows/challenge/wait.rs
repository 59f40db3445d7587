//! Answers as soon as there is something to tell: a pending challenge, or a decision.

use std::time::Duration;

use crate::app::App;
use crate::domain::challenge::{Challenge, ChallengeStatus, Refusal};
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::sid::{ChallengeSid, FactorSid};
use crate::flows::access::{Actor, Admission};
use crate::flows::challenge::{self, ChallengeFilter};
use crate::flows::page::{Page, PageRequest};
use crate::flows::reading::Admitted;
use crate::flows::waiting::Waiting;
use crate::flows::{Error, entity};
use crate::memory::waiters::Interest;

/// A page of the pending challenges of the entity or of one `factor`, once there is one; an empty page after `longest`.
/// A device only sees its own factor's. What a listing would not be answered with at that moment, a wait is not either.
///
/// # Errors
/// As [`challenge::list()`], and [`Refusal::Access`] as soon as the caller's credentials are revoked,
/// [`Refusal::TooManyWaiters`].
pub async fn wait_for_pending(
    app: &App,
    actor: impl Into<Admitted<Actor>>,
    admission: &Admission,
    name: &EntityName,
    factor: Option<FactorSid>,
    request: PageRequest,
    longest: Duration,
) -> Result<(EntityScope, Page<Challenge>), Error<Refusal>> {
    let filter = ChallengeFilter {
        factor,
        status: Some(ChallengeStatus::Pending),
    };
    // Boxed, so that those who wait do not take up what a look needs.
    let look = async || {
        Box::pin(async {
            let foresee = |actor: &Actor| entity::foresee(actor.account(), name);
            let actor = admission.check(app, foresee).await.map_err(Error::into_area)?;
            challenge::list(app, actor, name, filter, request).await
        })
        .await
    };
    // A page that is empty because it was a long search, and not the last, is an answer: the caller goes on from there.
    let is_answer = |page: &Page<Challenge>| !page.items.is_empty() || page.next.is_some();
    // Nothing of what a look found is kept while waiting.
    let waiting = {
        let actor = actor.into();
        let own = match &actor.who {
            Actor::Account(_) => factor,
            Actor::Device(device) => Some(device.factor),
        };
        let (scope, page) = Box::pin(challenge::list(app, actor, name, filter, request)).await?;
        if longest.is_zero() || is_answer(&page) {
            return Ok((scope, page));
        }
        let interest = own.map_or(Interest::Entity, Interest::Factor);
        Waiting::begin(app, admission, &scope, interest, Some(longest))?
    };
    loop {
        let last = waiting.is_over(app);
        {
            let (scope, page) = look().await?;
            if last || is_answer(&page) {
                return Ok((scope, page));
            }
        }
        waiting.pause(app, None, longest).await;
    }
}

/// The challenge once it is no longer pending, or as it is after `longest`. What a fetch would not be answered with at
/// that moment, a wait is not either.
///
/// # Errors
/// As [`challenge::fetch`], and [`Refusal::Access`] as soon as the caller's credentials are revoked,
/// [`Refusal::TooManyWaiters`].
pub async fn wait_for_decision(
    app: &App,
    actor: impl Into<Admitted<Actor>>,
    admission: &Admission,
    name: &EntityName,
    sid: ChallengeSid,
    longest: Duration,
) -> Result<(EntityScope, Challenge), Error<Refusal>> {
    // Boxed, so that those who wait do not take up what a look needs.
    let look = async || {
        Box::pin(async {
            let foresee = |actor: &Actor| challenge::foresee(actor, name, sid);
            let actor = admission.check(app, foresee).await.map_err(Error::into_area)?;
            challenge::fetch(app, actor, name, sid).await
        })
        .await
    };
    let is_pending = |challenge: &Challenge| challenge.status(app.clock.now()) == ChallengeStatus::Pending;
    // Nothing of what a look found is kept while waiting.
    let waiting = {
        let (scope, challenge) = Box::pin(challenge::fetch(app, actor, name, sid)).await?;
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
