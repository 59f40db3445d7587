//! Challenges: asking a factor's holder, and taking in the answer.

pub mod answer_challenge;
pub mod create_challenge;
pub mod create_notification;
pub mod expire_challenge;
pub mod fetch_challenge;
pub mod list_challenges;
pub mod wait_for_challenge;
pub mod wait_for_decision;
pub mod watch_factor;

mod recall_pushes;

use crate::app::App;
use crate::domain::challenge::{Challenge, ChallengeStatus};
use crate::domain::entity::EntityScope;
use crate::domain::time::Timestamp;
use crate::flows::Error;
use crate::store::{Batch, keys};

/// Writes a new challenge into `batch`, and that it waits for an answer, if it does.
fn put_new(
    app: &App,
    scope: &EntityScope,
    challenge: &Challenge,
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, Error> {
    let key = keys::challenge(scope, challenge.sid);
    let batch = batch.put_new_record_until(key, challenge, reclaimed_at(app, challenge))?;
    if challenge.status(now) != ChallengeStatus::Pending {
        return Ok(batch);
    }
    let marker = keys::pending(scope, challenge.factor).key(challenge.sid.as_bytes());
    Ok(batch.mark_new_until(marker, challenge.expires_at))
}

/// Writes a challenge into `batch` that waits as it did before.
fn put_changed(app: &App, scope: &EntityScope, challenge: &Challenge, batch: Batch) -> Result<Batch, Error> {
    let key = keys::challenge(scope, challenge.sid);
    Ok(batch.put_record_until(key, challenge, reclaimed_at(app, challenge))?)
}

fn reclaimed_at(app: &App, challenge: &Challenge) -> Timestamp {
    challenge
        .expires_at
        .max(challenge.date_created + app.policy.challenge_retention)
}

/// Writes a challenge into `batch` that was just answered.
fn put_answered(app: &App, scope: &EntityScope, challenge: &Challenge, batch: Batch) -> Result<Batch, Error> {
    let marker = keys::pending(scope, challenge.factor).key(challenge.sid.as_bytes());
    Ok(put_changed(app, scope, challenge, batch)?.delete(marker.into_bytes()))
}
