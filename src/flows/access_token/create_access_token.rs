//! Issues an access token.

use super::token_text;
use crate::app::App;
use crate::domain::access_token::AccessToken;
use crate::domain::sid::{AccessTokenSid, AccountSid, ServiceSid};
use crate::domain::text::{FriendlyName, Identity};
use crate::flows::Error;
use crate::flows::service::fetch_service::read_service;
use crate::store::{Batch, keys};

/// Issues permission for one device of `identity` to create one push factor within `ttl` seconds. Returns the record and
/// the token.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`] without such a service, [`Error::Corrupt`], [`Error::Unavailable`].
pub async fn create_access_token(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: Identity,
    factor_friendly_name: Option<FriendlyName>,
    ttl: u16,
) -> Result<(AccessToken, String), Error> {
    read_service(app, account, service).await?;
    let now = app.clock.now();
    let sid = AccessTokenSid::generate(now, app.entropy.as_ref());
    let token = AccessToken {
        sid,
        account,
        identity,
        factor_friendly_name,
        ttl,
        date_created: now,
        spent_on: None,
    };
    let key = keys::access_token(service, sid);
    let until = token.expires_at() + AccessToken::KEPT;
    app.store
        .commit(Batch::new().put_new_record_until(key, &token, until)?)
        .await?;
    Ok((token, token_text::write(app, service, sid)))
}
