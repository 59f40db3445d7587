//! What the enrolment of a factor of either type consists of.

use super::take_away;
use crate::app::App;
use crate::domain::entity::{Entity, EntityName, EntityScope};
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind, FactorType, Refusal};
use crate::domain::opaque::Fingerprint;
use crate::domain::service::Service;
use crate::domain::sid::{AccessTokenSid, AccountSid, EntitySid, FactorSid};
use crate::flows::event::announce;
use crate::flows::outbox::require_room;
use crate::flows::reading::Reading;
use crate::flows::{Error, access_token, entity};
use crate::store::records::{DeviceAddress, DeviceRecord};
use crate::store::{Batch, keys};

/// An enrolment under way: what was read and decided so far, and the batch that holds it.
pub(super) struct Enrolment<'a> {
    reading: Reading<'a>,
    pub(super) scope: EntityScope,
    pub(super) service: Service,
    batch: Batch,
    /// Whether it takes another one's place.
    replaces: bool,
}

/// What is to be enrolled, and by whose leave.
#[derive(Clone, Copy)]
pub(super) struct Enrolling<'n> {
    pub(super) account: AccountSid,
    pub(super) name: &'n EntityName,
    pub(super) factor: FactorSid,
    pub(super) kind: FactorType,
    /// The access token that permits it, if it is not the account itself that asks.
    pub(super) permit: Option<AccessTokenSid>,
    /// The factor of the entity whose place it takes.
    pub(super) replaced: Option<FactorSid>,
}

impl<'a> Enrolment<'a> {
    /// Finds the entity or makes it, and counts one more factor, adding to `batch`. The access token that permits it is
    /// spent before anything else is decided: who may not create a factor must not learn whether the entity has room for
    /// one.
    pub(super) async fn begin(
        app: &'a App,
        mut reading: Reading<'a>,
        new: Enrolling<'_>,
        batch: Batch,
    ) -> Result<Self, Error<Refusal>> {
        let Enrolling { account, name, .. } = new;
        let now = app.clock.now();
        let owner = keys::service(account, name.service);
        let key = keys::entity(name.service, &name.identity);
        let token = new.permit.map(|sid| keys::access_token(name.service, sid));
        let token = token.as_ref().map(keys::Key::bytes);
        let needed = [owner.bytes(), key.bytes()].into_iter().chain(token);
        reading.prefetch(needed).await?;
        let batch = match new.permit {
            Some(sid) => access_token::spend(&mut reading, sid, name, new.factor, now, batch)
                .await
                .map_err(Error::into_area)?,
            None => batch,
        };
        let service = reading.require(&owner).await?;
        require_room(app, account).await?;
        let (mut entity, mut batch) = if let Some(entity) = reading.get(&key).await? {
            (entity, batch)
        } else {
            let sid = EntitySid::generate(now, app.sids.as_ref());
            let order = keys::entity_order(name.service).key(sid.as_bytes());
            let entity = Entity::new(sid, account, name.identity.clone(), now);
            (entity, batch.put_new_record(order, &name.identity)?)
        };
        let scope = name.scope(account, entity.sid);
        if let Some(sid) = new.replaced {
            batch = take_away(app, &mut reading, &service, &scope, &mut entity, sid, batch).await?;
        }
        entity.add_factor(new.kind, now)?;
        let batch = entity::put(app, batch, key, &entity)?;
        let batch = entity::count_creation(app, &mut reading, account, batch)
            .await
            .map_err(Error::into_area)?;
        Ok(Self {
            reading,
            scope,
            service,
            batch,
            replaces: new.replaced.is_some(),
        })
    }

    pub(super) async fn commit(
        mut self,
        app: &App,
        factor: &mut Factor,
    ) -> Result<EntityScope, Error<Refusal>> {
        self.refuse_duplicate(fingerprint(factor)).await?;
        let event = Event::new(
            EventType::FactorCreated,
            factor.date_created,
            &self.scope,
            factor.sid,
            factor.factor_type(),
        );
        let end = factor.end(app.policy.unverified_factor_retention);
        let mut batch = announce(app, &self.service, &event, factor, self.batch)?.put_new_record_with_end(
            keys::factor(&self.scope, factor.sid),
            factor,
            end,
        )?;
        if let FactorKind::Push(push) = &factor.kind {
            let address = DeviceAddress {
                account: self.scope.account,
                service: self.scope.service,
                identity: self.scope.identity.clone(),
                entity: self.scope.entity,
                factor: factor.sid,
            };
            let device = DeviceRecord {
                address,
                public_key: push.public_key,
            };
            batch = batch.put_record(keys::device(push.credential), &device)?;
        }
        self.reading.commit(batch).await?;
        if self.replaces {
            // Whoever waits for the other one waits in vain.
            app.memory.waiters.entity_changed(self.scope.entity);
        }
        Ok(self.scope)
    }

    /// Two factors of one entity with the same secret would accept the same code twice. The decision rests on the entity,
    /// so no other enrolment can come in between.
    async fn refuse_duplicate(&mut self, new: Fingerprint) -> Result<(), Error<Refusal>> {
        let others = self.reading.list(&keys::factors(&self.scope), usize::MAX).await?;
        if others.iter().any(|other| fingerprint(other) == new) {
            return Err(Refusal::Duplicate.into());
        }
        Ok(())
    }
}

fn fingerprint(factor: &Factor) -> Fingerprint {
    match &factor.kind {
        FactorKind::Push(push) => push.fingerprint,
        FactorKind::Totp(totp) => totp.fingerprint,
    }
}
