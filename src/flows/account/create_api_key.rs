//! Creates an API key.

use crate::app::App;
use crate::crypto::plain_token::PlainToken;
use crate::domain::account::ApiKey;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ApiKeySid};
use crate::domain::text::FriendlyName;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys, records};

/// Creates an API key of an account. Its secret is shown to nobody again.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn create_api_key(
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
    retry_on_conflict(|| commit(app, &key)).await?;
    Ok((key, secret))
}

async fn commit(app: &App, key: &ApiKey) -> Result<(), Error> {
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
