//! Factors: enrolling, verifying, changing and deleting them.

mod check_code;
mod create_push;
mod create_totp;
mod enrolment;
mod update;

pub(crate) use self::check_code::{announce_locks, check_code, tell_of_code};
pub use self::create_push::{NewPushFactor, create_push};
pub use self::create_totp::{EnrolledTotpFactor, NewTotpFactor, create_totp};
pub(crate) use self::create_totp::{StoredTotpFactor, TotpOrder, create_totp_within};
pub(crate) use self::update::verify_within;
pub use self::update::{DeviceToken, EnrolmentProof, FactorChanges, Platform, update};

use crate::app::App;
use crate::domain::entity::{Entity, EntityName, EntityScope};
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind, Refusal};
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, FactorSid};
use crate::flows::access::Actor;
use crate::flows::entity::LocatedEntity;
use crate::flows::event::announce;
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, entity, retry_on_conflict};
use crate::store::keys::{self, Key};
use crate::store::{Batch, StoreError};

/// The factor, if it is in the actor's reach.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Access`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    actor: impl Into<Admitted<Actor>>,
    name: &EntityName,
    sid: FactorSid,
) -> Result<(EntityScope, Factor), Error<Refusal>> {
    let Admitted { who, mut prior } = actor.into();
    let account = who.with_factor(name, sid).map_err(Refusal::Access)?;
    let mut reading = prior.reading(app);
    let located = entity::locate(&mut reading, account, name).await?;
    let factor = reading.require(&keys::factor(&located.scope, sid)).await?;
    Ok((located.scope, factor))
}

/// Deletes a factor: its challenges cannot be answered any more, and its device is not known any more.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Access`], [`Error::Failed`].
pub async fn delete(
    app: &App,
    actor: impl Into<Admitted<Actor>>,
    name: &EntityName,
    sid: FactorSid,
) -> Result<(), Error<Refusal>> {
    let Admitted { who, mut prior } = actor.into();
    retry_on_conflict(app, || delete_once(app, prior.reading(app), &who, name, sid)).await
}

async fn delete_once(
    app: &App,
    reading: Reading<'_>,
    actor: &Actor,
    name: &EntityName,
    sid: FactorSid,
) -> Result<(), Error<Refusal>> {
    let account = actor.with_factor(name, sid).map_err(Refusal::Access)?;
    delete_within(app, reading, account, name, sid, Batch::new()).await
}

/// Deletes a factor as [`delete`] does, with what is in `batch` already, all of it or nothing.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub(crate) async fn delete_within(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
    sid: FactorSid,
    batch: Batch,
) -> Result<(), Error<Refusal>> {
    let LocatedEntity { scope, service, .. } = entity::locate(&mut reading, account, name).await?;
    let entity_key = keys::entity(name.service, &name.identity);
    let mut entity = reading.require(&entity_key).await?;
    let batch = take_away(app, &mut reading, &service, &scope, &mut entity, sid, batch).await?;
    let batch = entity::put(app, batch, entity_key, &entity)?;
    reading.commit(batch).await?;
    app.memory.waiters.entity_changed(scope.entity);
    Ok(())
}

/// Adds to `batch` what deletes a factor, and takes it off its entity, which the caller writes.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub(crate) async fn take_away(
    app: &App,
    reading: &mut Reading<'_>,
    service: &Service,
    scope: &EntityScope,
    entity: &mut Entity,
    sid: FactorSid,
    batch: Batch,
) -> Result<Batch, Error<Refusal>> {
    let key = keys::factor(scope, sid);
    let mut factor = reading.require(&key).await?;
    let now = app.clock.now();
    entity.remove_factor(factor.factor_type(), now);
    let mut batch = batch.delete(key.into_bytes());
    if let FactorKind::Push(push) = &factor.kind {
        batch = batch.delete(keys::device(push.credential).into_bytes());
    }
    let event = Event::new(EventType::FactorDeleted, now, scope, sid, factor.factor_type());
    Ok(announce(app, service, &event, &mut factor, batch)?)
}

/// Writes the factor: one that is not verified ends some day.
///
/// # Errors
/// As [`Batch::put_record`].
pub(crate) fn put(app: &App, batch: Batch, key: Key<Factor>, factor: &Factor) -> Result<Batch, StoreError> {
    let end = factor.end(app.policy.unverified_factor_retention);
    batch.put_record_with_end(key, factor, end)
}

/// A page of the entity's factors, in the order of their creation.
///
/// # Errors
/// [`Refusal::NotFound`] without such an entity, [`Error::Failed`].
pub async fn list(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
    request: PageRequest,
) -> Result<(EntityScope, Page<Factor>), Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    let located = entity::locate(&mut prior.reading(app), who, name).await?;
    let raw = page(app, &keys::factors(&located.scope), request).await?;
    Ok((located.scope, raw.decoded(app)?))
}
