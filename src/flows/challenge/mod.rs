//! Challenges: asking a factor's holder, and taking in the answer.

mod answer;
mod create;
mod expire;
mod list;
mod notify;
mod wait;
mod watch;

pub use self::answer::{ChallengeUpdate, Reply, answer};
pub use self::create::{NewChallenge, create};
pub use self::expire::expire_due;
pub use self::list::{ChallengeFilter, MOST_READ, list};
pub use self::notify::notify;
pub use self::wait::{wait_for_decision, wait_for_pending};
pub use self::watch::{FactorWatch, Tiding};

use crate::app::App;
use crate::domain::challenge::{Challenge, ChallengeStatus};
use crate::domain::entity::EntityScope;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{ChallengeSid, ServiceSid};
use crate::domain::text::Identity;
use crate::domain::time::Timestamp;
use crate::flows::actor::Actor;
use crate::flows::entity::{self, LocatedEntity};
use crate::flows::{Error, Fault};
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// The challenge, if it is in the actor's reach.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Forbidden`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    actor: &Actor,
    service: ServiceSid,
    identity: &Identity,
    sid: ChallengeSid,
) -> Result<(EntityScope, Challenge), Error> {
    let (place, challenge) = read_challenge(app, actor, service, identity, sid).await?;
    Ok((place.scope, challenge.record))
}

/// The challenge with its version. To a device, the challenges of other factors do not exist.
pub(super) async fn read_challenge(
    app: &App,
    actor: &Actor,
    service: ServiceSid,
    identity: &Identity,
    sid: ChallengeSid,
) -> Result<(LocatedEntity, Stored<Challenge>), Error> {
    let (account, only) = actor.within(service, identity)?;
    let place = entity::locate(app, account, service, identity).await?;
    let found = records::read(app.store.as_ref(), &keys::challenge(&place.scope, sid)).await?;
    let in_reach = found.filter(|found| only.is_none_or(|own| own == found.record.factor));
    Ok((place, in_reach.ok_or(Refusal::NotFound)?))
}

/// Writes a new challenge into `batch`, and that it waits for an answer, if it does.
fn put_new(
    app: &App,
    scope: &EntityScope,
    challenge: &Challenge,
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, Fault> {
    let key = keys::challenge(scope, challenge.sid);
    let batch = batch.put_new_record_until(key, challenge, reclaimed_at(app, challenge))?;
    if challenge.status(now) != ChallengeStatus::Pending {
        return Ok(batch);
    }
    let marker = keys::pending(scope, challenge.factor).key(challenge.sid.as_bytes());
    Ok(batch.mark_new_until(marker, challenge.expires_at))
}

/// Writes a challenge into `batch` that waits as it did before.
fn put_changed(app: &App, scope: &EntityScope, challenge: &Challenge, batch: Batch) -> Result<Batch, Fault> {
    let key = keys::challenge(scope, challenge.sid);
    Ok(batch.put_record_until(key, challenge, reclaimed_at(app, challenge))?)
}

fn reclaimed_at(app: &App, challenge: &Challenge) -> Timestamp {
    challenge
        .expires_at
        .max(challenge.date_created + app.policy.challenge_retention)
}

/// Writes a challenge into `batch` that was just answered.
fn put_answered(app: &App, scope: &EntityScope, challenge: &Challenge, batch: Batch) -> Result<Batch, Fault> {
    let marker = keys::pending(scope, challenge.factor).key(challenge.sid.as_bytes());
    Ok(put_changed(app, scope, challenge, batch)?.delete(marker.into_bytes()))
}
