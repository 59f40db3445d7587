//! Replaces an account's webhook signing secret.

use std::time::Duration;

use super::webhook_secrets::seal;
use crate::app::App;
use crate::crypto::webhook_secret::WebhookSecret;
use crate::domain::refusal::Refusal;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::domain::webhook_secrets::WebhookSecrets;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys, records};

/// Gives the account a new webhook signing secret, which is shown to nobody again. The one before signs beside it for
/// another `overlap`, so that receivers can change over; then the new one signs alone, from the moment that is returned,
/// or from now on if there is none.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn rotate_webhook_secret(
    app: &App,
    account: AccountSid,
    overlap: Duration,
) -> Result<(WebhookSecret, Option<Timestamp>), Error> {
    let secret = WebhookSecret::generate(app.entropy.as_ref());
    let alone_from = retry_on_conflict(|| commit(app, account, &secret, overlap)).await?;
    Ok((secret, alone_from))
}

async fn commit(
    app: &App,
    account: AccountSid,
    secret: &WebhookSecret,
    overlap: Duration,
) -> Result<Option<Timestamp>, Error> {
    let now = app.clock.now();
    let key = keys::account(account);
    let mut found = records::read(app.store.as_ref(), &key)
        .await?
        .ok_or(Refusal::NotFound)?;
    let sealed = seal(app, account, secret);
    let secrets = match found.record.webhook_secrets.take() {
        Some(secrets) => secrets.rotated(sealed, now, overlap),
        None => WebhookSecrets::new(sealed, true),
    };
    let alone_from = secrets.alone_from(now);
    found.record.webhook_secrets = Some(secrets);
    let batch = Batch::new()
        .assert_read(&key, &found)
        .put_record(key, &found.record)?;
    app.store.commit(batch).await?;
    Ok(alone_from)
}
