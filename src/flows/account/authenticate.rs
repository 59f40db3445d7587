//! Checks an account's or an API key's credentials.

use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ApiKeySid};
use crate::flows::Error;
use crate::store::{keys, records};

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
