//! Takes away all that a service knows of a user. Verifications are ended by
//! [`verification::settle`](crate::flows::verification::settle()), and what closes a number or an address is lifted by
//! [`verification::unlock`](crate::flows::verification::unlock()).

use std::time::Duration;

use super::unlock::{is_meant, note};
use crate::app::App;
use crate::domain::access_token::{AccessToken, TokenLife};
use crate::domain::audit::AuditOutcome;
use crate::domain::challenge::Challenge;
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::factor::Refusal;
use crate::domain::sid::{AccessTokenSid, AccountSid, ChallengeSid, EntitySid};
use crate::domain::user::User;
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault, audit, entity, retry_on_conflict};
use crate::store::{Batch, Order, Scan, keys, records};

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct DeletedUser {
    pub entity: bool,
    pub factors: usize,
    /// Whether there was a user with a number, or of whom a protocol that has users knew.
    pub user: bool,
    /// Those that waited, and those that were over.
    pub challenges: usize,
    /// Permissions to enrol a device that were not used yet.
    pub access_tokens: usize,
}

/// Deletes what a service knows of a user; `entity` is `None` for one without. First the permissions to enrol that are not used yet,
/// or a device could begin anew what is deleted here; then, in one commit, the entity with its factors, which ends what waits for
/// them, and the record with the number; then the challenges, which nobody can reach any more, page by page: what a stop in the
/// middle leaves of them is reclaimed when its time comes. Webhooks are told of each factor as of one that is deleted over the API.
///
/// # Errors
/// [`Refusal::NotFound`] without this very entity, or with one where there is to be none: one that was created anew under its
/// identity is another. [`Error::Failed`].
pub async fn delete(
    app: &App,
    account: AccountSid,
    name: &EntityName,
    entity: Option<EntitySid>,
) -> Result<DeletedUser, Error<Refusal>> {
    require_meant(app, account, name, entity).await?;
    let access_tokens = revoke_access_tokens(app, account, name).await?;
    let mut deleted = retry_on_conflict(app, || delete_once(app, account, name, entity)).await?;
    deleted.access_tokens = access_tokens;
    if let Some(entity) = entity {
        app.memory.waiters.entity_changed(entity);
        deleted.challenges = forget_challenges(app, &name.scope(account, entity)).await?;
    }
    Ok(deleted)
}

impl DeletedUser {
    /// What was done, in words.
    #[must_use]
    pub fn done(&self) -> String {
        let Self {
            entity,
            factors,
            user,
            challenges,
            access_tokens,
        } = self;
        let mut done = vec![format!("{factors} factors and {challenges} challenges deleted")];
        done.extend(entity.then(|| "the entity is gone".to_owned()));
        done.extend(user.then(|| "the user's number is forgotten".to_owned()));
        done.extend((*access_tokens > 0).then(|| format!("{access_tokens} access tokens revoked")));
        done.join(", ")
    }
}

/// Nothing is done to somebody who is not meant, not even before the commit that would find it out.
async fn require_meant(
    app: &App,
    account: AccountSid,
    name: &EntityName,
    sid: Option<EntitySid>,
) -> Result<(), Error<Refusal>> {
    note(name);
    let mut reading = Reading::new(app);
    reading.require(&keys::service(account, name.service)).await?;
    let found = reading.get(&keys::entity(name.service, &name.identity)).await?;
    let is_this_one = match (found, sid) {
        (Some(found), Some(sid)) => is_meant(&found, account, sid),
        (found, sid) => found.is_none() && sid.is_none(),
    };
    if is_this_one {
        Ok(())
    } else {
        Err(Refusal::NotFound.into())
    }
}

async fn delete_once(
    app: &App,
    account: AccountSid,
    name: &EntityName,
    sid: Option<EntitySid>,
) -> Result<DeletedUser, Error<Refusal>> {
    note(name);
    let mut reading = Reading::new(app);
    let (mut deleted, mut batch) = (DeletedUser::default(), Batch::new());
    if let Some(sid) = sid {
        let located = entity::locate(&mut reading, account, name).await?;
        if !is_meant(&located.entity, account, sid) {
            return Err(Refusal::NotFound.into());
        }
        (batch, deleted.factors) = entity::take_away(app, &mut reading, &located, batch).await?;
        deleted.entity = true;
    } else {
        reading.require(&keys::service(account, name.service)).await?;
        // The decision rests on there being none.
        let key = keys::entity(name.service, &name.identity);
        if reading.contains(&key).await? {
            return Err(Refusal::NotFound.into());
        }
    }
    let key = keys::user(name.service, &name.identity);
    let user = reading.get::<User>(&key).await?;
    if user.is_some_and(|user| user.account == account) {
        batch = batch.delete(key.into_bytes());
        deleted.user = true;
    }
    if deleted == DeletedUser::default() {
        return Ok(deleted);
    }
    audit::decide(AuditOutcome::Done, || {
        let factors = deleted.factors;
        ("deleted", Some(format!("deleted: the user, {factors} factors")))
    });
    reading.commit(batch).await?;
    Ok(deleted)
}

