//! Entities: the users of a service.

use crate::app::App;
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::refusal::Refusal;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, EntitySid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::event::announce;
use crate::flows::outbox::commit_and_ring;
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::{Error, retry_on_conflict, service};
use crate::store::records::{self, CreationRate, Stored};
use crate::store::{Batch, Order, Scan, keys};

/// Creates an entity of a service.
///
/// # Errors
/// [`Refusal::EntityExists`], [`Refusal::NotFound`] without such a service, [`Refusal::TooManyEntityCreations`],
/// [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: Identity,
) -> Result<(EntityScope, Entity), Error> {
    retry_on_conflict(|| create_once(app, account, service, &identity)).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
) -> Result<(EntityScope, Entity), Error> {
    let owner = service::read(app, account, service).await?;
    let now = app.clock.now();
    let sid = EntitySid::generate(now, app.entropy.as_ref());
    let entity = Entity::new(sid, identity.clone(), now);
    let key = keys::entity(service, identity);
    if app.store.get(key.bytes()).await?.is_some() {
        return Err(Refusal::EntityExists.into());
    }
    let batch = Batch::new()
        .assert_read(&keys::service(account, service), &owner)
        .assert_absent(key.bytes().to_vec())
        .put_record(key, &entity)?
        .put_new_record(keys::entity_order(service).key(sid.as_bytes()), identity)?;
    let batch = count_creation(app, account, batch).await?;
    app.store.commit(batch).await?;
    Ok((
        EntityScope {
            account,
            service,
            identity: identity.clone(),
            entity: sid,
        },
        entity,
    ))
}

/// The entity, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
) -> Result<(EntityScope, Entity), Error> {
    let place = locate(app, account, service, identity).await?;
    Ok((place.scope, place.entity.record))
}

/// An entity and the service it belongs to: where most flows begin.
pub(crate) struct LocatedEntity {
    pub(crate) scope: EntityScope,
    pub(crate) service: Stored<Service>,
    pub(crate) entity: Stored<Entity>,
}

impl LocatedEntity {
    /// A batch that only applies while the service is as it was read: an event that an enabled webhook asks for is
    /// written, none that nobody asks for any more, and nothing below a service that was deleted.
    pub(crate) fn batch(&self) -> Batch {
        let key = keys::service(self.scope.account, self.scope.service);
        Batch::new().assert_read(&key, &self.service)
    }
}

/// Reads the service and the entity.
pub(crate) async fn locate(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
) -> Result<LocatedEntity, Error> {
    let owner = service::read(app, account, service).await?;
    let found = records::read(app.store.as_ref(), &keys::entity(service, identity)).await?;
    let entity = found.ok_or(Refusal::NotFound)?;
    let scope = EntityScope {
        account,
        service,
        identity: identity.clone(),
        entity: entity.record.sid,
    };
    Ok(LocatedEntity {
        scope,
        service: owner,
        entity,
    })
}

/// Deletes an entity with all its factors. Its challenges cannot be reached any more and are reclaimed when their time
/// comes: an entity created anew under the same identity has none of them.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn delete(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
) -> Result<(), Error> {
    retry_on_conflict(|| delete_once(app, account, service, identity)).await
}

async fn delete_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
) -> Result<(), Error> {
    let place = locate(app, account, service, identity).await?;
    let now = app.clock.now();
    let key = keys::entity(service, identity);
    // A factor is only ever created or deleted together with a write of its entity: asserting the entity is enough.
    let mut batch = place
        .batch()
        .assert_read(&key, &place.entity)
        .delete(key.into_bytes())
        .delete(
            keys::entity_order(service)
                .key(place.scope.entity.as_bytes())
                .into_bytes(),
        );
    let prefix = keys::factors(&place.scope).bytes().to_vec();
    let scan = Scan {
        prefix,
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    for (key, entry) in app.store.scan(scan).await? {
        let factor: Factor = records::decode(&entry.value)?;
        if place
            .service
            .record
            .subscribers(EventType::FactorDeleted)
            .next()
            .is_some()
        {
            // Its deletion is announced behind all that was announced of it.
            batch = batch.assert_at(key.clone(), entry.version);
        }
        batch = batch.delete(key);
        if let FactorKind::Push(push) = &factor.kind {
            batch = batch.delete(keys::device(push.credential).into_bytes());
        }
        let of = (factor.sid, factor.factor_type());
        let event = Event::new(EventType::FactorDeleted, now, &place.scope, of);
        batch = announce(app, &place.service.record, &event, batch)?;
    }
    commit_and_ring(app, batch).await?;
    app.memory.waiters.entity_changed(place.scope.entity);
    Ok(())
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
) -> Result<Page<(EntityScope, Entity)>, Error> {
    service::read(app, account, service).await?;
    let mut raw = page(app, &keys::entity_order(service), request).await?;
    let mut entities = Vec::with_capacity(raw.items.len());
    for (sid, entry) in std::mem::take(&mut raw.items) {
        let identity: Identity = records::decode(&entry.value)?;
        let sid = EntitySid::from_bytes(sid);
        let found = records::read(app.store.as_ref(), &keys::entity(service, &identity)).await?;
        // An entity that is deleted at this moment may be gone already, or be another one of the same identity.
        if let Some(found) = found.filter(|found| found.record.sid == sid) {
            entities.push((
                EntityScope {
                    account,
                    service,
                    identity,
                    entity: sid,
                },
                found.record,
            ));
        }
    }
    Ok(raw.with_items(entities))
}

/// Counts one creation in `batch`, if the operator wants creations counted.
///
/// # Errors
/// [`Refusal::TooManyEntityCreations`], [`Error::Failed`].
pub(crate) async fn count_creation(app: &App, account: AccountSid, batch: Batch) -> Result<Batch, Error> {
    let Some(limit) = app.policy.entity_creations_per_second else {
        return Ok(batch);
    };
    let key = keys::creation_rate(account);
    let second = app.clock.now().seconds();
    let found: Option<Stored<CreationRate>> = records::read(app.store.as_ref(), &key).await?;
    let batch = match &found {
        Some(found) => batch.assert_read(&key, found),
        None => batch.assert_absent(key.bytes().to_vec()),
    };
    let count = found
        .filter(|f| f.record.second == second)
        .map_or(0, |f| f.record.count);
    if count >= limit {
        return Err(Refusal::TooManyEntityCreations.into());
    }
    Ok(batch.put_record(
        key,
        &CreationRate {
            second,
            count: count + 1,
        },
    )?)
}
