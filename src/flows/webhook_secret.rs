//! The secrets that sign an account's webhooks.

use std::time::Duration;

use crate::app::App;
use crate::crypto::webhook_secret::WebhookSecret;
use crate::domain::account::{Account, Refusal};
use crate::domain::opaque::Sealed;
use crate::domain::sealing::SealedField;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault, retry_on_conflict};
use crate::store::{Batch, keys};

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
) -> Result<(WebhookSecret, Option<Timestamp>), Error<Refusal>> {
    let secret = WebhookSecret::generate(app.entropy.as_ref());
    let alone_from = retry_on_conflict(app, || rotate_once(app, account, &secret, overlap)).await?;
    Ok((secret, alone_from))
}

async fn rotate_once(
    app: &App,
    account: AccountSid,
    secret: &WebhookSecret,
    overlap: Duration,
) -> Result<Option<Timestamp>, Error<Refusal>> {
    let now = app.clock.now();
    let key = keys::account(account);
    let mut reading = Reading::new(app);
    let mut owner = reading.require(&key).await?;
    let sealed = seal(app, account, secret);
    let secrets = owner.webhook_secrets.rotated(sealed, now, overlap);
    let alone_from = secrets.alone_from(now);
    owner.webhook_secrets = secrets;
    reading.commit(Batch::new().put_record(key, &owner)?).await?;
    Ok(alone_from)
}

/// The secret, sealed for the account's record.
pub(super) fn seal(app: &App, account: AccountSid, secret: &WebhookSecret) -> Sealed {
    let place = keys::account(account);
    app.vault.seal(
        app.entropy.as_ref(),
        place.bytes(),
        SealedField::WebhookSecret,
        secret.as_bytes(),
    )
}

/// The secrets that sign the account's webhooks at `now`, the oldest first, the current one last.
///
/// # Errors
/// [`Fault::Corrupt`] or [`Fault::KeyGone`] when a secret does not open.
pub(crate) fn signing_secrets(
    app: &App,
    account: &Account,
    now: Timestamp,
) -> Result<Vec<WebhookSecret>, Fault> {
    let place = keys::account(account.sid);
    let signing = account.webhook_secrets.signing(now);
    signing
        .map(|sealed| {
            let opened = app.vault.open(place.bytes(), SealedField::WebhookSecret, sealed);
            let bytes = opened.map_err(|error| Fault::unopened("a webhook signing secret", error))?;
            WebhookSecret::from_bytes(&bytes)
                .ok_or_else(|| Fault::Corrupt("a webhook signing secret has a wrong length".to_owned()))
        })
        .collect()
}
