//! Fetches an entity.

use crate::app::App;
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::refusal::Refusal;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::Error;
use crate::flows::service::fetch_service::read_service;
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// The entity, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch_entity(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
) -> Result<(EntityScope, Entity), Error> {
    let place = locate(app, account, service, identity).await?;
    Ok((place.scope, place.entity.record))
}

/// An entity and the service it belongs to: where most flows begin.
pub(crate) struct Place {
    pub(crate) scope: EntityScope,
    pub(crate) service: Stored<Service>,
    pub(crate) entity: Stored<Entity>,
}

impl Place {
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
) -> Result<Place, Error> {
    let owner = read_service(app, account, service).await?;
    let found = records::read(app.store.as_ref(), &keys::entity(service, identity)).await?;
    let entity = found.ok_or(Refusal::NotFound)?;
    let scope = EntityScope {
        account,
        service,
        identity: identity.clone(),
        entity: entity.record.sid,
    };
    Ok(Place {
        scope,
        service: owner,
        entity,
    })
}
