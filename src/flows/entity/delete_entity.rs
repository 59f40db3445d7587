//! Deletes an entity.

use super::fetch_entity::locate;
use crate::app::App;
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::outbox::{announce, commit_and_ring};
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Order, Scan, keys, records};

/// Deletes an entity with all its factors. Its challenges cannot be reached any more and are reclaimed when their time
/// comes: an entity created anew under the same identity has none of them.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`Error::Failed`].
pub async fn delete_entity(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
) -> Result<(), Error> {
    retry_on_conflict(|| delete(app, account, service, identity)).await
}

async fn delete(
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
