//! Access tokens: permission for one device to create one factor.
//!
//! Their text is derived from the master key, so that the store does not hold it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::App;
use crate::crypto::vault::Purpose;
use crate::domain::access;
use crate::domain::access_token::{AccessToken, Refusal, TokenLife};
use crate::domain::audit::Author;
use crate::domain::entity::EntityName;
use crate::domain::sid::{AccessTokenSid, AccountSid, FactorSid, ServiceSid};
use crate::domain::text::FriendlyName;
use crate::domain::time::Timestamp;
use crate::flows::access::refuse_suspended;
use crate::flows::reading::{Admitted, Foreseen, NotRead, Prior, Reading};
use crate::flows::{Error, account, audit, retry_on_conflict, service};
use crate::store::{Batch, keys};

/// Issues permission for one device of the entity `name`, which need not exist yet, to create one push
/// factor within `life`. Returns the record and the token.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    name: &EntityName,
    factor_friendly_name: Option<FriendlyName>,
    life: TokenLife,
) -> Result<(AccessToken, String), Error<Refusal>> {
    let now = app.clock.now();
    let token = AccessToken {
        sid: AccessTokenSid::generate(now, app.sids.as_ref()),
        account,
        identity: name.identity.clone(),
        factor_friendly_name,
        life,
        date_created: now,
        spent_on: None,
    };
    retry_on_conflict(app, || create_once(app, name.service, &token)).await?;
    let text = write_text(app, name.service, token.sid);
    Ok((token, text))
}

async fn create_once(app: &App, service: ServiceSid, token: &AccessToken) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    reading.require(&keys::service(token.account, service)).await?;
    let key = keys::access_token(service, token.sid);
    let until = token.expires_at() + AccessToken::KEPT;
    let batch = Batch::new().put_new_record_until(key, token, until)?;
    Ok(reading.commit(batch).await?)
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
) -> Result<(AccessToken, String), Error<Refusal>> {
    let key = keys::access_token(service, sid);
    let (_, found) = service::read_with(&mut Reading::new(app), account, service, &key).await?;
    let token = found.ok_or(NotRead::Absent)?;
    Ok((token, write_text(app, service, sid)))
}

/// The account and the SID of an access token that this server issued for `service`. Whether it is still good for
/// anything shows when it is spent.
///
/// # Errors
/// [`access::Refusal::Credentials`] when it is none, [`access::Refusal::Suspended`] when its account is suspended; [`Error::Failed`].
pub async fn authenticate(
    app: &App,
    service: ServiceSid,
    text: &str,
    foresee: impl Fn(AccountSid) -> Foreseen,
) -> Result<(Admitted<AccountSid>, AccessTokenSid), Error<access::Refusal>> {
    let sid = read_text(app, service, text).ok_or(access::Refusal::Credentials)?;
    let mut reading = Reading::new(app);
    let account = reading.require(&keys::access_token(service, sid)).await?.account;
    let foreseen = foresee(account).and(keys::account(account));
    reading.prefetch(foreseen.keys()).await?;
    let active = account::is_active(&mut reading, account).await?;
    audit::note_author(account, Author::AccessToken(sid));
    if !active {
        return Err(refuse_suspended(app).await.into());
    }
    let prior = Prior::of(reading);
    Ok((Admitted { who: account, prior }, sid))
}

/// Whether `text` looks like an access token, and not like a device's JWT.
#[must_use]
pub fn looks_like_one(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Adds to `batch` what spends the token on `factor`, when `reading` commits it.
///
/// # Errors
/// [`Refusal::Unfit`], [`Error::Failed`].
pub(crate) async fn spend(
    reading: &mut Reading<'_>,
    sid: AccessTokenSid,
    name: &EntityName,
    factor: FactorSid,
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, Error<Refusal>> {
    let key = keys::access_token(name.service, sid);
    let mut token = reading.get(&key).await?.ok_or(Refusal::Unfit)?;
    token.spend(&name.identity, factor, now)?;
    let until = token.expires_at() + AccessToken::KEPT;
    Ok(batch.put_record_until(key, &token, until)?)
}

/// What every access token begins with, so that one that leaks is recognized.
const PREFIX: &str = "cse1_";

/// The text: the prefix, and in base64url the bytes of the SID and a MAC over the service and them.
fn write_text(app: &App, service: ServiceSid, sid: AccessTokenSid) -> String {
    let tag = app.vault.mac(Purpose::AccessToken, &message(service, sid));
    let mut bytes = Vec::with_capacity(48);
    bytes.extend_from_slice(sid.as_bytes());
    bytes.extend_from_slice(&tag);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// The SID in a text that this server wrote for this service.
fn read_text(app: &App, service: ServiceSid, text: &str) -> Option<AccessTokenSid> {
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
