//! API keys: further credentials of an account.

use crate::app::App;
use crate::crypto::plain_token::{ImportedSecret, PlainToken};
use crate::domain::account::{ApiKey, ImportRefusal, Refusal};
use crate::domain::events::EventType;
use crate::domain::sid::{AccountSid, ApiKeySid};
use crate::domain::text::{FriendlyName, KeyName};
use crate::flows::event::announce_notice;
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault, retry_on_conflict};
use crate::store::keys::{self, Key};
use crate::store::records::ImportedKey;
use crate::store::{Batch, Order, Scan};

/// Creates an API key of an account. Its secret is shown to nobody again.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    friendly_name: FriendlyName,
) -> Result<(ApiKey, PlainToken), Error<Refusal>> {
    let now = app.clock.now();
    let sid = ApiKeySid::generate(now, app.sids.as_ref());
    let secret = PlainToken::api_key_secret(app.entropy.as_ref());
    let hash = app.vault.token_hash(sid.as_bytes(), secret.reveal());
    let key = ApiKey {
        sid,
        account,
        imported: None,
        friendly_name,
        secret: hash,
        date_created: now,
    };
    retry_on_conflict(app, || create_once(app, &key)).await?;
    Ok((key, secret))
}

/// Takes over an API key that was made elsewhere, with its name and secret: whoever has them need not learn others. It is an
/// API key like others, with an SID of its own besides.
///
/// # Errors
/// [`ImportRefusal::NotFound`] without such an account, [`ImportRefusal::NameTaken`], [`Error::Failed`].
pub async fn import(
    app: &App,
    account: AccountSid,
    friendly_name: FriendlyName,
    name: KeyName,
    secret: &ImportedSecret,
) -> Result<ApiKey, Error<ImportRefusal>> {
    let now = app.clock.now();
    let sid = ApiKeySid::generate(now, app.sids.as_ref());
    let key = ApiKey {
        sid,
        account,
        imported: Some(name),
        friendly_name,
        secret: app.vault.token_hash(sid.as_bytes(), secret.reveal()),
        date_created: now,
    };
    retry_on_conflict(app, || import_once(app, &key)).await?;
    Ok(key)
}

async fn import_once(app: &App, key: &ApiKey) -> Result<(), Error<ImportRefusal>> {
    let mut reading = Reading::new(app);
    reading.require(&keys::account(key.account)).await?;
    let mut batch = put_new(app, &mut reading, key).await?;
    if let Some(name) = &key.imported {
        let by_name = keys::imported_key(name);
        if reading.contains(&by_name).await? {
            return Err(ImportRefusal::NameTaken.into());
        }
        batch = batch.put_new_record(by_name, &ImportedKey { key: key.sid })?;
    }
    Ok(reading.commit(batch).await?)
}

async fn create_once(app: &App, key: &ApiKey) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    reading.require(&keys::account(key.account)).await?;
    let batch = put_new(app, &mut reading, key).await?;
    Ok(reading.commit(batch).await?)
}

async fn put_new(app: &App, reading: &mut Reading<'_>, key: &ApiKey) -> Result<Batch, Fault> {
    let batch = Batch::new().put_new_record(keys::api_key(key.sid), key)?;
    let batch = batch.mark(keys::api_keys_of(key.account).key(key.sid.as_bytes()));
    let subject = Some(format!("API key {}", key.sid));
    announce_notice(app, reading, key.account, EventType::KeyCreated, subject, batch).await
}

/// The API keys of an account, oldest first.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn list(app: &App, account: AccountSid) -> Result<Vec<ApiKey>, Error<Refusal>> {
    let mut reading = Reading::new(app);
    reading.require(&keys::account(account)).await?;
    let prefix = keys::api_keys_of(account).bytes().to_vec();
    let scan = Scan {
        prefix,
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let markers = reading.scan(scan).await?;
    let sids = markers.iter().filter_map(|(marker, _)| keys::last_sid(marker));
    let names: Vec<_> = sids
        .map(|sid| keys::api_key(ApiKeySid::from_bytes(sid)))
        .collect();
    reading.prefetch(names.iter().map(Key::bytes)).await?;
    let mut api_keys = Vec::with_capacity(names.len());
    for name in names {
        api_keys.extend(reading.get(&name).await?);
    }
    Ok(api_keys)
}

/// Deletes an API key: it is refused from the next request on.
///
/// # Errors
/// [`Refusal::NotFound`] without such a key, [`Error::Failed`].
pub async fn revoke(app: &App, sid: ApiKeySid) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || revoke_once(app, sid)).await
}

async fn revoke_once(app: &App, sid: ApiKeySid) -> Result<(), Error<Refusal>> {
    let key = keys::api_key(sid);
    let mut reading = Reading::new(app);
    let ApiKey {
        account, imported, ..
    } = reading.require(&key).await?;
    let marker = keys::api_keys_of(account).key(sid.as_bytes());
    let mut batch = Batch::new().delete(key.into_bytes()).delete(marker.into_bytes());
    if let Some(name) = &imported {
        batch = batch.delete(keys::imported_key(name).into_bytes());
    }
    reading.commit(batch).await?;
    app.memory.waiters.account_changed(account);
    Ok(())
}
