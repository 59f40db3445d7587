//! What the enrolments of all kinds of factors share.

use crate::app::App;
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind, FactorType};
use crate::domain::opaque::Fingerprint;
use crate::domain::refusal::Refusal;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, EntitySid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::event::announce;
use crate::flows::outbox::commit_and_ring;
use crate::flows::{Error, entity, service};
use crate::store::records::{self, DeviceAddress};
use crate::store::{Batch, Order, Scan, keys};

/// An enrolment under way: what is decided so far, and the batch that holds it.
pub(crate) struct Enrolment {
    pub(crate) scope: EntityScope,
    pub(crate) service: Service,
    pub(crate) batch: Batch,
}

impl Enrolment {
    /// Finds the entity or makes it, and counts one more factor of `kind`. What permits the enrolment is in `batch`
    /// already: who may not create a factor must not learn whether the entity has room for one.
    pub(crate) async fn begin(
        app: &App,
        batch: Batch,
        account: AccountSid,
        service_sid: ServiceSid,
        identity: &Identity,
        kind: FactorType,
    ) -> Result<Self, Error> {
        let service_key = keys::service(account, service_sid);
        let owner = service::read(app, account, service_sid).await?;
        let batch = batch.assert_read(&service_key, &owner);
        let now = app.clock.now();
        let key = keys::entity(service_sid, identity);
        let found = records::read(app.store.as_ref(), &key).await?;
        let (mut entity, batch) = if let Some(found) = found {
            let batch = batch.assert_read(&key, &found);
            (found.record, batch)
        } else {
            let entity = Entity::new(
                EntitySid::generate(now, app.entropy.as_ref()),
                identity.clone(),
                now,
            );
            let order = keys::entity_order(service_sid).key(entity.sid.as_bytes());
            let batch = batch
                .assert_absent(key.bytes().to_vec())
                .put_new_record(order, identity)?;
            (entity, batch)
        };
        entity.add_factor(kind, now)?;
        let scope = EntityScope {
            account,
            service: service_sid,
            identity: identity.clone(),
            entity: entity.sid,
        };
        let batch = entity::count_creation(app, account, batch.put_record(key, &entity)?).await?;
        Ok(Self {
            scope,
            service: owner.record,
            batch,
        })
    }

    /// Commits the enrolment of `factor`.
    pub(crate) async fn commit(self, app: &App, factor: &Factor) -> Result<EntityScope, Error> {
        self.refuse_duplicate(app, fingerprint(factor)).await?;
        let mut batch = self
            .batch
            .put_new_record(keys::factor(&self.scope, factor.sid), factor)?;
        if let FactorKind::Push(push) = &factor.kind {
            let address = DeviceAddress {
                account: self.scope.account,
                service: self.scope.service,
                identity: self.scope.identity.clone(),
                entity: self.scope.entity,
                factor: factor.sid,
            };
            batch = batch.put_record(keys::device(push.credential), &address)?;
        }
        let of = (factor.sid, factor.factor_type());
        let event = Event::new(EventType::FactorCreated, factor.date_created, &self.scope, of);
        commit_and_ring(app, announce(app, &self.service, &event, batch)?).await?;
        Ok(self.scope)
    }

    /// Two factors of one entity with the same secret would accept the same code twice. The entity is asserted, so no
    /// other enrolment can come in between.
    async fn refuse_duplicate(&self, app: &App, new: Fingerprint) -> Result<(), Error> {
        let prefix = keys::factors(&self.scope).bytes().to_vec();
        let scan = Scan {
            prefix,
            after: None,
            order: Order::Ascending,
            limit: usize::MAX,
        };
        for (_, entry) in app.store.scan(scan).await? {
            let other: Factor = records::decode(&entry.value)?;
            if fingerprint(&other) == new {
                return Err(Refusal::DuplicateBinding.into());
            }
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
