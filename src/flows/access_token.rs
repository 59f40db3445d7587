//! Access tokens: permission for one device to create one factor.
//!
//! Their text is derived from the master key, so that the store does not hold it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::App;
use crate::crypto::vault::Purpose;
use crate::domain::access_token::AccessToken;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccessTokenSid, AccountSid, FactorSid, ServiceSid};
use crate::domain::text::{FriendlyName, Identity};
use crate::flows::{Error, account, retry_on_conflict, service};
use crate::store::{Batch, keys, records};

/// Issues permission for one device of `identity` to create one push factor within `ttl` seconds. Returns the record and
/// the token.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn create(
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
    retry_on_conflict(|| create_once(app, service, &token)).await?;
    let text = write_text(app, service, token.sid);
    Ok((token, text))
}

async fn create_once(app: &App, service: ServiceSid, token: &AccessToken) -> Result<(), Error> {
    let owner = service::read(app, token.account, service).await?;
    let key = keys::access_token(service, token.sid);
    let batch = Batch::new()
        .assert_read(&keys::service(token.account, service), &owner)
        .put_new_record_until(key, token, token.expires_at() + AccessToken::KEPT)?;
    Ok(app.store.commit(batch).await?)
}

/// The record and the token, until [`AccessToken::KEPT`] after its end.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    sid: AccessTokenSid,
) -> Result<(AccessToken, String), Error> {
    service::read(app, account, service).await?;
    let found = records::read(app.store.as_ref(), &keys::access_token(service, sid)).await?;
    let token = found.ok_or(Refusal::NotFound)?.record;
    Ok((token, write_text(app, service, sid)))
}

/// The account and the SID of an access token that this server issued for `service`. Whether it is still good for
/// anything shows when it is spent.
///
/// # Errors
/// [`Refusal::Credentials`] when it is none, or its account is suspended; [`Error::Failed`].
pub async fn authenticate(
    app: &App,
    service: ServiceSid,
    text: &str,
) -> Result<(AccountSid, AccessTokenSid), Error> {
    let sid = read_text(app, service, text).ok_or(Refusal::Credentials)?;
    let found = records::read(app.store.as_ref(), &keys::access_token(service, sid)).await?;
    let account = found.ok_or(Refusal::Credentials)?.record.account;
    if account::is_active(app, account).await? {
        Ok((account, sid))
    } else {
        Err(Refusal::Credentials.into())
    }
}

/// Whether `text` looks like an access token, and not like a device's JWT.
#[must_use]
pub fn looks_like_one(text: &str) -> bool {
    text.starts_with(PREFIX)
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

/// What every access token begins with, so that one that leaks is recognized.
pub(super) const PREFIX: &str = "cse1_";

/// The text: the prefix, and in base64url the bytes of the SID and a MAC over the service and them.
pub(super) fn write_text(app: &App, service: ServiceSid, sid: AccessTokenSid) -> String {
    let tag = app.vault.mac(Purpose::AccessToken, &message(service, sid));
    let mut bytes = Vec::with_capacity(48);
    bytes.extend_from_slice(sid.as_bytes());
    bytes.extend_from_slice(&tag);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// The SID in a text that this server wrote for this service.
pub(super) fn read_text(app: &App, service: ServiceSid, text: &str) -> Option<AccessTokenSid> {
    let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
    let (sid, tag) = bytes.split_first_chunk::<16>()?;
    let sid = AccessTokenSid::from_bytes(*sid);
    app.vault
        .mac_matches(Purpose::AccessToken, &message(service, sid), tag)
        .then_some(sid)
}

fn message(service: ServiceSid, sid: AccessTokenSid) -> [u8; 32] {
    let mut message = [0; 32];
    message[..16].copy_from_slice(service.as_bytes());
    message[16..].copy_from_slice(sid.as_bytes());
    message
}
