//! Deletes what must not go alone when its end has come: factors that nobody verified, which their entity counts and webhooks
//! hear of, and entities without factors, which their service lists.
//!
//! Each goes only in the version that was found to be over, and everything of it in one commit: whoever verifies a factor, or
//! adds one to an empty entity, at the same moment comes first or finds nothing any more.

use std::collections::BTreeMap;

use crate::app::App;
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind, FactorStatus};
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, EntitySid, FactorSid, ServiceSid};
use crate::domain::text::Identity;
use crate::domain::time::Timestamp;
use crate::flows::event::announce;
use crate::flows::reading::Reading;
use crate::flows::{Fault, entity};
use crate::store::keys::{self, KeyParts, Owner};
use crate::store::{Batch, Version};

/// Something whose end has come, as it was found.
#[derive(Debug)]
pub(super) struct Lapsed {
    what: What,
    key: Vec<u8>,
    version: Version,
}

#[derive(Debug)]
enum What {
    Entity(ServiceSid, Identity),
    Factor(Owner, FactorSid),
}

impl Lapsed {
    /// What is found at `key`, if it is of the kinds that must not go alone.
    pub(super) fn of(key: &[u8], version: Version) -> Option<Self> {
        let what = match KeyParts::parse(key)? {
            KeyParts::Entity(service, identity) => What::Entity(service, identity),
            KeyParts::Factor(owner, sid) => What::Factor(owner, sid),
            _ => return None,
        };
        let key = key.to_vec();
        Some(Self { what, key, version })
    }

    /// Where it was found.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// Deletes all of it, in as few commits as others' changes allow. Returns how many went: what changed meanwhile stays.
///
/// # Errors
/// [`Fault::Unavailable`].
pub(super) async fn delete(app: &App, lapsed: &[Lapsed]) -> Result<usize, Fault> {
    let (mut gone, mut parts) = (0, vec![lapsed]);
    while let Some(part) = parts.pop() {
        match delete_together(app, part).await {
            Ok(()) => gone += part.len(),
            // One of them is in the way of the others.
            Err(
                Fault::Conflict(_)
                | Fault::OutboxFull
                | Fault::Corrupt(_)
                | Fault::Forged(_)
                | Fault::KeyGone(_),
            ) if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([first, second]);
            }
            // That something with it is forged was said when it was read.
            Err(Fault::Busy | Fault::Conflict(_) | Fault::Forged(_) | Fault::OutboxFull) => {}
            Err(Fault::Corrupt(why) | Fault::KeyGone(why)) => {
                tracing::error!("something that is over is not reclaimed: {why}");
            }
            Err(fault @ Fault::Unavailable(_)) => return Err(fault),
        }
    }
    Ok(gone)
}

async fn delete_together(app: &App, lapsed: &[Lapsed]) -> Result<(), Fault> {
    if lapsed.is_empty() {
        return Ok(());
    }
    let mut deletion = Deletion::begin(app, lapsed).await?;
    for each in lapsed {
        match &each.what {
            What::Entity(service, identity) => deletion.delete_entity(*service, identity).await?,
            What::Factor(owner, sid) => deletion.delete_factor(owner, *sid).await?,
        }
    }
    deletion.commit(lapsed).await
}

/// A batch of deletions under way.
struct Deletion<'a> {
    app: &'a App,
    now: Timestamp,
    reading: Reading<'a>,
    batch: Batch,
    /// The entities that lose factors, as they are behind this.
    losers: BTreeMap<(ServiceSid, Identity), Entity>,
    /// Who is to look again.
    changed: Vec<EntitySid>,
}

impl<'a> Deletion<'a> {
    async fn begin(app: &'a App, lapsed: &[Lapsed]) -> Result<Self, Fault> {
        let mut reading = Reading::new(app);
        let entities = lapsed.iter().map(|each| match &each.what {
            What::Entity(service, identity) => keys::entity(*service, identity).into_bytes(),
            What::Factor(owner, _) => keys::entity(owner.service, &owner.identity).into_bytes(),
        });
        let entities: Vec<_> = entities.collect();
        let found = lapsed.iter().map(|each| each.key.as_slice());
        reading
            .prefetch(found.chain(entities.iter().map(Vec::as_slice)))
            .await?;
        Ok(Self {
            app,
            now: app.clock.now(),
            reading,
            batch: Batch::new(),
            losers: BTreeMap::new(),
            changed: Vec::new(),
        })
    }

