//! Deletes a factor.

use super::fetch_factor::read_factor;
use crate::app::App;
use crate::domain::events::{Event, EventType};
use crate::domain::factor::FactorKind;
use crate::domain::sid::{FactorSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::actor::Actor;
use crate::flows::entity::fetch_entity::locate;
use crate::flows::outbox::{announce, commit_and_ring};
use crate::flows::{Error, retry_on_conflict};
use crate::store::keys;

/// Deletes a factor: its challenges cannot be answered any more, and its device is not known any more.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], `Forbidden`, [`Error::Failed`].
pub async fn delete_factor(
    app: &App,
    actor: &Actor,
    service: ServiceSid,
    identity: &Identity,
    sid: FactorSid,
) -> Result<(), Error> {
    retry_on_conflict(|| delete(app, actor, service, identity, sid)).await
}

async fn delete(
    app: &App,
    actor: &Actor,
    service: ServiceSid,
    identity: &Identity,
    sid: FactorSid,
) -> Result<(), Error> {
    let account = actor.with_factor(service, identity, sid)?;
    let mut place = locate(app, account, service, identity).await?;
    let found = read_factor(app, &place.scope, sid).await?;
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