/// Deletes the permissions of the user's devices to enrol that are still good.
async fn revoke_access_tokens(
    app: &App,
    account: AccountSid,
    name: &EntityName,
) -> Result<usize, Error<Refusal>> {
    let oldest = app.clock.now().before(TokenLife::LONGEST + CLOCKS);
    let (mut count, mut after) = (0, None);
    loop {
        let page = Scan {
            prefix: keys::access_tokens(name.service).bytes().to_vec(),
            after: after.take(),
            order: Order::Descending,
            limit: AT_ONCE,
        };
        let found = Reading::new(app).scan_past(page).await?;
        let sids: Vec<_> = found
            .iter()
            .filter_map(|(key, _)| keys::last_sid(key))
            .map(AccessTokenSid::from_bytes)
            .collect();
        for (sid, (_, entry)) in sids.iter().zip(&found) {
            let token = records::decode::<AccessToken>(&entry.value);
            let is_of_the_user =
                token.is_ok_and(|token| token.account == account && token.identity == name.identity);
            if is_of_the_user && retry_on_conflict(app, || revoke_once(app, name, *sid)).await? {
                count += 1;
            }
        }
        // Those before are over, whatever clock they were made by.
        let is_over = sids.last().is_none_or(|sid| sid.created_at() < oldest);
        if is_over {
            return Ok(count);
        }
        after = found.into_iter().next_back().map(|(key, _)| key);
    }
}

/// Whether it was there and not used yet.
async fn revoke_once(app: &App, name: &EntityName, sid: AccessTokenSid) -> Result<bool, Error<Refusal>> {
    note(name);
    let mut reading = Reading::new(app);
    let key = keys::access_token(name.service, sid);
    let token = reading.get(&key).await?;
    if token.is_none_or(|token| token.spent_on.is_some()) {
        return Ok(false);
    }
    audit::decide(AuditOutcome::Done, || {
        ("deleted", Some(format!("deleted: the access token {sid}")))
    });
    reading.commit(Batch::new().delete(key.into_bytes())).await?;
    Ok(true)
}

/// Deletes the challenges of an entity that is gone. Nobody can write to them any more: that would rest on their factor.
async fn forget_challenges(app: &App, scope: &EntityScope) -> Result<usize, Fault> {
    let prefix = keys::challenges(scope);
    let mut count = 0;
    loop {
        let page = Scan {
            prefix: prefix.bytes().to_vec(),
            after: None,
            order: Order::Ascending,
            limit: AT_ONCE,
        };
        let reading = Reading::new(app);
        let found = reading.scan_past(page).await?;
        if found.is_empty() || count >= MOST_FORGOTTEN {
            return Ok(count);
        }
        count += found.len();
        let mut batch = Batch::new();
        for (key, entry) in found {
            let sid = keys::last_sid(&key).map(ChallengeSid::from_bytes);
            // Of one that cannot be read nobody knows which factor's list it is on; that ends by itself.
            if let (Some(sid), Ok(challenge)) = (sid, records::decode::<Challenge>(&entry.value)) {
                let marker = keys::pending(scope, challenge.factor).key(sid.as_bytes());
                batch = batch.delete(marker.into_bytes());
            }
            batch = batch.delete(key);
        }
        // That the user was deleted was told.
        reading.commit_unaudited(batch).await?;
    }
}

/// How many challenges are deleted while somebody waits; more are reclaimed when their time comes.
const MOST_FORGOTTEN: usize = 100_000;

/// How many entries are read, and deleted, at once.
const AT_ONCE: usize = 500;

/// By how much the clocks of servers may differ.
const CLOCKS: Duration = Duration::from_mins(10);
