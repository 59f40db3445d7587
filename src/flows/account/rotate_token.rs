//! Replaces an account's auth token.

use crate::app::App;
use crate::crypto::plain_token::PlainToken;
use crate::domain::refusal::Refusal;
use crate::domain::sid::AccountSid;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys, records};

/// Gives the account a new auth token; the old one is refused from the next request on.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn rotate_token(app: &App, account: AccountSid) -> Result<PlainToken, Error> {
    let token = PlainToken::auth_token(app.entropy.as_ref());
    retry_on_conflict(|| commit(app, account, &token)).await?;
    Ok(token)
}

async fn commit(app: &App, account: AccountSid, token: &PlainToken) -> Result<(), Error> {
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
