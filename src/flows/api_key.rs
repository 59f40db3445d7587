//! API keys: further credentials of an account.

use crate::app::App;
use crate::crypto::plain_token::PlainToken;
use crate::domain::account::ApiKey;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ApiKeySid};
use crate::domain::text::FriendlyName;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, Order, Scan, keys, records};

/// Creates an API key of an account. Its secret is shown to nobody again.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    friendly_name: FriendlyName,
) -> Result<(ApiKey, PlainToken), Error> {
    let now = app.clock.now();
    let sid = ApiKeySid::generate(now, app.entropy.as_ref());
    let secret = PlainToken::api_key_secret(app.entropy.as_ref());
    let hash = app.vault.token_hash(sid.as_bytes(), secret.reveal());
    let key = ApiKey {
        sid,
        account,
        friendly_name,
        secret: hash,
        date_created: now,
    };
    retry_on_conflict(|| create_once(app, &key)).await?;
    Ok((key, secret))
}

async fn create_once(app: &App, key: &ApiKey) -> Result<(), Error> {
    let owner_key = keys::account(key.account);
    let owner = records::read(app.store.as_ref(), &owner_key)
        .await?
        .ok_or(Refusal::NotFound)?;
    let batch = Batch::new()
        .assert_read(&owner_key, &owner)
        .put_new_record(keys::api_key(key.sid), key)?
        .mark(keys::api_keys_of(key.account).key(key.sid.as_bytes()));
    Ok(app.store.commit(batch).await?)
}

/// The API keys of an account, oldest first.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn list(app: &App, account: AccountSid) -> Result<Vec<ApiKey>, Error> {
    let store = app.store.as_ref();
    records::read(store, &keys::account(account))
        .await?
        .ok_or(Refusal::NotFound)?;
    let prefix = keys::api_keys_of(account).bytes().to_vec();
    let scan = Scan {
        prefix,
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let mut api_keys = Vec::new();
    for (marker, _) in store.scan(scan).await? {
        let Some(sid) = keys::last_sid(&marker) else {
            continue;
        };
        let found = records::read(store, &keys::api_key(ApiKeySid::from_bytes(sid))).await?;
        api_keys.extend(found.map(|stored| stored.record));
    }
    Ok(api_keys)
}

/// Deletes an API key: it is refused from the next request on.
///
/// # Errors
/// [`Refusal::NotFound`] without such a key, [`Error::Failed`].
pub async fn revoke(app: &App, sid: ApiKeySid) -> Result<(), Error> {
    retry_on_conflict(|| revoke_once(app, sid)).await
}

async fn revoke_once(app: &App, sid: ApiKeySid) -> Result<(), Error> {
    let key = keys::api_key(sid);
    let found = records::read(app.store.as_ref(), &key)
        .await?
        .ok_or(Refusal::NotFound)?;
    let marker = keys::api_keys_of(found.record.account).key(sid.as_bytes());
    let batch = Batch::new()
        .assert_read(&key, &found)
        .delete(key.into_bytes())
        .delete(marker.into_bytes());
    app.store.commit(batch).await?;
    app.memory.waiters.account_changed(found.record.account);
    Ok(())
}
