//! Issues an access token.

use super::token_text;
use crate::app::App;
use crate::domain::access_token::AccessToken;
use crate::domain::sid::{AccessTokenSid, AccountSid, ServiceSid};
use crate::domain::text::{FriendlyName, Identity};
use crate::flows::service::fetch_service::read_service;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Issues permission for one device of `identity` to create one push factor within `ttl` seconds. Returns the record and
/// the token.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn create_access_token(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: Identity,
    factor_friendly_name: Option<FriendlyName>,
    ttl: u16,
) -> Result<(AccessToken, String), Error> {
    let now = app.clock.now();
    let token = AccessToken {
        sid: AccessTokenSid::generate(now, app.entropy.as_ref()),
        account,
        identity,
        factor_friendly_name,
        ttl,
        date_created: now,
        spent_on: None,
    };
    retry_on_conflict(|| commit(app, service, &token)).await?;
    let text = token_text::write(app, service, token.sid);
    Ok((token, text))
}

async fn commit(app: &App, service: ServiceSid, token: &AccessToken) -> Result<(), Error> {
    let owner = read_service(app, token.account, service).await?;
    let key = keys::access_token(service, token.sid);
    let batch = Batch::new()
        .assert_read(&keys::service(token.account, service), &owner)
        .put_new_record_until(key, token, token.expires_at() + AccessToken::KEPT)?;
    Ok(app.store.commit(batch).await?)
}
