//! Lists an account's API keys.

use crate::app::App;
use crate::domain::account::ApiKey;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ApiKeySid};
use crate::flows::Error;
use crate::store::{Order, Scan, keys, records};

/// The API keys of an account, oldest first.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn list_api_keys(app: &App, account: AccountSid) -> Result<Vec<ApiKey>, Error> {
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
