//! Creates a service.

use crate::app::App;
use crate::domain::service::{Service, ServiceChanges, ServiceSettings};
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::ServiceName;
use crate::flows::credential::hold;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Creates a service of `account` called `friendly_name`, with whatever else `changes` says.
///
/// # Errors
/// A refusal of [`ServiceSettings::changed`], [`crate::domain::refusal::Refusal::Parameter`] for a credential that is not
/// one of the account's of the right type, [`Error::Failed`].
pub async fn create_service(
    app: &App,
    account: AccountSid,
    friendly_name: ServiceName,
    changes: ServiceChanges,
) -> Result<Service, Error> {
    retry_on_conflict(|| create(app, account, friendly_name.clone(), changes.clone())).await
}

async fn create(
    app: &App,
    account: AccountSid,
    friendly_name: ServiceName,
    changes: ServiceChanges,
) -> Result<Service, Error> {
    let now = app.clock.now();
    let batch = hold(app, account, &changes, Batch::new()).await?;
    let service = Service {
        sid: ServiceSid::generate(now, app.entropy.as_ref()),
        account,
        settings: ServiceSettings::named(friendly_name).changed(changes)?,
        subscriptions: Vec::new(),
        date_created: now,
        date_updated: now,
    };
    let key = keys::service(account, service.sid);
    app.store.commit(batch.put_new_record(key, &service)?).await?;
    Ok(service)
}
