//! Deletes a webhook.

use super::fetch_webhook::read_webhook;
use super::unsubscribe;
use crate::app::App;
use crate::domain::sid::{AccountSid, ServiceSid, WebhookSid};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Deletes a webhook.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`Error::Failed`].
pub async fn delete_webhook(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: WebhookSid,
) -> Result<(), Error> {
    retry_on_conflict(|| delete(app, account, service, sid)).await
}

async fn delete(app: &App, account: AccountSid, service: ServiceSid, sid: WebhookSid) -> Result<(), Error> {
    let owner = read_service(app, account, service).await?;
    let found = read_webhook(app, service, sid).await?;
    let key = keys::webhook(service, sid);
    let batch = Batch::new().assert_read(&key, &found).delete(key.into_bytes());
    app.store.commit(unsubscribe(&owner, sid, batch)?).await?;
    Ok(())
}
