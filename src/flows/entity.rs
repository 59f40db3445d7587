//! Entities: the users of a service.

use crate::app::App;
use crate::domain::entity::{Entity, EntityName, EntityScope, Refusal};
use crate::domain::events::{Event, EventType};
use crate::domain::factor::FactorKind;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, EntitySid, ServiceSid};
use crate::domain::time::Timestamp;
use crate::flows::event::announce;
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::reading::{Admitted, Foreseen, NotRead, Reading};
use crate::flows::{Error, Fault, audit, retry_on_conflict, service};
use crate::store::keys::{self, Key};
use crate::store::records::{self, CreationRate};
use crate::store::{Batch, StoreError};

/// Creates an entity of a service.
///
/// # Errors
/// [`Refusal::Exists`], [`Refusal::NotFound`] without such a service, [`Refusal::TooManyCreations`], [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    name: &EntityName,
) -> Result<(EntityScope, Entity), Error<Refusal>> {
    retry_on_conflict(app, || create_once(app, account, name)).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    name: &EntityName,
) -> Result<(EntityScope, Entity), Error<Refusal>> {
    let mut reading = Reading::new(app);
    let key = keys::entity(name.service, &name.identity);
    let (_, other) = service::read_with(&mut reading, account, name.service, &key).await?;
    if other.is_some() {
        return Err(Refusal::Exists.into());
    }
    let now = app.clock.now();
    let sid = EntitySid::generate(now, app.sids.as_ref());
    let entity = Entity::new(sid, account, name.identity.clone(), now);
    let order = keys::entity_order(name.service).key(sid.as_bytes());
    let batch = put(app, Batch::new(), key, &entity)?.put_new_record(order, &name.identity)?;
    let batch = count_creation(app, &mut reading, account, batch).await?;
    reading.commit(batch).await?;
    Ok((name.scope(account, sid), entity))
}

/// The entity, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
) -> Result<(EntityScope, Entity), Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    let located = locate(&mut prior.reading(app), who, name).await?;
    Ok((located.scope, located.entity))
}

/// What is going to be read to locate an entity.
#[must_use]
pub fn foresee(account: AccountSid, name: &EntityName) -> Foreseen {
    Foreseen::default()
        .and(keys::service(account, name.service))
        .and(keys::entity(name.service, &name.identity))
}

/// An entity and the service it belongs to: where most flows begin.
pub(crate) struct LocatedEntity {
    pub(crate) scope: EntityScope,
    pub(crate) service: Service,
    pub(crate) entity: Entity,
}

/// Reads the service and the entity in one round trip.
///
/// The decision rests on the service: an event that an enabled webhook asks for is written, none that nobody asks for
/// any more, and nothing below a service that was deleted. It does not rest on the entity, which changes with every
/// factor: whoever decides about a factor or a challenge rests on that, and it goes when its entity goes.
pub(crate) async fn locate(
    reading: &mut Reading<'_>,
    account: AccountSid,
    name: &EntityName,
) -> Result<LocatedEntity, NotRead> {
    audit::note_entity(name);
    reading.prefetch(foresee(account, name).keys()).await?;
    let service = reading.require(&keys::service(account, name.service)).await?;
    let key = keys::entity(name.service, &name.identity);
    let entity = reading.glance(&key).await?.ok_or(NotRead::Absent)?;
    Ok(LocatedEntity {
        scope: name.scope(account, entity.sid),
        service,
        entity,
    })
}

/// Writes the entity: one without factors ends some day.
///
/// # Errors
/// As [`Batch::put_record`].
pub(crate) fn put(app: &App, batch: Batch, key: Key<Entity>, entity: &Entity) -> Result<Batch, StoreError> {
    let end = entity.end(app.policy.empty_entity_retention);
    batch.put_record_with_end(key, entity, end)
}

/// Deletes an entity with all its factors. Its challenges cannot be reached any more and are reclaimed when their time
/// comes: an entity created anew under the same identity has none of them.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn delete(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
) -> Result<(), Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || delete_once(app, prior.reading(app), who, name)).await
}

async fn delete_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
) -> Result<(), Error<Refusal>> {
    let located = locate(&mut reading, account, name).await?;
    let (batch, _) = take_away(app, &mut reading, &located, Batch::new()).await?;
    reading.commit(batch).await?;
    app.memory.waiters.entity_changed(located.scope.entity);
    Ok(())
}

