//! Asks again for the push of a challenge that waits, if its factor may be asked.

use std::time::Duration;

use super::{put_changed, read_challenge};
use crate::app::App;
use crate::domain::challenge::{Challenge, Outcome};
use crate::domain::entity::EntityScope;
use crate::domain::factor::{FactorKind, NotificationChannel};
use crate::domain::notification::Notification;
use crate::domain::push_guard::{ChallengeFate, PushGuard};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ChallengeSid, NotificationSid, ServiceSid};
use crate::domain::text::Identity;
use crate::domain::time::Timestamp;
use crate::flows::actor::Actor;
use crate::flows::outbox::commit_and_ring;
use crate::flows::push::notify_device;
use crate::flows::{Error, factor, retry_on_conflict};
use crate::store::{keys, records};

/// Asks for another push, to be attempted for `ttl` seconds.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::NotNotifiable`], [`Refusal::TooManyNotifications`], [`Refusal::TooManyPushes`],
/// [`Refusal::PushPaused`],
/// [`Refusal::ChallengeAnswered`], [`Refusal::ChallengeExpired`], [`Error::Failed`].
pub async fn notify(
    app: &App,
    account: AccountSid,
    (service, identity): (ServiceSid, &Identity),
    challenge: ChallengeSid,
    ttl: u16,
) -> Result<(EntityScope, Notification), Error> {
    retry_on_conflict(|| notify_once(app, account, (service, identity), challenge, ttl)).await
}

async fn notify_once(
    app: &App,
    account: AccountSid,
    (service, identity): (ServiceSid, &Identity),
    sid: ChallengeSid,
    ttl: u16,
) -> Result<(EntityScope, Notification), Error> {
    let (place, found) = read_challenge(app, &Actor::Account(account), service, identity, sid).await?;
    let factor = factor::read(app, &place.scope, found.record.factor).await?;
    factor.record.require_verified()?;
    let mut asked = factor.record.clone();
    let push = match &mut asked.kind {
        FactorKind::Push(push) if push.notification != NotificationChannel::None => push,
        FactorKind::Push(_) | FactorKind::Totp(_) => return Err(Refusal::NotNotifiable.into()),
    };
    let now = app.clock.now();
    let mut challenge = found.record.clone();
    challenge.add_notification(now)?;
    let fates = recall_pushes(app, &place.scope, &push.guard, now).await?;
    push.guard
        .ask_again((sid, challenge.expires_at), &fates, &app.policy.push, now)?;
    let device = push.clone();
    let batch = place
        .batch()
        .assert_read(&keys::challenge(&place.scope, sid), &found)
        .assert_read(&keys::factor(&place.scope, asked.sid), &factor)
        .put_record(keys::factor(&place.scope, asked.sid), &asked)?;
    let batch = put_changed(app, &place.scope, &challenge, batch)?;
    // A TTL of zero asks for one attempt at once; a second gives the worker time to make it.
    let until = now + Duration::from_secs(u64::from(ttl).max(1));
    let batch = notify_device(
        app,
        (&place.service.record, &place.scope),
        &challenge,
        &device,
        until,
        batch,
    )?;
    commit_and_ring(app, batch).await?;
    let notification = Notification {
        sid: NotificationSid::generate(now, app.entropy.as_ref()),
        challenge: sid,
        ttl,
        date_created: now,
    };
    Ok((place.scope, notification))
}

/// What became of each challenge that `guard` remembers.
///
/// The caller asserts the factor's version, not that of these challenges: one that is answered meanwhile only makes room,
/// so a decision that did not see it is at worst too strict.
pub(super) async fn recall_pushes(
    app: &App,
    scope: &EntityScope,
    guard: &PushGuard,
    now: Timestamp,
) -> Result<Vec<(ChallengeSid, ChallengeFate)>, Error> {
    let remembered = guard.remembered(now);
    let mut fates = Vec::with_capacity(remembered.len());
    for sid in remembered {
        let found = records::read(app.store.as_ref(), &keys::challenge(scope, sid)).await?;
        let fate = found.map_or(ChallengeFate::Over, |found| fate_of(&found.record, now));
        fates.push((sid, fate));
    }
    Ok(fates)
}

fn fate_of(challenge: &Challenge, now: Timestamp) -> ChallengeFate {
    match &challenge.outcome {
        Outcome::Approved(answer) => ChallengeFate::Approved(answer.at),
        Outcome::Denied(_) | Outcome::Expired => ChallengeFate::Over,
        Outcome::Pending if now >= challenge.expires_at => ChallengeFate::Over,
        Outcome::Pending => ChallengeFate::Pending,
    }
}
