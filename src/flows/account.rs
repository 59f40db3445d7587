//! Accounts: who may call the API.

use crate::app::App;
use crate::crypto::plain_token::PlainToken;
use crate::crypto::webhook_secret::WebhookSecret;
use crate::domain::account::{Account, AccountStatus};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ApiKeySid};
use crate::domain::text::FriendlyName;
use crate::domain::webhook_secrets::WebhookSecrets;
use crate::flows::{Error, retry_on_conflict, webhook_secret};
use crate::store::{Batch, Order, Scan, keys, records};

/// The account that `user` and `password` speak for: its SID and auth token, or an API key's SID and secret.
///
/// An unknown user takes as long as a wrong password.
///
/// # Errors
/// [`Refusal::Credentials`] for every kind of wrong credentials, [`Error::Failed`].
pub async fn authenticate(app: &App, user: &str, password: &str) -> Result<AccountSid, Error> {
    let store = app.store.as_ref();
    let (account, owner, hash) = if let Ok(sid) = user.parse::<AccountSid>() {
        let found = records::read(store, &keys::account(sid)).await?;
        (
            sid,
            *sid.as_bytes(),
            found.filter(|a| a.record.is_active()).map(|a| a.record.token),
        )
    } else if let Ok(sid) = user.parse::<ApiKeySid>() {
        let found = records::read(store, &keys::api_key(sid))
            .await?
            .map(|key| key.record);
        let account = found
            .as_ref()
            .map_or(AccountSid::from_bytes([0; 16]), |key| key.account);
        let active = is_active(app, account).await?;
        (
            account,
            *sid.as_bytes(),
            found.filter(|_| active).map(|key| key.secret),
        )
    } else {
        (AccountSid::from_bytes([0; 16]), [0; 16], None)
    };
    let Some(hash) = hash else {
        app.vault.spend_token_check(&owner, password);
        return Err(Refusal::Credentials.into());
    };
    if app.vault.token_matches(&owner, password, &hash) {
        Ok(account)
    } else {
        Err(Refusal::Credentials.into())
    }
}

/// Whether the account exists and is not suspended.
///
/// # Errors
/// [`Error::Failed`].
pub async fn is_active(app: &App, account: AccountSid) -> Result<bool, Error> {
    let found = records::read(app.store.as_ref(), &keys::account(account)).await?;
    Ok(found.is_some_and(|account| account.record.is_active()))
}

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
pub async fn create(app: &App, friendly_name: FriendlyName) -> Result<NewAccount, Error> {
    let sid = AccountSid::generate(app.clock.now(), app.entropy.as_ref());
    let token = PlainToken::auth_token(app.entropy.as_ref());
    let webhook_secret = WebhookSecret::generate(app.entropy.as_ref());
    let secrets = WebhookSecrets::new(webhook_secret::seal(app, sid, &webhook_secret), true);
    let account = put_new(app, sid, token.reveal(), friendly_name, secrets).await?;
    Ok(NewAccount {
        account,
        token,
        webhook_secret,
    })
}

/// Creates an account whose SID and auth token were chosen elsewhere. Its webhook signing secret is shown to nobody:
/// [`webhook_secret::rotate`] makes one that is.
///
/// # Errors
/// [`Error::Failed`] when the SID is taken, [`Error::Failed`].
pub async fn create_as(
    app: &App,
    sid: AccountSid,
    token: &str,
    friendly_name: FriendlyName,
) -> Result<Account, Error> {
    let secret = WebhookSecret::generate(app.entropy.as_ref());
    let secrets = WebhookSecrets::new(webhook_secret::seal(app, sid, &secret), false);
    put_new(app, sid, token, friendly_name, secrets).await
}

async fn put_new(
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
        webhook_secrets,
    };
    let key = keys::account(sid);
    let batch = Batch::new()
        .assert_absent(key.bytes().to_vec())
        .put_record(key, &account)?;
    app.store.commit(batch).await?;
    Ok(account)
}

/// All accounts, oldest first. Accounts are few: one for each team that shares the server.
///
/// # Errors
/// [`Error::Failed`].
pub async fn list(app: &App) -> Result<Vec<Account>, Error> {
    let prefix = keys::accounts().bytes().to_vec();
    let scan = Scan {
        prefix,
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let entries = app.store.scan(scan).await?;
    entries
        .into_iter()
        .map(|(_, entry)| Ok(records::decode(&entry.value)?))
        .collect()
}

/// Gives the account a new auth token; the old one is refused from the next request on.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn rotate_token(app: &App, account: AccountSid) -> Result<PlainToken, Error> {
    let token = PlainToken::auth_token(app.entropy.as_ref());
    retry_on_conflict(|| rotate_token_once(app, account, &token)).await?;
    Ok(token)
}

async fn rotate_token_once(app: &App, account: AccountSid, token: &PlainToken) -> Result<(), Error> {
    let key = keys::account(account);
    let mut found = records::read(app.store.as_ref(), &key)
        .await?
        .ok_or(Refusal::NotFound)?;
    found.record.token = app.vault.token_hash(account.as_bytes(), token.reveal());
    let batch = Batch::new()
        .assert_read(&key, &found)
        .put_record(key, &found.record)?;
    app.store.commit(batch).await?;
    app.memory.waiters.account_changed(account);
    Ok(())
}

/// From the next request on, the credentials of a suspended account, its API keys and its devices are refused.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn suspend(app: &App, account: AccountSid) -> Result<(), Error> {
    retry_on_conflict(|| set_status(app, account, AccountStatus::Suspended { at: app.clock.now() })).await
}

/// Accepts the account's credentials again.
///
/// # Errors
/// As [`suspend`].
pub async fn resume(app: &App, account: AccountSid) -> Result<(), Error> {
    retry_on_conflict(|| set_status(app, account, AccountStatus::Active)).await
}

async fn set_status(app: &App, account: AccountSid, status: AccountStatus) -> Result<(), Error> {
    let key = keys::account(account);
    let mut found = records::read(app.store.as_ref(), &key)
        .await?
        .ok_or(Refusal::NotFound)?;
    found.record.status = status;
    let batch = Batch::new()
        .assert_read(&key, &found)
        .put_record(key, &found.record)?;
    app.store.commit(batch).await?;
    app.memory.waiters.account_changed(account);
    Ok(())
}
