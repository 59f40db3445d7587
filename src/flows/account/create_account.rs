//! Creates an account.

use super::webhook_secrets::seal;
use crate::app::App;
use crate::crypto::plain_token::PlainToken;
use crate::crypto::webhook_secret::WebhookSecret;
use crate::domain::account::{Account, AccountStatus};
use crate::domain::sid::AccountSid;
use crate::domain::text::FriendlyName;
use crate::domain::webhook_secrets::WebhookSecrets;
use crate::flows::Error;
use crate::store::{Batch, keys};

/// A new account, with what is shown this once.
#[derive(Debug)]
pub struct NewAccount {
    /// The account.
    pub account: Account,
    /// Its auth token.
    pub token: PlainToken,
    /// What its webhooks are signed with.
    pub webhook_secret: WebhookSecret,
}

/// Creates an account with a new SID, a new auth token and a new webhook signing secret.
///
/// # Errors
/// [`Error::Failed`].
pub async fn create_account(app: &App, friendly_name: FriendlyName) -> Result<NewAccount, Error> {
    let sid = AccountSid::generate(app.clock.now(), app.entropy.as_ref());
    let token = PlainToken::auth_token(app.entropy.as_ref());
    let webhook_secret = WebhookSecret::generate(app.entropy.as_ref());
    let secrets = WebhookSecrets::new(seal(app, sid, &webhook_secret), true);
    let account = create(app, sid, token.reveal(), friendly_name, secrets).await?;
    Ok(NewAccount {
        account,
        token,
        webhook_secret,
    })
}

/// Creates an account whose SID and auth token were chosen elsewhere. Its webhook signing secret is shown to nobody:
/// [`rotate_webhook_secret`](super::rotate_webhook_secret) makes one that is.
///
/// # Errors
/// [`Error::Failed`] when the SID is taken, [`Error::Failed`].
pub async fn create_account_as(
    app: &App,
    sid: AccountSid,
    token: &str,
    friendly_name: FriendlyName,
) -> Result<Account, Error> {
    let secret = WebhookSecret::generate(app.entropy.as_ref());
    let secrets = WebhookSecrets::new(seal(app, sid, &secret), false);
    create(app, sid, token, friendly_name, secrets).await
}

async fn create(
    app: &App,
    sid: AccountSid,
    token: &str,
    friendly_name: FriendlyName,
    webhook_secrets: WebhookSecrets,
) -> Result<Account, Error> {
    let account = Account {
        sid,
        friendly_name,
        token: app.vault.token_hash(sid.as_bytes(), token),
        status: AccountStatus::Active,
        date_created: app.clock.now(),
        webhook_secrets: Some(webhook_secrets),
    };
    let key = keys::account(sid);
    let batch = Batch::new()
        .assert_absent(key.bytes().to_vec())
        .put_record(key, &account)?;
    app.store.commit(batch).await?;
    Ok(account)
}
