//! Services: one application's settings, and everything under it.

use crate::app::App;
use crate::domain::attached::Attached;
use crate::domain::refusal::Refusal;
use crate::domain::service::{Service, ServiceChanges, ServiceSettings};
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::ServiceName;
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::{Error, credential, retry_on_conflict};
use crate::store::records::{self, Purge, Stored};
use crate::store::{Batch, keys};

/// Creates a service of `account` called `friendly_name`, with whatever else `changes` says.
///
/// # Errors
/// A refusal of [`ServiceSettings::changed`], [`Refusal::Parameter`] for a credential that is not
/// one of the account's of the right type, [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    friendly_name: ServiceName,
    changes: ServiceChanges,
) -> Result<Service, Error> {
    retry_on_conflict(|| create_once(app, account, friendly_name.clone(), changes.clone())).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    friendly_name: ServiceName,
    changes: ServiceChanges,
) -> Result<Service, Error> {
    let now = app.clock.now();
    let batch = credential::hold(app, account, &changes, Batch::new()).await?;
    let mut attached = Attached::default();
    attach(&mut attached, &changes)?;
    let service = Service {
        sid: ServiceSid::generate(now, app.entropy.as_ref()),
        account,
        settings: ServiceSettings::named(friendly_name).changed(changes)?,
        subscriptions: Vec::new(),
        attached,
        date_created: now,
        date_updated: now,
    };
    let key = keys::service(account, service.sid);
    app.store.commit(batch.put_new_record(key, &service)?).await?;
    Ok(service)
}

/// The service, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(app: &App, account: AccountSid, sid: ServiceSid) -> Result<Service, Error> {
    Ok(read(app, account, sid).await?.record)
}

/// The service with its version.
pub(crate) async fn read(app: &App, account: AccountSid, sid: ServiceSid) -> Result<Stored<Service>, Error> {
    let found = records::read(app.store.as_ref(), &keys::service(account, sid)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}

/// Changes what `changes` names and leaves the rest.
///
/// # Errors
/// [`Refusal::NotFound`], a refusal of
/// [`crate::domain::service::ServiceSettings::changed`], [`Refusal::Parameter`] for a credential
/// that is not one of the account's of the right type, [`Error::Failed`].
pub async fn update(
    app: &App,
    account: AccountSid,
    sid: ServiceSid,
    changes: ServiceChanges,
) -> Result<Service, Error> {
    retry_on_conflict(|| update_once(app, account, sid, changes.clone())).await
}

async fn update_once(
    app: &App,
    account: AccountSid,
    sid: ServiceSid,
    changes: ServiceChanges,
) -> Result<Service, Error> {
    let found = read(app, account, sid).await?;
    let batch = credential::hold(app, account, &changes, Batch::new()).await?;
    let mut service = found.record.clone();
    attach(&mut service.attached, &changes)?;
    service.settings = service.settings.changed(changes)?;
    service.date_updated = app.clock.now();
    let key = keys::service(account, sid);
    app.store
        .commit(batch.assert_read(&key, &found).put_record(key, &service)?)
        .await?;
    Ok(service)
}

fn attach(attached: &mut Attached, changes: &ServiceChanges) -> Result<(), Error> {
    let change = changes.attached.as_deref();
    change
        .map_or(Ok(()), |change| attached.change(change))
        .map_err(|error| Error::corrupt(error.to_string()))
}

/// Deletes a service. Nothing below it can be reached from the next request on; the sweeper reclaims it.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn delete(app: &App, account: AccountSid, sid: ServiceSid) -> Result<(), Error> {
    retry_on_conflict(|| delete_once(app, account, sid)).await
}

async fn delete_once(app: &App, account: AccountSid, sid: ServiceSid) -> Result<(), Error> {
    let found = read(app, account, sid).await?;
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

/// A page of the account's services, in the order of their creation.
///
/// # Errors
/// [`Error::Failed`].
pub async fn list(app: &App, account: AccountSid, request: PageRequest) -> Result<Page<Service>, Error> {
    let mut raw = page(app, &keys::services(account), request).await?;
    let entries = std::mem::take(&mut raw.items);
    let services = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok(raw.with_items(services))
}
