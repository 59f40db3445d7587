//! The secrets that sign an account's webhooks.

use std::time::Duration;

use crate::app::App;
use crate::crypto::webhook_secret::WebhookSecret;
use crate::domain::account::Account;
use crate::domain::opaque::Sealed;
use crate::domain::refusal::Refusal;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys, records};

/// Gives the account a new webhook signing secret, which is shown to nobody again. The one before signs beside it for
/// another `overlap`, so that receivers can change over; then the new one signs alone, from the moment that is returned,
/// or from now on if there is none.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn rotate(
    app: &App,
    account: AccountSid,
    overlap: Duration,
) -> Result<(WebhookSecret, Option<Timestamp>), Error> {
    let secret = WebhookSecret::generate(app.entropy.as_ref());
    let alone_from = retry_on_conflict(|| rotate_once(app, account, &secret, overlap)).await?;
    Ok((secret, alone_from))
}

async fn rotate_once(
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
    let secrets = found.record.webhook_secrets.clone().rotated(sealed, now, overlap);
    let alone_from = secrets.alone_from(now);
    found.record.webhook_secrets = secrets;
    let batch = Batch::new()
        .assert_read(&key, &found)
        .put_record(key, &found.record)?;
    app.store.commit(batch).await?;
    Ok(alone_from)
}

/// The secret, sealed for the account's record.
pub(super) fn seal(app: &App, account: AccountSid, secret: &WebhookSecret) -> Sealed {
    let place = keys::account(account);
    app.vault
        .seal(app.entropy.as_ref(), place.bytes(), secret.as_bytes())
}

/// The secrets that sign the account's webhooks at `now`, the oldest first, the current one last.
///
/// # Errors
/// [`Error::Failed`] when a secret does not open.
pub(crate) fn signing_secrets(
    app: &App,
    account: &Account,
    now: Timestamp,
) -> Result<Vec<WebhookSecret>, Error> {
    let place = keys::account(account.sid);
    let signing = account.webhook_secrets.signing(now);
    signing
        .map(|sealed| {
            let opened = app.vault.open(place.bytes(), sealed);
            let bytes = opened.map_err(|error| Error::corrupt(error.to_string()))?;
            WebhookSecret::from_bytes(&bytes)
                .ok_or_else(|| Error::corrupt("a webhook signing secret has a wrong length".to_owned()))
        })
        .collect()
}
