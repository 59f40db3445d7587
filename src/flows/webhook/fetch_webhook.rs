//! Fetches a webhook.

use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ServiceSid, WebhookSid};
use crate::domain::webhook::Webhook;
use crate::flows::Error;
use crate::flows::service::fetch_service::read_service;
use crate::store::keys;
use crate::store::records::{self, Stored};

/// The webhook, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch_webhook(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
) -> Result<Webhook, Error> {
    read_service(app, account, service).await?;
    Ok(read_webhook(app, service, sid).await?.record)
}

/// The webhook with its version.
pub(super) async fn read_webhook(
    app: &App,
    service: ServiceSid,
    sid: WebhookSid,
) -> Result<Stored<Webhook>, Error> {
    let found = records::read(app.store.as_ref(), &keys::webhook(service, sid)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}
