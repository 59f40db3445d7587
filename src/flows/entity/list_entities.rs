//! Lists a service's entities.

use crate::app::App;
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::sid::{AccountSid, EntitySid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::Error;
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::service::fetch_service::read_service;
use crate::store::{keys, records};

/// A page of the service's entities, in the order of their creation.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn list_entities(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    request: PageRequest,
) -> Result<Page<(EntityScope, Entity)>, Error> {
    read_service(app, account, service).await?;
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
