//! The service that an account's requests in a protocol belong to that knows no services.

use super::service::count_one_more;
use crate::app::App;
use crate::domain::attached::Attached;
use crate::domain::service::{Refusal, Service, ServiceSettings};
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::{DialectName, ServiceName};
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, retry_on_conflict};
use crate::store::records::DialectServiceRecord;
use crate::store::{Batch, keys};

/// The account's service for requests in the protocol `dialect`, created with the name `friendly_name` when it is first asked
/// for, and again after it was deleted. It is a service like others: whoever speaks a protocol that has services sees and
/// changes it.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Refusal::TooMany`] if it has no room for one more, [`Error::Failed`].
pub async fn service_of(
    app: &App,
    account: &mut Admitted<AccountSid>,
    dialect: &DialectName,
    friendly_name: &ServiceName,
) -> Result<ServiceSid, Error<Refusal>> {
    let who = account.who;
    retry_on_conflict(|| attempt(app, account.prior.reading(app), who, dialect, friendly_name)).await
}

async fn attempt(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    dialect: &DialectName,
    friendly_name: &ServiceName,
) -> Result<ServiceSid, Error<Refusal>> {
    let pointer = keys::dialect_service(account, dialect);
    if let Some(DialectServiceRecord { service }) = reading.get(&pointer).await?
        && reading.contains(&keys::service(account, service)).await?
    {
        return Ok(service);
    }
    reading.require(&keys::account(account)).await?;
    let now = app.clock.now();
    let service = Service {
        sid: ServiceSid::generate(now, app.sids.as_ref()),
        account,
        settings: ServiceSettings::named(friendly_name.clone()),
        subscriptions: Vec::new(),
        attached: Attached::default(),
        date_created: now,
        date_updated: now,
    };
    let batch = count_one_more(app, &mut reading, account, Batch::new()).await?;
    let batch = batch
        .put_record(pointer, &DialectServiceRecord { service: service.sid })?
        .put_new_record(keys::service(account, service.sid), &service)?;
    reading.commit(batch).await?;
    Ok(service.sid)
}
