//! Fetches an access token.

use super::token_text;
use crate::app::App;
use crate::domain::access_token::AccessToken;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccessTokenSid, AccountSid, ServiceSid};
use crate::flows::Error;
use crate::flows::service::fetch_service::read_service;
use crate::store::{keys, records};

/// The record and the token, until [`AccessToken::KEPT`] after its end.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch_access_token(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: AccessTokenSid,
) -> Result<(AccessToken, String), Error> {
    read_service(app, account, service).await?;
    let found = records::read(app.store.as_ref(), &keys::access_token(service, sid)).await?;
    let token = found.ok_or(Refusal::NotFound)?.record;
    Ok((token, token_text::write(app, service, sid)))
}
