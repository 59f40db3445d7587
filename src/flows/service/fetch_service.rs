//! Fetches a service.

use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::flows::Error;
use crate::store::keys;
use crate::store::records::{self, Stored};

/// The service, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch_service(app: &App, account: AccountSid, sid: ServiceSid) -> Result<Service, Error> {
    Ok(read_service(app, account, sid).await?.record)
}

/// The service with its version.
pub(crate) async fn read_service(
    app: &App,
    account: AccountSid,
    sid: ServiceSid,
) -> Result<Stored<Service>, Error> {
    let found = records::read(app.store.as_ref(), &keys::service(account, sid)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}
