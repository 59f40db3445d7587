//! Creates an account.

use crate::app::App;
use crate::crypto::plain_token::PlainToken;
use crate::domain::account::{Account, AccountStatus};
use crate::domain::sid::AccountSid;
use crate::domain::text::FriendlyName;
use crate::flows::Error;
use crate::store::{Batch, keys};

/// Creates an account with a new SID and a new auth token. The token is shown to nobody again.
///
/// # Errors
/// [`Error::Corrupt`], [`Error::Unavailable`].
pub async fn create_account(app: &App, friendly_name: FriendlyName) -> Result<(Account, PlainToken), Error> {
    let sid = AccountSid::generate(app.clock.now(), app.entropy.as_ref());
    let token = PlainToken::auth_token(app.entropy.as_ref());
    let account = create_account_as(app, sid, token.reveal(), friendly_name).await?;
    Ok((account, token))
}

/// Creates an account whose SID and auth token were chosen elsewhere.
///
/// # Errors
/// [`Error::Conflict`] when the SID is taken, [`Error::Corrupt`], [`Error::Unavailable`].
pub async fn create_account_as(
    app: &App,
    sid: AccountSid,
    token: &str,
    friendly_name: FriendlyName,
) -> Result<Account, Error> {
    let account = Account {
        sid,
        friendly_name,
        token: app.vault.token_hash(sid.as_bytes(), token),
        status: AccountStatus::Active,
        date_created: app.clock.now(),
    };
    let key = keys::account(sid);
    let batch = Batch::new()
        .assert_absent(key.bytes().to_vec())
        .put_record(key, &account)?;
    app.store.commit(batch).await?;
    Ok(account)
}