    async fn delete_entity(&mut self, service: ServiceSid, identity: &Identity) -> Result<(), Fault> {
        let key = keys::entity(service, identity);
        let Some(entity) = self.reading.get(&key).await?.filter(Entity::is_empty) else {
            return Err(Fault::Conflict(None));
        };
        let order = keys::entity_order(service).key(entity.sid.as_bytes());
        self.add(|batch| Ok(batch.delete(key.into_bytes()).delete(order.into_bytes())))?;
        self.changed.push(entity.sid);
        Ok(())
    }

    async fn delete_factor(&mut self, owner: &Owner, sid: FactorSid) -> Result<(), Fault> {
        let parent = self.parent(owner).await?;
        let account = parent
            .as_ref()
            .map_or(AccountSid::from_bytes([0; 16]), |(entity, _)| entity.account);
        let scope = EntityScope {
            account,
            service: owner.service,
            identity: owner.identity.clone(),
            entity: owner.entity,
        };
        let key = keys::factor(&scope, sid);
        let found = self.reading.get(&key).await?;
        let unverified = |factor: &Factor| matches!(factor.status, FactorStatus::Unverified { .. });
        let Some(mut factor) = found.filter(unverified) else {
            return Err(Fault::Conflict(None));
        };
        self.add(|batch| Ok(batch.delete(key.into_bytes())))?;
        if let FactorKind::Push(push) = &factor.kind {
            let device = keys::device(push.credential).into_bytes();
            self.add(|batch| Ok(batch.delete(device)))?;
        }
        self.changed.push(owner.entity);
        // Below a service that was deleted there is nothing to count any more, and nobody to tell.
        let Some((mut entity, service)) = parent else {
            return Ok(());
        };
        entity.remove_factor(factor.factor_type(), self.now);
        self.losers
            .insert((owner.service, owner.identity.clone()), entity);
        let (app, now) = (self.app, self.now);
        let event = Event::new(EventType::FactorDeleted, now, &scope, sid, factor.factor_type());
        self.add(|batch| Ok(announce(app, &service, &event, &mut factor, batch)?))
    }

    /// The entity of a factor, as it is behind what was decided so far, and its service, if both are there.
    async fn parent(&mut self, owner: &Owner) -> Result<Option<(Entity, Service)>, Fault> {
        let place = (owner.service, owner.identity.clone());
        let entity = match self.losers.get(&place) {
            Some(entity) => Some(entity.clone()),
            None => {
                self.reading
                    .get(&keys::entity(owner.service, &owner.identity))
                    .await?
            }
        };
        let Some(entity) = entity.filter(|entity| entity.sid == owner.entity) else {
            return Ok(None);
        };
        let service = self
            .reading
            .get(&keys::service(entity.account, owner.service))
            .await?;
        Ok(service.map(|service| (entity, service)))
    }

    fn add(&mut self, change: impl FnOnce(Batch) -> Result<Batch, Fault>) -> Result<(), Fault> {
        self.batch = change(std::mem::take(&mut self.batch))?;
        Ok(())
    }

    async fn commit(mut self, lapsed: &[Lapsed]) -> Result<(), Fault> {
        for ((service, identity), entity) in std::mem::take(&mut self.losers) {
            let app = self.app;
            self.add(|batch| {
                Ok(entity::put(
                    app,
                    batch,
                    keys::entity(service, &identity),
                    &entity,
                )?)
            })?;
        }
        for each in lapsed {
            self.reading.rest_on(each.key.clone(), each.version);
        }
        self.reading.commit(self.batch).await?;
        for entity in self.changed {
            self.app.memory.waiters.entity_changed(entity);
        }
        Ok(())
    }
}
