//! Revokes an API key.

use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::domain::sid::ApiKeySid;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys, records};

/// Deletes an API key: it is refused from the next request on.
///
/// # Errors
/// [`Refusal::NotFound`] without such a key, [`Error::Failed`].
pub async fn revoke_api_key(app: &App, sid: ApiKeySid) -> Result<(), Error> {
    retry_on_conflict(|| commit(app, sid)).await
}

async fn commit(app: &App, sid: ApiKeySid) -> Result<(), Error> {
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
