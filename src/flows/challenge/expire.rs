//! Makes it final that a challenge was not answered in time, and announces it.
//!
//! That a challenge has expired is decided whenever it is read. This is only for those who want to hear of it: a challenge
//! of theirs gets a timer in the commit that creates it.

use super::put_answered;
use crate::app::App;
use crate::domain::challenge::{Challenge, ChallengeStatus, Outcome};
use crate::domain::events::{Event, EventType};
use crate::domain::refusal::Refusal;
use crate::domain::time::Timestamp;
use crate::flows::entity::{self, LocatedEntity};
use crate::flows::event::announce;
use crate::flows::outbox::commit_and_ring;
use crate::flows::{Error, factor, retry_on_conflict};
use crate::store::keys::{self, Key};
use crate::store::records::{self, ChallengeTimer, Stored};
use crate::store::{Batch, Order, Scan};

/// Sets a timer for a new challenge that waits, if a webhook of the service wants to hear of its expiry.
pub(super) fn watch_expiry(
    place: &LocatedEntity,
    challenge: &Challenge,
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, Error> {
    let mut wanted = place.service.record.subscribers(EventType::ChallengeExpired);
    if wanted.next().is_none() || challenge.status(now) != ChallengeStatus::Pending {
        return Ok(batch);
    }
    let timer = ChallengeTimer {
        account: place.scope.account,
        service: place.scope.service,
        identity: place.scope.identity.clone(),
        entity: place.scope.entity,
        challenge: challenge.sid,
    };
    let key = keys::challenge_timer(challenge.expires_at, challenge.sid);
    Ok(batch.put_new_record(key, &timer)?)
}

/// Takes all timers that are due. Returns when the next one is, if there is one.
///
/// # Errors
/// The last [`Error::Failed`]; a timer that cannot be taken keeps no other
/// one waiting.
pub async fn expire_due(app: &App) -> Result<Option<Timestamp>, Error> {
    let (mut after, mut failed) = (None, None);
    loop {
        let scan = Scan {
            prefix: keys::challenge_timers(),
            after: after.take(),
            order: Order::Ascending,
            limit: CHUNK,
        };
        let timers = app.store.scan(scan).await?;
        for (key, _) in &timers {
            let Some(keys::KeyParts::ChallengeTimer(due, sid)) = keys::KeyParts::parse(key) else {
                continue;
            };
            if due > app.clock.now() {
                return failed.map_or(Ok(Some(due)), Err);
            }
            let key = keys::challenge_timer(due, sid);
            if let Err(error) = retry_on_conflict(|| expire(app, &key)).await {
                failed = Some(error);
            }
        }
        match timers.last() {
            Some((key, _)) if timers.len() == CHUNK => after = Some(key.clone()),
            _ => return failed.map_or(Ok(None), Err),
        }
    }
}

async fn expire(app: &App, key: &Key<ChallengeTimer>) -> Result<(), Error> {
    let Some(timer) = records::read(app.store.as_ref(), key).await? else {
        return Ok(());
    };
    let taken = Batch::new().assert_read(key, &timer).delete(key.bytes().to_vec());
    let Some((place, mut challenge)) = find(app, &timer.record).await? else {
        return Ok(app.store.commit(taken).await?);
    };
    let now = app.clock.now();
    if !challenge.record.settle_expiry(now) {
        if challenge.record.outcome == Outcome::Pending {
            // The clock was set back meanwhile; the timer stays for when it is time.
            return Ok(());
        }
        return Ok(app.store.commit(taken).await?);
    }
    let factor = match factor::read(app, &place.scope, challenge.record.factor).await {
        Ok(factor) => factor,
        // Nobody can answer for a factor that is gone, and its deletion was the last that was announced of it.
        Err(Error::Refused(Refusal::NotFound)) => return Ok(app.store.commit(taken).await?),
        Err(error) => return Err(error),
    };
    let factor_key = keys::factor(&place.scope, factor.record.sid);
    // The factor is written as it is, so that whatever else is announced of it is decided before or behind this commit.
    let batch = place
        .batch()
        .assert_read(key, &timer)
        .delete(key.bytes().to_vec())
        .assert_read(&keys::challenge(&place.scope, challenge.record.sid), &challenge)
        .assert_read(&factor_key, &factor)
        .put_record(factor_key, &factor.record)?;
    let of = (factor.record.sid, factor.record.factor_type());
    let event = Event::new(EventType::ChallengeExpired, now, &place.scope, of);
    let event = event.of_challenge(challenge.record.sid);
    let batch = put_answered(app, &place.scope, &challenge.record, batch)?;
    commit_and_ring(app, announce(app, &place.service.record, &event, batch)?).await?;
    app.memory
        .waiters
        .challenge_changed(place.scope.entity, factor.record.sid, challenge.record.sid);
    Ok(())
}

/// The challenge, unless it or what it belongs to was deleted.
async fn find(
    app: &App,
    timer: &ChallengeTimer,
) -> Result<Option<(LocatedEntity, Stored<Challenge>)>, Error> {
    let place = match entity::locate(app, timer.account, timer.service, &timer.identity).await {
        Ok(place) => place,
        Err(Error::Refused(Refusal::NotFound)) => return Ok(None),
        Err(error) => return Err(error),
    };
    // The entity may have been deleted and created anew.
    if place.scope.entity != timer.entity {
        return Ok(None);
    }
    let key = keys::challenge(&place.scope, timer.challenge);
    let challenge = records::read(app.store.as_ref(), &key).await?;
    Ok(challenge.map(|challenge| (place, challenge)))
}

const CHUNK: usize = 100;
