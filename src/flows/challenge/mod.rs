//! Challenges: asking a factor's holder, and taking in the answer.

mod answer;
mod create;
mod expire;
mod list;
mod notify;
mod wait;
mod watch;

pub use self::answer::{ChallengeUpdate, answer};
pub use self::create::{NewChallenge, create};
pub use self::expire::expire_due;
pub use self::list::{ChallengeFilter, MOST_READ, list};
pub use self::notify::notify;
pub use self::wait::{wait_for_decision, wait_for_pending};
pub use self::watch::{FactorWatch, Tiding};

use crate::app::App;
use crate::domain::challenge::{Challenge, ChallengeStatus, Refusal};
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::sid::{ChallengeSid, FactorSid};
use crate::domain::time::Timestamp;
use crate::flows::access::Actor;
use crate::flows::reading::{Admitted, Foreseen, NotRead, Reading};
use crate::flows::{Error, entity};
use crate::store::{Batch, StoreError, keys};

/// The challenge, if it is in the actor's reach.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Access`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    actor: impl Into<Admitted<Actor>>,
    name: &EntityName,
    sid: ChallengeSid,
) -> Result<(EntityScope, Challenge), Error<Refusal>> {
    let Admitted { who, mut prior } = actor.into();
    let (account, only) = who.within(name).map_err(Refusal::Access)?;
    let mut reading = prior.reading(app);
    let scope = entity::locate(&mut reading, account, name).await?.scope;
    let challenge = read(&mut reading, &scope, only, sid).await?;
    Ok((scope, challenge))
}

/// What is going to be read of a challenge, if it is in the actor's reach.
#[must_use]
pub fn foresee(actor: &Actor, name: &EntityName, sid: ChallengeSid) -> Foreseen {
    match actor {
        // Where its challenges are, only its entity says.
        Actor::Account(account) => entity::foresee(*account, name),
        Actor::Device(device) => {
            entity::foresee(device.account, name).and(keys::challenge(&device.scope(), sid))
        }
    }
}

/// The challenge. To a device, which has `only` one factor, those of other factors do not exist.
async fn read(
    reading: &mut Reading<'_>,
    scope: &EntityScope,
    only: Option<FactorSid>,
    sid: ChallengeSid,
) -> Result<Challenge, NotRead> {
    let challenge = reading.require(&keys::challenge(scope, sid)).await?;
    if only.is_none_or(|own| own == challenge.factor) {
        Ok(challenge)
    } else {
        Err(NotRead::Absent)
    }
}

/// Writes a new challenge into `batch`, and that it waits for an answer, if it does.
fn put_new(
    app: &App,
    scope: &EntityScope,
    challenge: &Challenge,
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, StoreError> {
    let key = keys::challenge(scope, challenge.sid);
    let batch = batch.put_new_record_until(key, challenge, reclaimed_at(app, challenge))?;
    if challenge.status(now) != ChallengeStatus::Pending {
        return Ok(batch);
    }
    let marker = keys::pending(scope, challenge.factor).key(challenge.sid.as_bytes());
    Ok(batch.mark_new_until(marker, challenge.expires_at))
}

/// Writes a challenge into `batch` that waits as it did before.
fn put_changed(
    app: &App,
    scope: &EntityScope,
    challenge: &Challenge,
    batch: Batch,
) -> Result<Batch, StoreError> {
    let key = keys::challenge(scope, challenge.sid);
    batch.put_record_until(key, challenge, reclaimed_at(app, challenge))
}

fn reclaimed_at(app: &App, challenge: &Challenge) -> Timestamp {
    challenge
        .expires_at
        .max(challenge.date_created + app.policy.challenge_retention)
}

/// Writes a challenge into `batch` that was just answered.
pub(crate) fn put_answered(
    app: &App,
    scope: &EntityScope,
    challenge: &Challenge,
    batch: Batch,
) -> Result<Batch, StoreError> {
    let marker = keys::pending(scope, challenge.factor).key(challenge.sid.as_bytes());
    Ok(put_changed(app, scope, challenge, batch)?.delete(marker.into_bytes()))
}
