//! Services: one application's settings, and everything under it.

use crate::app::App;
use crate::domain::attached::Attached;
use crate::domain::credential::CredentialKind;
use crate::domain::service::{Change, Refusal, Service, ServiceChanges, ServiceSettings};
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::ServiceName;
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::reading::{Admitted, NotRead, Reading};
use crate::flows::{Error, retry_on_conflict};
use crate::store::keys::Key;
use crate::store::records::{Purge, Record, ServiceCount};
use crate::store::{Batch, keys};

/// Creates a service of `account` called `friendly_name`, with whatever else `changes` says.
///
/// # Errors
/// [`Refusal::TooMany`], a refusal of [`ServiceSettings::changed`], [`Refusal::NoSuchCredential`], [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    friendly_name: ServiceName,
    changes: ServiceChanges,
) -> Result<Service, Error<Refusal>> {
    retry_on_conflict(app, || {
        create_once(app, account, friendly_name.clone(), changes.clone())
    })
    .await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    friendly_name: ServiceName,
    changes: ServiceChanges,
) -> Result<Service, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let now = app.clock.now();
    let named = [&changes.push_apn_credential_sid, &changes.push_fcm_credential_sid];
    let named = named.into_iter().filter_map(|change| match change {
        Change::Set(sid) => Some(keys::credential(account, *sid).into_bytes()),
        Change::Clear | Change::Keep => None,
    });
    let needed: Vec<_> = named.chain([keys::service_count(account).into_bytes()]).collect();
    reading.prefetch(needed.iter().map(Vec::as_slice)).await?;
    let batch = hold_credentials(&mut reading, account, &changes, Batch::new()).await?;
    let mut attached = Attached::default();
    if let Some(change) = &changes.attached {
        attached.change(change.as_ref())?;
    }
    let service = Service {
        sid: ServiceSid::generate(now, app.sids.as_ref()),
        account,
        settings: ServiceSettings::named(friendly_name).changed(changes)?,
        subscriptions: Vec::new(),
        attached,
        date_created: now,
        date_updated: now,
    };
    let batch = count_one_more(app, &mut reading, account, batch).await?;
    let key = keys::service(account, service.sid);
    reading.commit(batch.put_new_record(key, &service)?).await?;
    Ok(service)
}

/// Counts one more service of the account in `batch`. The count is a record of its own: it changes in the commit that changes
/// what it counts, so however many services are created at once, the last one that fits is one.
pub(super) async fn count_one_more(
    app: &App,
    reading: &mut Reading<'_>,
    account: AccountSid,
    batch: Batch,
) -> Result<Batch, Error<Refusal>> {
    let key = keys::service_count(account);
    let ServiceCount { count } = reading.get(&key).await?.unwrap_or_default();
    let limit = app.policy.services_per_account;
    if count >= limit {
        return Err(Refusal::TooMany { limit }.into());
    }
    Ok(batch.put_record(key, &ServiceCount { count: count + 1 })?)
}

/// Counts one service of the account less in `batch`.
async fn count_one_less(
    reading: &mut Reading<'_>,
    account: AccountSid,
    batch: Batch,
) -> Result<Batch, Error<Refusal>> {
    let key = keys::service_count(account);
    let ServiceCount { count } = reading.get(&key).await?.unwrap_or_default();
    Ok(match count.saturating_sub(1) {
        0 => batch.delete(key.into_bytes()),
        count => batch.put_record(key, &ServiceCount { count })?,
    })
}

/// The service, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    sid: ServiceSid,
) -> Result<Service, Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    Ok(prior.reading(app).require(&keys::service(who, sid)).await?)
}

/// The service, which has to be there, and what is at `key` below it, in one round trip.
pub(crate) async fn read_with<T: Record>(
    reading: &mut Reading<'_>,
    account: AccountSid,
    sid: ServiceSid,
    key: &Key<T>,
) -> Result<(Service, Option<T>), NotRead> {
    let owner = keys::service(account, sid);
    reading.prefetch([owner.bytes(), key.bytes()]).await?;
    Ok((reading.require(&owner).await?, reading.get(key).await?))
}

/// Changes what `changes` names and leaves the rest.
///
/// # Errors
/// [`Refusal::NotFound`], a refusal of [`ServiceSettings::changed`], [`Refusal::NoSuchCredential`], [`Error::Failed`].
pub async fn update(
    app: &App,
    account: AccountSid,
    sid: ServiceSid,
    changes: ServiceChanges,
) -> Result<Service, Error<Refusal>> {
    retry_on_conflict(app, || update_once(app, account, sid, changes.clone())).await
}

async fn update_once(
    app: &App,
    account: AccountSid,
    sid: ServiceSid,
    changes: ServiceChanges,
) -> Result<Service, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let key = keys::service(account, sid);
    let mut service = reading.require(&key).await?;
    let batch = hold_credentials(&mut reading, account, &changes, Batch::new()).await?;
    if let Some(change) = &changes.attached {
        service.attached.change(change.as_ref())?;
    }
    service.settings = service.settings.changed(changes)?;
    service.date_updated = app.clock.now();
    reading.commit(batch.put_record(key, &service)?).await?;
    Ok(service)
}

/// Deletes a service. Nothing below it can be reached from the next request on; the sweeper reclaims it.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn delete(app: &App, account: AccountSid, sid: ServiceSid) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || delete_once(app, account, sid)).await
}

async fn delete_once(app: &App, account: AccountSid, sid: ServiceSid) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    let key = keys::service(account, sid);
    reading.require(&key).await?;
    let purge = Purge {
        since: app.clock.now(),
    };
    let batch = Batch::new()
        .delete(key.into_bytes())
        .put_record(keys::purge(sid), &purge)?;
    let batch = count_one_less(&mut reading, account, batch).await?;
    reading.commit(batch).await?;
    app.memory.waiters.service_changed(sid);
    Ok(())
}

/// A page of the account's services, in the order of their creation.
///
/// # Errors
/// [`Error::Failed`].
pub async fn list(
    app: &App,
    account: AccountSid,
    request: PageRequest,
) -> Result<Page<Service>, Error<Refusal>> {
    let raw = page(app, &keys::services(account), request).await?;
    Ok(raw.decoded(app)?)
}

/// Writes into `batch` that the credentials which a service is to name are there when it applies, and cannot be deleted
/// unnoticed.
async fn hold_credentials(
    reading: &mut Reading<'_>,
    account: AccountSid,
    changes: &ServiceChanges,
    mut batch: Batch,
) -> Result<Batch, Error<Refusal>> {
    let wanted = [
        (&changes.push_apn_credential_sid, CredentialKind::Apn),
        (&changes.push_fcm_credential_sid, CredentialKind::Fcm),
    ];
    for (change, provider) in wanted {
        let Change::Set(sid) = change else {
            continue;
        };
        let key = keys::credential(account, *sid);
        let found = reading.get(&key).await?;
        let found = found.filter(|credential| credential.provider() == provider);
        let credential = found.ok_or(Refusal::NoSuchCredential { provider })?;
        batch = batch.put_record(key, &credential)?;
    }
    Ok(batch)
}
