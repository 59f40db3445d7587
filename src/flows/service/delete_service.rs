//! Deletes a service.

use super::fetch_service::read_service;
use crate::app::App;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::flows::{Error, retry_on_conflict};
use crate::store::records::Purge;
use crate::store::{Batch, keys};

/// Deletes a service. Nothing below it can be reached from the next request on; the sweeper reclaims it.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`Error::Failed`].
pub async fn delete_service(app: &App, account: AccountSid, sid: ServiceSid) -> Result<(), Error> {
    retry_on_conflict(|| delete(app, account, sid)).await
}

async fn delete(app: &App, account: AccountSid, sid: ServiceSid) -> Result<(), Error> {
    let found = read_service(app, account, sid).await?;
    let key = keys::service(account, sid);
    let batch = Batch::new()
        .assert_read(&key, &found)
        .delete(key.into_bytes())
        .put_record(
            keys::purge(sid),
            &Purge {
                since: app.clock.now(),
            },
        )?;
    app.store.commit(batch).await?;
    app.memory.waiters.service_changed(sid);
    Ok(())
}
