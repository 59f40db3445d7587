//! Takes the factors of an entity away, so that its user enrols anew. Verifications are ended by
//! [`verification::settle`](crate::flows::verification::settle()).

use super::unlock::{is_meant, note};
use crate::app::App;
use crate::domain::audit::AuditOutcome;
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::factor::{Factor, Refusal};
use crate::domain::sid::{AccountSid, ChallengeSid, EntitySid};
use crate::domain::user::User;
use crate::flows::entity::LocatedEntity;
use crate::flows::reading::Reading;
use crate::flows::{Error, audit, challenge, entity, factor, retry_on_conflict, user};
use crate::store::keys::{self, Key};
use crate::store::{Batch, Order, Scan};

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct ResetUser {
    pub factors: usize,
    /// Those that waited for an answer and were ended.
    pub challenges: usize,
}

/// Deletes all factors of an entity and ends the challenges that wait for them, in one commit. Webhooks are told of each factor as of
/// one that is deleted over the API. Of more challenges than [`MOST_ENDED`] the rest stays as it is, and nobody can answer it any
/// more: whose factor is gone, whose challenge is.
///
/// # Errors
/// [`Refusal::NotFound`] without this very entity: one that was created anew under its identity is another. [`Error::Failed`].
pub async fn reset(
    app: &App,
    account: AccountSid,
    name: &EntityName,
    entity: EntitySid,
) -> Result<ResetUser, Error<Refusal>> {
    retry_on_conflict(app, || reset_once(app, account, name, entity)).await
}

/// How many challenges are ended.
pub const MOST_ENDED: usize = 1000;

async fn reset_once(
    app: &App,
    account: AccountSid,
    name: &EntityName,
    sid: EntitySid,
) -> Result<ResetUser, Error<Refusal>> {
    note(name);
    let mut reading = Reading::new(app);
    let LocatedEntity { scope, service, .. } = entity::locate(&mut reading, account, name).await?;
    let key = keys::entity(name.service, &name.identity);
    let mut entity = reading.require(&key).await?;
    if !is_meant(&entity, account, sid) {
        return Err(Refusal::NotFound.into());
    }
    let (mut reset, mut batch) = (ResetUser::default(), Batch::new());
    let factors: Vec<Factor> = reading.list(&keys::factors(&scope), usize::MAX).await?;
    if factors.is_empty() {
        return Ok(reset);
    }
    for factor in &factors {
        batch = factor::take_away(
            app,
            &mut reading,
            &service,
            &scope,
            &mut entity,
            factor.sid,
            batch,
        )
        .await?;
        reset.factors += 1;
        let room = MOST_ENDED - reset.challenges;
        let (ended, count) = end_challenges(app, &mut reading, &scope, factor, room, batch).await?;
        batch = ended;
        reset.challenges += count;
    }
    batch = entity::put(app, batch, key, &entity)?;
    let user_key = keys::user(name.service, &name.identity);
    if let Some(mut user) = reading.get::<User>(&user_key).await? {
        user.change(app.clock.now());
        batch = user::put(batch, &user)?;
    }
    audit::decide(AuditOutcome::Done, || {
        let ResetUser { factors, challenges } = reset;
        let what = format!("reset: {factors} factors deleted, {challenges} challenges ended");
        ("reset", Some(what))
    });
    reading.commit(batch).await?;
    app.memory.waiters.entity_changed(scope.entity);
    Ok(reset)
}

/// Ends what waits for the factor, up to `most`.
async fn end_challenges(
    app: &App,
    reading: &mut Reading<'_>,
    scope: &EntityScope,
    factor: &Factor,
    most: usize,
    mut batch: Batch,
) -> Result<(Batch, usize), Error<Refusal>> {
    let now = app.clock.now();
    let scan = Scan {
        prefix: keys::pending(scope, factor.sid).bytes().to_vec(),
        after: None,
        order: Order::Descending,
        limit: most,
    };
    let waiting = reading.scan(scan).await?;
    let sids = waiting.iter().filter_map(|(marker, _)| keys::last_sid(marker));
    let waiting: Vec<_> = sids
        .map(|sid| keys::challenge(scope, ChallengeSid::from_bytes(sid)))
        .collect();
    reading.prefetch(waiting.iter().map(Key::bytes)).await?;
    let mut count = 0;
    for key in waiting {
        let challenge = reading.get(&key).await?;
        if let Some(mut challenge) = challenge
            && challenge.withdraw(now)
        {
            batch = challenge::put_answered(app, scope, &challenge, batch)?;
            count += 1;
        }
    }
    Ok((batch, count))
}
