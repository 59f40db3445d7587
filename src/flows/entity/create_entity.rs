//! Creates an entity.

use super::count_creation;
use crate::app::App;
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, EntitySid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Creates an entity of a service.
///
/// # Errors
/// [`Refusal::EntityExists`], [`Refusal::NotFound`] without such a service, [`Refusal::TooManyEntityCreations`],
/// [`Error::Failed`].
pub async fn create_entity(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: Identity,
) -> Result<(EntityScope, Entity), Error> {
    retry_on_conflict(|| create(app, account, service, &identity)).await
}

async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
) -> Result<(EntityScope, Entity), Error> {
    let owner = read_service(app, account, service).await?;
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
