//! Asks again for the push of a challenge that waits, if its factor may be asked.

use std::time::Duration;

use super::{put_changed, read};
use crate::app::App;
use crate::domain::challenge::{Challenge, Outcome, Refusal};
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::factor::{FactorKind, NotificationChannel};
use crate::domain::notification::{Notification, NotificationLife};
use crate::domain::push_guard::{ChallengeFate, PushGuard};
use crate::domain::sid::{AccountSid, ChallengeSid, NotificationSid};
use crate::domain::time::Timestamp;
use crate::flows::outbox::require_room;
use crate::flows::push::notify_device;
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, Fault, entity, factor, retry_on_conflict};
use crate::store::Batch;
use crate::store::keys::{self, Key};

/// Asks for another push, to be attempted for `life`.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::NotNotifiable`], [`Refusal::TooManyNotifications`], [`Refusal::Answered`],
/// [`Refusal::Expired`]; [`Refusal::Factor`] for a factor that is not verified, is paused, or was asked too often;
/// [`Error::Failed`].
pub async fn notify(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
    challenge: ChallengeSid,
    life: NotificationLife,
) -> Result<(EntityScope, Notification), Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || {
        notify_once(app, prior.reading(app), who, name, challenge, life)
    })
    .await
}

async fn notify_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
    sid: ChallengeSid,
    life: NotificationLife,
) -> Result<(EntityScope, Notification), Error<Refusal>> {
    let located = entity::locate(&mut reading, account, name).await?;
    require_room(app, account).await?;
    let (scope, service) = (&located.scope, &located.service);
    let mut challenge = read(&mut reading, scope, None, sid).await?;
    let factor_key = keys::factor(scope, challenge.factor);
    let before = reading.require(&factor_key).await?;
    let mut factor = before.clone();
    factor.require_verified().map_err(Refusal::Factor)?;
    let push = match &mut factor.kind {
        FactorKind::Push(push) if push.notification != NotificationChannel::None => push,
        FactorKind::Push(_) | FactorKind::Totp(_) => return Err(Refusal::NotNotifiable.into()),
    };
    let now = app.clock.now();
    challenge.add_notification(now)?;
    let fates = recall_pushes(&mut reading, scope, &push.guard, now).await?;
    push.guard
        .ask_again(sid, challenge.expires_at, &fates, &app.policy.push, now)
        .map_err(Refusal::Factor)?;
    let device = push.clone();
    let batch = factor::announce_locks(app, &located, &before, &mut factor, now, Batch::new())?;
    let batch = factor::put(app, batch, factor_key, &factor)?;
    let batch = put_changed(app, scope, &challenge, batch)?;
    // A life of zero asks for one attempt at once; a second gives the worker time to make it.
    let until = now + Duration::from_secs(u64::from(life.seconds()).max(1));
    let batch = notify_device(app, service, scope, &challenge, &device, until, batch)?;
    reading.commit(batch).await?;
    let notification = Notification {
        sid: NotificationSid::generate(now, app.sids.as_ref()),
        challenge: sid,
        life,
        date_created: now,
    };
    Ok((located.scope, notification))
}

/// What became of each challenge that `guard` remembers.
///
/// The decision rests on the factor, not on these challenges: one that is answered meanwhile only makes room,
/// so a decision that did not see it is at worst too strict.
pub(super) async fn recall_pushes(
    reading: &mut Reading<'_>,
    scope: &EntityScope,
    guard: &PushGuard,
    now: Timestamp,
) -> Result<Vec<(ChallengeSid, ChallengeFate)>, Fault> {
    let remembered: Vec<_> = guard
        .remembered(now)
        .into_iter()
        .map(|sid| (sid, keys::challenge(scope, sid)))
        .collect();
    reading
        .prefetch(remembered.iter().map(|(_, key)| Key::bytes(key)))
        .await?;
    let mut fates = Vec::with_capacity(remembered.len());
    for (sid, key) in remembered {
        let found = reading.glance(&key).await?;
        let fate = found.map_or(ChallengeFate::Over, |challenge| fate_of(&challenge, now));
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
