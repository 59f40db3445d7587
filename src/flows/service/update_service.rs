//! Changes a service's settings.

use super::fetch_service::read_service;
use crate::app::App;
use crate::domain::service::{Service, ServiceChanges};
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::flows::credential::hold;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Changes what `changes` names and leaves the rest.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], a refusal of
/// [`crate::domain::service::ServiceSettings::changed`], [`crate::domain::refusal::Refusal::Parameter`] for a credential
/// that is not one of the account's of the right type, [`Error::Failed`].
pub async fn update_service(
    app: &App,
    account: AccountSid,
    sid: ServiceSid,
    changes: ServiceChanges,
) -> Result<Service, Error> {
    retry_on_conflict(|| update(app, account, sid, changes.clone())).await
}

async fn update(
    app: &App,
    account: AccountSid,
    sid: ServiceSid,
    changes: ServiceChanges,
) -> Result<Service, Error> {
    let found = read_service(app, account, sid).await?;
    let batch = hold(app, account, &changes, Batch::new()).await?;
    let mut service = found.record.clone();
    service.settings = service.settings.changed(changes)?;
    service.date_updated = app.clock.now();
    let key = keys::service(account, sid);
    app.store
        .commit(batch.assert_read(&key, &found).put_record(key, &service)?)
        .await?;
    Ok(service)
}
