//! Asks again for the push of a challenge that waits.

use std::time::Duration;

use super::fetch_challenge::read_challenge;
use super::put_changed;
use super::recall_pushes::recall_pushes;
use crate::app::App;
use crate::domain::entity::EntityScope;
use crate::domain::factor::{FactorKind, NotificationChannel};
use crate::domain::notification::Notification;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ChallengeSid, NotificationSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::actor::Actor;
use crate::flows::factor::fetch_factor::read_factor;
use crate::flows::outbox::{commit_and_ring, notify_device};
use crate::flows::{Error, retry_on_conflict};
use crate::store::keys;

/// Asks for another push, to be attempted for `ttl` seconds.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::NotNotifiable`], [`Refusal::TooManyNotifications`], [`Refusal::TooManyPushes`],
/// [`Refusal::PushPaused`],
/// [`Refusal::ChallengeAnswered`], [`Refusal::ChallengeExpired`], [`Error::Failed`].
pub async fn create_notification(
    app: &App,
    account: AccountSid,
    (service, identity): (ServiceSid, &Identity),
    challenge: ChallengeSid,
    ttl: u16,
) -> Result<(EntityScope, Notification), Error> {
    retry_on_conflict(|| create(app, account, (service, identity), challenge, ttl)).await
}

async fn create(
    app: &App,
    account: AccountSid,
    (service, identity): (ServiceSid, &Identity),
    sid: ChallengeSid,
    ttl: u16,
) -> Result<(EntityScope, Notification), Error> {
    let (place, found) = read_challenge(app, &Actor::Account(account), service, identity, sid).await?;
    let factor = read_factor(app, &place.scope, found.record.factor).await?;
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