/// Adds to `batch` what deletes an entity with all its factors, and says how many of these there are.
///
/// # Errors
/// [`NotRead::Absent`] if it is another one by now, [`NotRead::Failed`].
pub(crate) async fn take_away(
    app: &App,
    reading: &mut Reading<'_>,
    located: &LocatedEntity,
    batch: Batch,
) -> Result<(Batch, usize), NotRead> {
    let LocatedEntity { scope, service, .. } = located;
    let now = app.clock.now();
    // A factor is only ever created or deleted together with a write of its entity: asserting the entity is enough.
    let key = keys::entity(scope.service, &scope.identity);
    if reading.require(&key).await?.sid != scope.entity {
        return Err(NotRead::Absent);
    }
    let order = keys::entity_order(scope.service).key(scope.entity.as_bytes());
    let mut batch = batch.delete(key.into_bytes()).delete(order.into_bytes());
    let factors = reading.list(&keys::factors(scope), usize::MAX).await?;
    let count = factors.len();
    for mut factor in factors {
        let key = keys::factor(scope, factor.sid);
        if let FactorKind::Push(push) = &factor.kind {
            batch = batch.delete(keys::device(push.credential).into_bytes());
        }
        let event = Event::new(
            EventType::FactorDeleted,
            now,
            scope,
            factor.sid,
            factor.factor_type(),
        );
        let before = factor.last_event;
        batch = announce(app, service, &event, &mut factor, batch).map_err(Fault::from)?;
        if factor.last_event != before {
            // Its deletion is announced behind all that was announced of it.
            reading.require(&key).await?;
        }
        batch = batch.delete(key.into_bytes());
    }
    Ok((batch, count))
}

/// A page of the service's entities, in the order of their creation.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn list(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    request: PageRequest,
) -> Result<Page<(EntityScope, Entity)>, Error<Refusal>> {
    let mut reading = Reading::new(app);
    reading.require(&keys::service(account, service)).await?;
    let mut raw = page(app, &keys::entity_order(service), request).await?;
    let mut named = Vec::with_capacity(raw.items.len());
    for (sid, entry) in std::mem::take(&mut raw.items) {
        let name = EntityName {
            service,
            identity: records::decode(&entry.value)?,
        };
        let key = keys::entity(service, &name.identity);
        named.push((name.scope(account, EntitySid::from_bytes(sid)), key));
    }
    reading
        .prefetch(named.iter().map(|(_, key)| Key::bytes(key)))
        .await?;
    let mut entities = Vec::with_capacity(named.len());
    for (scope, key) in named {
        let found = reading.get(&key).await?;
        // An entity that is deleted at this moment may be gone already, or be another one of the same identity.
        if let Some(entity) = found.filter(|entity| entity.sid == scope.entity) {
            entities.push((scope, entity));
        }
    }
    Ok(raw.with_items(entities))
}

/// Counts one creation of an entity or a factor in `batch`, if the operator wants creations counted: how many an account
/// makes in a second.
///
/// # Errors
/// [`Refusal::TooManyCreations`], [`Error::Failed`].
pub(crate) async fn count_creation(
    app: &App,
    reading: &mut Reading<'_>,
    account: AccountSid,
    batch: Batch,
) -> Result<Batch, Error<Refusal>> {
    let Some(limit) = app.policy.entity_creations_per_second else {
        return Ok(batch);
    };
    let key = keys::creation_rate(account);
    let now = app.clock.now();
    let counted = reading.get(&key).await?;
    // A node whose clock is ahead has begun a later second: what is created here counts into that one.
    let ahead = counted
        .as_ref()
        .map(|rate| rate.second)
        .filter(|second| *second > now.seconds() && !Timestamp::from_seconds(*second).was_set_back(now));
    let second = ahead.unwrap_or_else(|| now.seconds());
    let count = counted
        .filter(|rate| rate.second == second)
        .map_or(0, |rate| rate.count);
    if count >= limit {
        return Err(Refusal::TooManyCreations.into());
    }
    let rate = CreationRate {
        second,
        count: count + 1,
    };
    Ok(batch.put_record(key, &rate)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::service::ServiceChanges;
    use crate::domain::text::{FriendlyName, Identity, ServiceName};
    use crate::doubles::{ManualClock, TestParts};
    use crate::flows::{account, service};

    /// Nodes whose clocks are in different seconds count into one second together.
    #[tokio::test]
    async fn creations_are_counted_over_all_nodes_whatever_their_clocks_show() {
        let mut parts = TestParts::default();
        parts.policy.entity_creations_per_second = Some(3);
        let ahead = parts.wire();
        let clock = Arc::new(ManualClock::new(ahead.clock.now().before(Duration::from_secs(2))));
        let behind = TestParts {
            clock: clock.clone(),
            ..TestParts::of(&ahead)
        }
        .wire();
        let name = FriendlyName::parse("An account").unwrap();
        let account = account::create(&ahead, name).await.unwrap().account.sid;
        let name = ServiceName::parse("Owl Bank").unwrap();
        let service = service::create(&ahead, account, name, ServiceChanges::default())
            .await
            .unwrap()
            .sid;
        let create = async |app: &App, number: u32| {
            let identity = Identity::parse(&format!("user-{number:04}")).unwrap();
            create(app, account, &EntityName { service, identity }).await
        };
        for (number, app) in [(0, &ahead), (1, &behind), (2, &ahead)] {
            create(app, number).await.unwrap();
        }
        for app in [&behind, &ahead] {
            let refusal = create(app, 3).await.unwrap_err();
            assert!(matches!(refusal, Error::Refused(Refusal::TooManyCreations)));
        }
        clock.advance(Duration::from_secs(3));
        create(&behind, 3).await.unwrap();
        // A clock that was wrong by more holds nobody up.
        clock.set(ahead.clock.now().before(Duration::from_secs(11)));
        for number in 4..7 {
            create(&behind, number).await.unwrap();
        }
    }
}
