//! Factors: enrolling, verifying, changing and deleting them.

mod check_code;
mod create_push;
mod create_totp;
mod device;
mod enrolment;
mod update;

pub(crate) use self::check_code::{announce_lock, check_code, warn_of_failures};
pub use self::create_push::{NewPushFactor, create_push};
pub use self::create_totp::{EnrolledTotpFactor, NewTotpFactor, create_totp};
pub use self::device::{Device, authenticate_device};
pub use self::update::{DeviceToken, FactorChanges, Platform, update};

use crate::app::App;
use crate::domain::entity::EntityScope;
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, FactorSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::actor::Actor;
use crate::flows::event::announce;
use crate::flows::outbox::commit_and_ring;
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::{Error, entity, retry_on_conflict};
use crate::store::keys;
use crate::store::records::{self, Stored};

/// The factor, if it is in the actor's reach.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Forbidden`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    actor: &Actor,
    service: ServiceSid,
    identity: &Identity,
    sid: FactorSid,
) -> Result<(EntityScope, Factor), Error> {
    let account = actor.with_factor(service, identity, sid)?;
    let place = entity::locate(app, account, service, identity).await?;
    let factor = read(app, &place.scope, sid).await?.record;
    Ok((place.scope, factor))
}

/// The factor with its version.
pub(crate) async fn read(app: &App, scope: &EntityScope, sid: FactorSid) -> Result<Stored<Factor>, Error> {
    let found = records::read(app.store.as_ref(), &keys::factor(scope, sid)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}

/// Deletes a factor: its challenges cannot be answered any more, and its device is not known any more.
///
/// # Errors
/// [`Refusal::NotFound`], `Forbidden`, [`Error::Failed`].
pub async fn delete(
    app: &App,
    actor: &Actor,
    service: ServiceSid,
    identity: &Identity,
    sid: FactorSid,
) -> Result<(), Error> {
    retry_on_conflict(|| delete_once(app, actor, service, identity, sid)).await
}

async fn delete_once(
    app: &App,
    actor: &Actor,
    service: ServiceSid,
    identity: &Identity,
    sid: FactorSid,
) -> Result<(), Error> {
    let account = actor.with_factor(service, identity, sid)?;
    let mut place = entity::locate(app, account, service, identity).await?;
    let found = read(app, &place.scope, sid).await?;
    let now = app.clock.now();
    let kind = found.record.factor_type();
    let (entity_key, factor_key) = (keys::entity(service, identity), keys::factor(&place.scope, sid));
    place.entity.record.remove_factor(kind, now);
    let mut batch = place
        .batch()
        .assert_read(&entity_key, &place.entity)
        .assert_read(&factor_key, &found)
        .put_record(entity_key, &place.entity.record)?
        .delete(factor_key.into_bytes());
    if let FactorKind::Push(push) = &found.record.kind {
        batch = batch.delete(keys::device(push.credential).into_bytes());
    }
    let event = Event::new(EventType::FactorDeleted, now, &place.scope, (sid, kind));
    commit_and_ring(app, announce(app, &place.service.record, &event, batch)?).await?;
    app.memory.waiters.entity_changed(place.scope.entity);
    Ok(())
}

/// A page of the entity's factors, in the order of their creation.
///
/// # Errors
/// [`Refusal::NotFound`] without such an entity, [`Error::Failed`].
pub async fn list(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
    request: PageRequest,
) -> Result<(EntityScope, Page<Factor>), Error> {
    let scope = entity::locate(app, account, service, identity).await?.scope;
    let mut raw = page(app, &keys::factors(&scope), request).await?;
    let entries = std::mem::take(&mut raw.items);
    let factors = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok((scope, raw.with_items(factors)))
}
