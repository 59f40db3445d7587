//! Makes it final that a challenge was not answered in time, and announces it.
//!
//! That a challenge has expired is decided whenever it is read. This is only for those who want to hear of it: a challenge
//! of theirs gets a timer in the commit that creates it.

use super::put_answered;
use crate::app::App;
use crate::domain::challenge::{Challenge, ChallengeStatus, Outcome, Refusal};
use crate::domain::entity::EntityName;
use crate::domain::events::{Event, EventType};
use crate::domain::sid::{AccountSid, ChallengeSid};
use crate::domain::time::Timestamp;
use crate::flows::entity::{self, LocatedEntity};
use crate::flows::event::announce;
use crate::flows::reading::{NotRead, Reading};
use crate::flows::timers::{self, Timer, Untaken};
use crate::flows::{Error, Fault, factor, retry_on_conflict};
use crate::store::keys::{self, Key, KeyParts};
use crate::store::records::{self, ChallengeTimer};
use crate::store::{Batch, Entry, StoreError};

/// Sets a timer for a new challenge that waits, if a webhook of the service wants to hear of its expiry.
pub(super) fn watch_expiry(
    located: &LocatedEntity,
    challenge: &Challenge,
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, StoreError> {
    let mut wanted = located.service.subscribers(EventType::ChallengeExpired);
    if wanted.next().is_none() || challenge.status(now) != ChallengeStatus::Pending {
        return Ok(batch);
    }
    let timer = ChallengeTimer {
        account: located.scope.account,
        service: located.scope.service,
        identity: located.scope.identity.clone(),
        entity: located.scope.entity,
        challenge: challenge.sid,
    };
    let key = keys::challenge_timer(challenge.expires_at, challenge.sid);
    batch.put_new_record(key, &timer)
}

/// Takes all timers that are due. Returns when the next one is, if there is one.
///
/// # Errors
/// The last [`Error::Failed`]; a timer that cannot be taken keeps no other one waiting.
pub async fn expire_due(app: &App) -> Result<Option<Timestamp>, Error<Refusal>> {
    let prefix = keys::challenge_timers();
    timers::take_due(app, &prefix, read_timer, |(due, sid)| async move {
        let key = keys::challenge_timer(due, sid);
        let expired = retry_on_conflict(app, || expire(app, &key)).await;
        expired.map_err(Untaken::Alone)
    })
    .await
}

fn read_timer(key: &[u8], entry: &Entry) -> Option<Timer<(Timestamp, ChallengeSid)>> {
    let Some(KeyParts::ChallengeTimer(due, sid)) = KeyParts::parse(key) else {
        return None;
    };
    let timer: Result<ChallengeTimer, _> = records::decode(&entry.value);
    Some(Timer {
        due,
        // Whoever takes one that cannot be read says so.
        account: timer.map_or(AccountSid::from_bytes([0; 16]), |timer| timer.account),
        key: (due, sid),
    })
}

async fn expire(app: &App, key: &Key<ChallengeTimer>) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    let Some(timer) = reading.get(key).await? else {
        return Ok(());
    };
    let taken = Batch::new().delete(key.bytes().to_vec());
    let Some((located, mut challenge)) = find(&mut reading, timer).await? else {
        return Ok(reading.commit(taken).await?);
    };
    let now = app.clock.now();
    if !challenge.settle_expiry(now) {
        if challenge.outcome == Outcome::Pending {
            // The clock was set back meanwhile; the timer stays for when it is time.
            return Ok(());
        }
        return Ok(reading.commit(taken).await?);
    }
    let (scope, service) = (&located.scope, &located.service);
    let factor_key = keys::factor(scope, challenge.factor);
    let Some(mut factor) = reading.get(&factor_key).await? else {
        // Nobody can answer for a factor that is gone, and its deletion was the last that was announced of it.
        return Ok(reading.commit(taken).await?);
    };
    let before = factor.last_event;
    let event = Event::new(
        EventType::ChallengeExpired,
        now,
        scope,
        factor.sid,
        factor.factor_type(),
    )
    .of_challenge(challenge.sid);
    let batch = put_answered(app, scope, &challenge, taken)?;
    let mut batch = announce(app, service, &event, &mut factor, batch)?;
    if factor.last_event != before {
        batch = factor::put(app, batch, factor_key, &factor)?;
    }
    reading.commit(batch).await?;
    app.memory
        .waiters
        .challenge_changed(scope.entity, factor.sid, challenge.sid);
    Ok(())
}

/// The challenge, unless it or what it belongs to was deleted.
async fn find(
    reading: &mut Reading<'_>,
    timer: ChallengeTimer,
) -> Result<Option<(LocatedEntity, Challenge)>, Fault> {
    let name = EntityName {
        service: timer.service,
        identity: timer.identity,
    };
    let located = match entity::locate(reading, timer.account, &name).await {
        Ok(located) => located,
        Err(NotRead::Absent) => return Ok(None),
        Err(NotRead::Failed(fault)) => return Err(fault),
    };
    // The entity may have been deleted and created anew.
    if located.scope.entity != timer.entity {
        return Ok(None);
    }
    let key = keys::challenge(&located.scope, timer.challenge);
    let challenge = reading.get(&key).await?;
    Ok(challenge.map(|challenge| (located, challenge)))
}
