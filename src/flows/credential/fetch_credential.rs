//! Fetches a credential.

use crate::app::App;
use crate::domain::credential::Credential;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::flows::Error;
use crate::store::keys;
use crate::store::records::{self, Stored};

/// The credential, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch_credential(
    app: &App,
    account: AccountSid,
    sid: CredentialSid,
) -> Result<Credential, Error> {
    Ok(read_credential(app, account, sid).await?.record)
}

/// The credential with its version.
pub(crate) async fn read_credential(
    app: &App,
    account: AccountSid,
    sid: CredentialSid,
) -> Result<Stored<Credential>, Error> {
    let found = records::read(app.store.as_ref(), &keys::credential(account, sid)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}
