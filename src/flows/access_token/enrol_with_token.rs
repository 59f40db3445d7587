//! Checks and spends the access token that a device enrols with.

use super::token_text;
use crate::app::App;
use crate::domain::access_token::AccessToken;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccessTokenSid, AccountSid, FactorSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::Error;
use crate::flows::account::authenticate::is_active;
use crate::store::{Batch, keys, records};

/// The account and the SID of an access token that this server issued for `service`. Whether it is still good for
/// anything shows when it is spent.
///
/// # Errors
/// [`Refusal::Credentials`] when it is none, or its account is suspended; [`Error::Failed`].
pub async fn authenticate_enrolment(
    app: &App,
    service: ServiceSid,
    text: &str,
) -> Result<(AccountSid, AccessTokenSid), Error> {
    let sid = token_text::read(app, service, text).ok_or(Refusal::Credentials)?;
    let found = records::read(app.store.as_ref(), &keys::access_token(service, sid)).await?;
    let account = found.ok_or(Refusal::Credentials)?.record.account;
    if is_active(app, account).await? {
        Ok((account, sid))
    } else {
        Err(Refusal::Credentials.into())
    }
}

/// Whether `text` looks like an access token, and not like a device's JWT.
#[must_use]
pub fn is_enrolment_token(text: &str) -> bool {
    text.starts_with(token_text::PREFIX)
}

/// A batch that spends the token on `factor`.
pub(crate) async fn spend(
    app: &App,
    (service, sid): (ServiceSid, AccessTokenSid),
    identity: &Identity,
    factor: FactorSid,
) -> Result<Batch, Error> {
    let key = keys::access_token(service, sid);
    let found = records::read(app.store.as_ref(), &key)
        .await?
        .ok_or(Refusal::AccessTokenUnfit)?;
    let mut token: AccessToken = found.record.clone();
    token.spend(identity, factor, app.clock.now())?;
    let until = token.expires_at() + AccessToken::KEPT;
    Ok(Batch::new()
        .assert_read(&key, &found)
        .put_record_until(key, &token, until)?)
}
