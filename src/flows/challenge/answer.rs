//! Takes in the answer to a challenge: a code, or what a device signed.

use super::{put_answered, put_changed, read};
use crate::app::App;
use crate::domain::audit::{AuditAct, AuditOutcome, AuditSubject};
use crate::domain::challenge::{Challenge, DenyReason, Outcome, Refusal};
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::push_answer::GivenAnswer;
use crate::domain::push_guard::PushGuard;
use crate::domain::sid::ChallengeSid;
use crate::domain::text::Attributes;
use crate::flows::access::Actor;
use crate::flows::event::announce;
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, audit, entity, factor, retry_on_conflict};
use crate::store::{Batch, keys};

/// What a caller says to a challenge.
#[derive(Clone)]
pub struct ChallengeUpdate<'a> {
    /// `None` to change the metadata alone.
    pub answer: Option<&'a dyn GivenAnswer>,
    /// What the device adds.
    pub metadata: Option<Attributes>,
}

/// Takes in the answer. A wrong code is no error: the challenge that is returned is still pending, with one try less. Nor
/// is a wrong number: the challenge that is returned is denied.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Access`], [`Refusal::Answered`], [`Refusal::Expired`], [`Refusal::AnswerMissing`],
/// [`Refusal::TooManyAttempts`], [`Refusal::BadProof`]; [`Refusal::Factor`] for a factor that is not verified, takes no code
/// now, is paused, or has codes of another length; [`Error::Failed`].
pub async fn answer(
    app: &App,
    actor: impl Into<Admitted<Actor>>,
    name: &EntityName,
    sid: ChallengeSid,
    update: &ChallengeUpdate<'_>,
) -> Result<(EntityScope, Challenge), Error<Refusal>> {
    let Admitted { who, mut prior } = actor.into();
    retry_on_conflict(app, || {
        answer_once(app, prior.reading(app), &who, name, sid, update)
    })
    .await
}

async fn answer_once(
    app: &App,
    mut reading: Reading<'_>,
    actor: &Actor,
    name: &EntityName,
    sid: ChallengeSid,
    update: &ChallengeUpdate<'_>,
) -> Result<(EntityScope, Challenge), Error<Refusal>> {
    let (account, only) = actor.within(name).map_err(Refusal::Access)?;
    let located = entity::locate(&mut reading, account, name).await?;
    if let Some(own) = only {
        let (challenge, factor) = (
            keys::challenge(&located.scope, sid),
            keys::factor(&located.scope, own),
        );
        reading.prefetch([challenge.bytes(), factor.bytes()]).await?;
    }
    audit::note_decided_challenge(sid);
    let mut challenge = read(&mut reading, &located.scope, only, sid).await?;
    audit::note_factor(challenge.factor);
    let now = app.clock.now();
    challenge.require_pending(now)?;
    let factor_key = keys::factor(&located.scope, challenge.factor);
    let factor = reading.require(&factor_key).await?;
    factor.require_verified().map_err(Refusal::Factor)?;
    if let Some(metadata) = &update.metadata {
        challenge.metadata = Some(metadata.clone());
        challenge.date_updated = now;
    }
    let mut answered = factor.clone();
    let mut factor_changed = false;
    match (update.answer, &factor.kind) {
        (None, _) if update.metadata.is_none() => return Err(Refusal::AnswerMissing.into()),
        (None, _) => {}
        (Some(answer), FactorKind::Totp(totp)) => {
            challenge.require_attempt_left(now)?;
            let verdict = factor::check_code(app, &located.scope, &factor, totp, answer.code(), now)
                .map_err(Error::into_area)?;
            audit::note_decided_challenge(challenge.sid);
            challenge.settle_code(verdict, now)?;
            answered.settle_code(verdict, app.policy.totp_drift, now);
            factor_changed = true;
        }
        (Some(answer), FactorKind::Push(push)) => {
            audit::note_subject(AuditAct::AnswerChallenge, || AuditSubject {
                service: Some(located.scope.service),
                identity: Some(located.scope.identity.clone()),
                factor: Some(factor.sid),
                challenge: Some(challenge.sid),
                ..AuditSubject::default()
            });
            let verified = answer
                .verify(&located.scope, &challenge, &push.public_key)
                .map_err(|why| Refusal::BadProof { why })?;
            let mut push = push.clone();
            verified.settle(&mut challenge, &mut push.guard, app.policy.push.pause, now)?;
            if let Outcome::Approved(_) = challenge.outcome
                && push.guard.spent_until(&app.policy.push, now).is_some()
            {
                push.guard.approved(now);
            }
            audit_answer(&challenge);
            answered.kind = FactorKind::Push(push);
            // Only a number, a report or an approval that lifts a limit changes the factor: other answers leave it alone.
            factor_changed = guard_of(&answered) != guard_of(&factor);
        }
    }
    let event = match challenge.outcome {
        Outcome::Approved(_) => Some(EventType::ChallengeApproved),
        Outcome::Denied(_) => Some(EventType::ChallengeDenied),
        // One that expired was refused above.
        Outcome::Expired | Outcome::Pending => None,
    };
    let mut batch = Batch::new();
    batch = match event {
        Some(_) => put_answered(app, &located.scope, &challenge, batch)?,
        None => put_changed(app, &located.scope, &challenge, batch)?,
    };
    // That the holder did not ask for it is told after that it is denied.
    let reported = (challenge.deny_reason == Some(DenyReason::NotMe)).then_some(EventType::ChallengeReported);
    for event_type in event.into_iter().chain(reported) {
        let event = Event::new(
            event_type,
            now,
            &located.scope,
            challenge.factor,
            challenge.factor_type,
        )
        .of_challenge(challenge.sid);
        batch = announce(app, &located.service, &event, &mut answered, batch)?;
    }
    batch = factor::announce_locks(app, &located, &factor, &mut answered, now, batch)?;
    if factor_changed || answered.last_event != factor.last_event {
        batch = factor::put(app, batch, factor_key, &answered)?;
    }
    reading.commit(batch).await?;
    if answered.status == factor.status {
        app.memory
            .waiters
            .challenge_changed(located.scope.entity, challenge.factor, sid);
    } else {
        app.memory.waiters.entity_changed(located.scope.entity);
    }
    factor::tell_of_code(app, located.scope.account, &factor, &answered, now);
    Ok((located.scope, challenge))
}

/// Has the audit log tell what a device answered.
fn audit_answer(challenge: &Challenge) {
    match challenge.outcome {
        Outcome::Approved(_) => audit::decide(AuditOutcome::Approved, || ("right_answer", None)),
        Outcome::Denied(_) => {
            let (code, why) = match challenge.deny_reason {
                Some(DenyReason::NotMe) => ("not_me", Some("its holder did not ask for it")),
                Some(DenyReason::WrongNumber) => ("wrong_number", Some("the number that was typed is wrong")),
                None => ("denied", None),
            };
            audit::decide(AuditOutcome::Denied, || (code, why.map(str::to_owned)));
        }
        Outcome::Expired | Outcome::Pending => {}
    }
}

fn guard_of(factor: &Factor) -> Option<&PushGuard> {
    match &factor.kind {
        FactorKind::Push(push) => Some(&push.guard),
        FactorKind::Totp(_) => None,
    }
}
