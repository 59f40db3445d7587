//! What the enrolment of a factor of either type consists of.

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
}

impl<'a> Enrolment<'a> {
    /// Finds the entity or makes it, and counts one more factor of `kind`. The access token that permits it, if it is
    /// not the account itself that asks, is spent on `factor` before anything else is decided: who may not create a
    /// factor must not learn whether the entity has room for one.
    pub(super) async fn begin(
        app: &'a App,
        mut reading: Reading<'a>,
        account: AccountSid,
        permit: Option<AccessTokenSid>,
        name: &EntityName,
        factor: FactorSid,
        kind: FactorType,
    ) -> Result<Self, Error<Refusal>> {
        let now = app.clock.now();
        let owner = keys::service(account, name.service);
        let key = keys::entity(name.service, &name.identity);
        let token = permit.map(|sid| keys::access_token(name.service, sid));
        let token = token.as_ref().map(keys::Key::bytes);
        let needed = [owner.bytes(), key.bytes()].into_iter().chain(token);
        reading.prefetch(needed).await?;
        let batch = match permit {
            Some(sid) => access_token::spend(&mut reading, sid, name, factor, now)
                .await
                .map_err(Error::into_area)?,
            None => Batch::new(),
        };
        let service = reading.require(&owner).await?;
        require_room(app, account).await?;
        let (mut entity, batch) = if let Some(entity) = reading.get(&key).await? {
            (entity, batch)
        } else {
            let sid = EntitySid::generate(now, app.sids.as_ref());
            let order = keys::entity_order(name.service).key(sid.as_bytes());
            let entity = Entity::new(sid, account, name.identity.clone(), now);
            (entity, batch.put_new_record(order, &name.identity)?)
        };
        entity.add_factor(kind, now)?;
        let scope = name.scope(account, entity.sid);
        let batch = entity::put(app, batch, key, &entity)?;
        let batch = entity::count_creation(app, &mut reading, account, batch)
            .await
            .map_err(Error::into_area)?;
        Ok(Self {
            reading,
            scope,
            service,
            batch,
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
