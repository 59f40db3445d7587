//! Takes in the answer to a challenge: a code, or what a device signed.

use super::{put_answered, put_changed, read_challenge};
use crate::app::App;
use crate::domain::challenge::{Challenge, DenyReason, Outcome};
use crate::domain::entity::EntityScope;
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind, PushFactor, TotpFactor};
use crate::domain::push_answer::DeviceProof;
use crate::domain::push_guard::PushGuard;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{ChallengeSid, ServiceSid};
use crate::domain::text::{Attributes, Identity};
use crate::domain::time::Timestamp;
use crate::flows::actor::Actor;
use crate::flows::entity::LocatedEntity;
use crate::flows::event::announce;
use crate::flows::outbox::commit_and_ring;
use crate::flows::{Error, factor, retry_on_conflict};
use crate::store::{Batch, keys};

/// What a caller says to a challenge.
#[derive(Clone)]
pub struct ChallengeUpdate<'a> {
    /// The answer.
    pub answer: Option<Reply<'a>>,
    /// What the device adds.
    pub metadata: Option<Attributes>,
}

/// An answer, before anybody knows what kind of factor it is for: as the code that it may be, and as what a device may
/// have signed.
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    /// For a factor of codes.
    pub code: &'a str,
    /// For a push factor.
    pub proof: &'a dyn DeviceProof,
}

/// Takes in the answer. A wrong code is no error: the challenge that is returned is still pending, with one try less. Nor
/// is a wrong number: the challenge that is returned is denied.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Forbidden`], [`Refusal::ChallengeAnswered`], [`Refusal::ChallengeExpired`],
/// [`Refusal::TooManyChallengeAttempts`], [`Refusal::FactorUnverified`], [`Refusal::FactorDisabled`],
/// [`Refusal::FactorDelayed`], [`Refusal::PushPaused`], [`Refusal::BadChallengeProof`], [`Refusal::AnswerMissing`],
/// [`Refusal::CodeMalformed`], [`Error::Failed`].
pub async fn answer(
    app: &App,
    actor: &Actor,
    (service, identity): (ServiceSid, &Identity),
    sid: ChallengeSid,
    update: &ChallengeUpdate<'_>,
) -> Result<(EntityScope, Challenge), Error> {
    retry_on_conflict(|| answer_once(app, actor, (service, identity), sid, update)).await
}

async fn answer_once(
    app: &App,
    actor: &Actor,
    (service, identity): (ServiceSid, &Identity),
    sid: ChallengeSid,
    update: &ChallengeUpdate<'_>,
) -> Result<(EntityScope, Challenge), Error> {
    let (place, found) = read_challenge(app, actor, service, identity, sid).await?;
    let now = app.clock.now();
    let mut challenge = found.record.clone();
    challenge.require_pending(now)?;
    let factor = factor::read(app, &place.scope, challenge.factor).await?;
    factor.record.require_verified()?;
    if let Some(metadata) = &update.metadata {
        challenge.metadata = Some(metadata.clone());
        challenge.date_updated = now;
    }
    let mut batch = place
        .batch()
        .assert_read(&keys::challenge(&place.scope, sid), &found)
        .assert_read(&keys::factor(&place.scope, challenge.factor), &factor);
    let mut answered = factor.record.clone();
    let mut factor_changed = false;
    match (update.answer, &factor.record.kind) {
        (None, _) if update.metadata.is_none() => return Err(Refusal::AnswerMissing.into()),
        (None, _) => {}
        (Some(said), FactorKind::Totp(totp)) => {
            answered = answer_by_code(
                app,
                &place,
                &mut challenge,
                (&factor.record, totp),
                said.code,
                now,
            )?;
            factor_changed = true;
        }
        (Some(said), FactorKind::Push(push)) => {
            let mut push = push.clone();
            answer_by_signature(app, &place, &mut challenge, &mut push, said.proof, now)?;
            answered.kind = FactorKind::Push(push);
            // Only a number or a report changes the factor: other answers leave it alone.
            factor_changed = guard_of(&answered) != guard_of(&factor.record);
        }
    }
    let event = match challenge.outcome {
        Outcome::Approved(_) => Some(EventType::ChallengeApproved),
        Outcome::Denied(_) => Some(EventType::ChallengeDenied),
        // One that expired was refused above.
        Outcome::Expired | Outcome::Pending => None,
    };
    // Whatever else is announced of the factor must come before this commit or be decided anew behind it, its deletion for
    // instance: events are in the order of the commits.
    let wanted = |event| place.service.record.subscribers(event).next().is_some();
    if factor_changed || event.is_some_and(wanted) {
        batch = batch.put_record(keys::factor(&place.scope, answered.sid), &answered)?;
    }
    batch = match event {
        Some(event) => close(app, &place, &challenge, (event, now), batch)?,
        None => put_changed(app, &place.scope, &challenge, batch)?,
    };
    if challenge.deny_reason == Some(DenyReason::NotMe) {
        batch = announce_report(app, &place, &challenge, now, batch)?;
    }
    batch = factor::announce_lock(app, &place, (&factor.record, &answered), now, batch)?;
    commit_and_ring(app, batch).await?;
    if answered.status == factor.record.status {
        app.memory
            .waiters
            .challenge_changed(place.scope.entity, challenge.factor, sid);
    } else {
        app.memory.waiters.entity_changed(place.scope.entity);
    }
    factor::warn_of_failures(&factor.record, &answered);
    Ok((place.scope, challenge))
}

/// The factor as it is after the code.
fn answer_by_code(
    app: &App,
    place: &LocatedEntity,
    challenge: &mut Challenge,
    (factor, totp): (&Factor, &TotpFactor),
    code: &str,
    now: Timestamp,
) -> Result<Factor, Error> {
    challenge.require_attempt_left(now)?;
    let verdict = factor::check_code(app, &place.scope, (factor, totp), code, now)?;
    challenge.settle_code(verdict, now)?;
    let mut factor = factor.clone();
    factor.settle_code(verdict, now);
    Ok(factor)
}

fn answer_by_signature(
    app: &App,
    place: &LocatedEntity,
    challenge: &mut Challenge,
    push: &mut PushFactor,
    proof: &dyn DeviceProof,
    now: Timestamp,
) -> Result<(), Refusal> {
    let answer = proof
        .verify(&place.scope, challenge, &push.public_key)
        .map_err(|why| Refusal::BadChallengeProof { why })?;
    answer.settle(challenge, &mut push.guard, app.policy.push.pause, now)
}

fn guard_of(factor: &Factor) -> Option<&PushGuard> {
    match &factor.kind {
        FactorKind::Push(push) => Some(&push.guard),
        FactorKind::Totp(_) => None,
    }
}

/// Tells that the holder did not ask for the challenge, after it was told that it is denied.
fn announce_report(
    app: &App,
    place: &LocatedEntity,
    challenge: &Challenge,
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, Error> {
    let of = (challenge.factor, challenge.factor_type);
    let event = Event::new(EventType::ChallengeReported, now, &place.scope, of).of_challenge(challenge.sid);
    announce(app, &place.service.record, &event, batch)
}

fn close(
    app: &App,
    place: &LocatedEntity,
    challenge: &Challenge,
    (event_type, now): (EventType, Timestamp),
    batch: Batch,
) -> Result<Batch, Error> {
    let of = (challenge.factor, challenge.factor_type);
    let event = Event::new(event_type, now, &place.scope, of).of_challenge(challenge.sid);
    announce(
        app,
        &place.service.record,
        &event,
        put_answered(app, &place.scope, challenge, batch)?,
    )
}
