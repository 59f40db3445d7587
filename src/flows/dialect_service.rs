//! The service that an account's requests in a protocol belong to that knows no services.

use super::service::count_one_more;
use crate::app::App;
use crate::domain::attached::Attached;
use crate::domain::service::{Refusal, Service, ServiceSettings};
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::{DialectName, ServiceName};
use crate::flows::reading::{Admitted, Foreseen, Prior, Reading};
use crate::flows::{Error, retry_on_conflict};
use crate::store::records::DialectServiceRecord;
use crate::store::{Batch, keys};

/// What is going to be read to find the account's service for requests in the protocol `dialect`.
#[must_use]
pub fn foresee(account: AccountSid, dialect: &DialectName) -> Foreseen {
    Foreseen::default().and(keys::dialect_service(account, dialect))
}

/// The account's service for requests in the protocol `dialect`, created with the name `friendly_name` when it is first asked
/// for, and again after it was deleted. It is a service like others: whoever speaks a protocol that has services sees and
/// changes it.
///
/// What is foreseen of the request, now that its service is known, is read with the service. `account` goes on with all that was
/// read.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Refusal::TooMany`] if it has no room for one more, [`Error::Failed`].
pub async fn service_of(
    app: &App,
    account: &mut Admitted<AccountSid>,
    dialect: &DialectName,
    friendly_name: &ServiceName,
    foresee: impl Fn(ServiceSid) -> Foreseen,
) -> Result<ServiceSid, Error<Refusal>> {
    let who = account.who;
    let found = retry_on_conflict(app, || {
        let reading = account.prior.reading(app);
        attempt(app, reading, who, dialect, friendly_name, &foresee)
    })
    .await;
    let (service, prior) = found?;
    account.prior = prior;
    Ok(service)
}

async fn attempt(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    dialect: &DialectName,
    friendly_name: &ServiceName,
    foresee: &impl Fn(ServiceSid) -> Foreseen,
) -> Result<(ServiceSid, Prior), Error<Refusal>> {
    let pointer = keys::dialect_service(account, dialect);
    if let Some(DialectServiceRecord { service }) = reading.get(&pointer).await? {
        let key = keys::service(account, service);
        let foreseen = foresee(service).and(keys::service(account, service));
        reading.prefetch(foreseen.keys()).await?;
        if reading.contains(&key).await? {
            return Ok((service, Prior::of(reading)));
        }
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
    Ok((service.sid, Prior::default()))
}
