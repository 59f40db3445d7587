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
    /// Whether codes by text message were a factor, too, and are none any more.
    pub code_by_sms: bool,
}

/// Deletes all factors of an entity, ends the challenges that wait for them, and makes codes by text message no factor of its user
/// any more, in one commit; `None` stands for a user without an entity. The user's number stays. Webhooks are told of each factor as
/// of one that is deleted over the API. Of more challenges than [`MOST_ENDED`] the rest stays as it is, and nobody can answer it any
/// more: whose factor is gone, whose challenge is.
///
/// # Errors
/// [`Refusal::NotFound`] without this very entity, or with one where there is to be none: one that was created anew under its
/// identity is another. [`Error::Failed`].
pub async fn reset(
    app: &App,
    account: AccountSid,
    name: &EntityName,
    entity: Option<EntitySid>,
) -> Result<ResetUser, Error<Refusal>> {
    retry_on_conflict(app, || reset_once(app, account, name, entity)).await
}

/// How many challenges are ended.
pub const MOST_ENDED: usize = 1000;

async fn reset_once(
    app: &App,
    account: AccountSid,
    name: &EntityName,
    sid: Option<EntitySid>,
) -> Result<ResetUser, Error<Refusal>> {
    note(name);
    let mut reading = Reading::new(app);
    let (mut reset, mut batch) = (ResetUser::default(), Batch::new());
    if let Some(sid) = sid {
        batch = reset_entity(app, &mut reading, account, name, sid, &mut reset, batch).await?;
    } else {
        reading.require(&keys::service(account, name.service)).await?;
        // The decision rests on there being none.
        if reading
            .contains(&keys::entity(name.service, &name.identity))
            .await?
        {
            return Err(Refusal::NotFound.into());
        }
    }
    let user = reading
        .get::<User>(&keys::user(name.service, &name.identity))
        .await?;
    if let Some(mut user) = user.filter(|user| user.account == account) {
        reset.code_by_sms = user.code_by_sms;
        if reset.factors > 0 || reset.code_by_sms {
            user.end_factors(app.clock.now());
            batch = user::put(batch, &user)?;
        }
    }
    if reset == ResetUser::default() {
        return Ok(reset);
    }
    audit::decide(AuditOutcome::Done, || {
        ("reset", Some(format!("reset: {}", reset.done())))
    });
    reading.commit(batch).await?;
    if let Some(sid) = sid {
        app.memory.waiters.entity_changed(sid);
    }
    Ok(reset)
}

impl ResetUser {
    /// What was done, in words.
    #[must_use]
    pub fn done(&self) -> String {
        let Self {
            factors, challenges, ..
        } = self;
        let by_sms = if self.code_by_sms {
            ", codes by text message are no factor any more"
        } else {
            ""
        };
        format!("{factors} factors deleted, {challenges} challenges ended{by_sms}")
    }
}

/// Adds to `batch` the end of the entity's factors, and of what waits for them; and to `reset` how many that were.
async fn reset_entity(
    app: &App,
    reading: &mut Reading<'_>,
    account: AccountSid,
    name: &EntityName,
    sid: EntitySid,
    reset: &mut ResetUser,
    mut batch: Batch,
) -> Result<Batch, Error<Refusal>> {
    let LocatedEntity { scope, service, .. } = entity::locate(reading, account, name).await?;
    let key = keys::entity(name.service, &name.identity);
    let mut entity = reading.require(&key).await?;
    if !is_meant(&entity, account, sid) {
        return Err(Refusal::NotFound.into());
    }
    let factors: Vec<Factor> = reading.list(&keys::factors(&scope), usize::MAX).await?;
    if factors.is_empty() {
        return Ok(batch);
    }
    for factor in &factors {
        batch = factor::take_away(app, reading, &service, &scope, &mut entity, factor.sid, batch).await?;
        reset.factors += 1;
        let room = MOST_ENDED - reset.challenges;
        let (ended, count) = end_challenges(app, reading, &scope, factor, room, batch).await?;
        batch = ended;
        reset.challenges += count;
    }
    Ok(entity::put(app, batch, key, &entity)?)
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
