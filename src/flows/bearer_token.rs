//! Bearer tokens: what callers show in protocols that know no user names.

use std::time::Duration;

use crate::app::App;
use crate::crypto::plain_token::PlainToken;
use crate::domain::bearer_token::{BearerToken, Refusal, TokenUser};
use crate::domain::sid::{AccountSid, BearerTokenSid};
use crate::domain::text::{DialectName, FriendlyName};
use crate::flows::reading::Reading;
use crate::flows::{Error, retry_on_conflict};
use crate::store::keys::{self, Key};
use crate::store::{Batch, Order, Scan};

/// What a token is to be good for.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct NewBearerToken {
    pub dialect: DialectName,
    pub user: Option<TokenUser>,
    pub friendly_name: FriendlyName,
    /// For how long; for ever if `None`.
    pub life: Option<Duration>,
}

/// Creates a bearer token of an account. What it is presented as is shown to nobody again: see
/// [`presented`](crate::flows::access::presented).
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    new: NewBearerToken,
) -> Result<(BearerToken, PlainToken), Error<Refusal>> {
    let now = app.clock.now();
    let sid = BearerTokenSid::generate(now, app.sids.as_ref());
    let secret = PlainToken::bearer_secret(app.entropy.as_ref());
    let token = BearerToken {
        sid,
        account,
        dialect: new.dialect,
        user: new.user,
        friendly_name: new.friendly_name,
        secret: app.vault.token_hash(sid.as_bytes(), secret.reveal()),
        date_created: now,
        expires_at: new.life.map(|life| now + life),
    };
    retry_on_conflict(app, || create_once(app, &token)).await?;
    Ok((token, secret))
}

async fn create_once(app: &App, token: &BearerToken) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    reading.require(&keys::account(token.account)).await?;
    let batch = Batch::new()
        .put_new_record(keys::bearer_token(token.sid), token)?
        .mark(keys::bearer_tokens_of(token.account).key(token.sid.as_bytes()));
    Ok(reading.commit(batch).await?)
}

/// The bearer tokens of an account, oldest first, those that are over included.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn list(app: &App, account: AccountSid) -> Result<Vec<BearerToken>, Error<Refusal>> {
    let mut reading = Reading::new(app);
    reading.require(&keys::account(account)).await?;
    let scan = Scan {
        prefix: keys::bearer_tokens_of(account).bytes().to_vec(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let markers = reading.scan(scan).await?;
    let sids = markers.iter().filter_map(|(marker, _)| keys::last_sid(marker));
    let names: Vec<_> = sids
        .map(|sid| keys::bearer_token(BearerTokenSid::from_bytes(sid)))
        .collect();
    reading.prefetch(names.iter().map(Key::bytes)).await?;
    let mut tokens = Vec::with_capacity(names.len());
    for name in names {
        tokens.extend(reading.get(&name).await?);
    }
    Ok(tokens)
}

/// Deletes a bearer token: it is refused from the next request on.
///
/// # Errors
/// [`Refusal::NotFound`] without such a token, [`Error::Failed`].
pub async fn revoke(app: &App, sid: BearerTokenSid) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || revoke_once(app, sid)).await
}

async fn revoke_once(app: &App, sid: BearerTokenSid) -> Result<(), Error<Refusal>> {
    let key = keys::bearer_token(sid);
    let mut reading = Reading::new(app);
    let account = reading.require(&key).await?.account;
    let marker = keys::bearer_tokens_of(account).key(sid.as_bytes());
    let batch = Batch::new().delete(key.into_bytes()).delete(marker.into_bytes());
    reading.commit(batch).await?;
    app.memory.waiters.account_changed(account);
    Ok(())
}
