//! Opening and sealing an account's webhook signing secrets.

use crate::app::App;
use crate::crypto::webhook_secret::WebhookSecret;
use crate::domain::account::Account;
use crate::domain::opaque::Sealed;
use crate::domain::refusal::Refusal;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::domain::webhook_secrets::WebhookSecrets;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys, records};

/// The secret, sealed for the account's record.
pub(super) fn seal(app: &App, account: AccountSid, secret: &WebhookSecret) -> Sealed {
    let place = keys::account(account);
    app.vault
        .seal(app.entropy.as_ref(), place.bytes(), secret.as_bytes())
}

/// The secrets that sign the account's webhooks at `now`, the oldest first, the current one last. An account that an
/// earlier version created gets its first one here; nobody is shown it, so the first rotation replaces it at once.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`] also when a secret does not open,
/// [`Error::Failed`].
pub(crate) async fn signing_secrets(
    app: &App,
    account: Account,
    now: Timestamp,
) -> Result<Vec<WebhookSecret>, Error> {
    let sid = account.sid;
    let secrets = match account.webhook_secrets {
        Some(secrets) => secrets,
        None => retry_on_conflict(|| give_first(app, sid)).await?,
    };
    let place = keys::account(sid);
    secrets
        .signing(now)
        .map(|sealed| {
            let opened = app.vault.open(place.bytes(), sealed);
            let bytes = opened.map_err(|error| Error::corrupt(error.to_string()))?;
            WebhookSecret::from_bytes(&bytes)
                .ok_or_else(|| Error::corrupt("a webhook signing secret has a wrong length".to_owned()))
        })
        .collect()
}

async fn give_first(app: &App, account: AccountSid) -> Result<WebhookSecrets, Error> {
    let key = keys::account(account);
    let mut found = records::read(app.store.as_ref(), &key)
        .await?
        .ok_or(Refusal::NotFound)?;
    if let Some(secrets) = found.record.webhook_secrets {
        return Ok(secrets);
    }
    let secret = WebhookSecret::generate(app.entropy.as_ref());
    let secrets = WebhookSecrets::new(seal(app, account, &secret), false);
    found.record.webhook_secrets = Some(secrets.clone());
    let batch = Batch::new()
        .assert_read(&key, &found)
        .put_record(key, &found.record)?;
    app.store.commit(batch).await?;
    Ok(secrets)
}
