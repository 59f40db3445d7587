//! Whom a bearer token lets in.

use zeroize::Zeroizing;

use super::decoy::or_decoy;
use super::refuse_suspended;
use crate::app::App;
use crate::crypto::plain_token::PlainToken;
use crate::domain::access::Refusal;
use crate::domain::audit::Author;
use crate::domain::bearer_token::BearerToken;
use crate::domain::sid::{AccountSid, BearerTokenSid};
use crate::flows::reading::{Admitted, Foreseen, Prior, Reading};
use crate::flows::{Error, audit};
use crate::store::keys;

/// A token as callers present it: its SID, an underscore and its secret.
#[must_use]
pub fn presented(sid: BearerTokenSid, secret: &PlainToken) -> Zeroizing<String> {
    Zeroizing::new(format!("{sid}_{}", secret.reveal()))
}

/// Whom the token that is `presented` in the protocol `dialect` lets in. An unknown one takes as long as a wrong one. What is
/// foreseen of the request is read with the account.
///
/// # Errors
/// [`Refusal::Credentials`] for whatever is wrong with it, [`Refusal::Suspended`] for a right one of a suspended account,
/// [`Error::Failed`].
pub async fn authenticate_bearer(
    app: &App,
    presented: &str,
    dialect: &'static str,
    foresee: impl Fn(AccountSid) -> Foreseen,
) -> Result<Admitted<BearerToken>, Error<Refusal>> {
    let (sid, secret) = presented.split_once('_').ok_or(Refusal::Credentials)?;
    let sid: BearerTokenSid = sid.parse().map_err(|_| Refusal::Credentials)?;
    let mut reading = Reading::new(app);
    let (token, known) = or_decoy(app, reading.get(&keys::bearer_token(sid)).await?)?;
    let foreseen = foresee(token.account).and(keys::account(token.account));
    reading.prefetch(foreseen.keys()).await?;
    let (account, has_account) = or_decoy(app, reading.glance(&keys::account(token.account)).await?)?;
    let holds = known & has_account & token.holds(dialect, app.clock.now());
    // The secret is looked at in any case.
    let right = app.vault.token_matches(sid.as_bytes(), secret, &token.secret) & holds;
    if !right {
        audit::note_stranger(app, token.account, known);
        return Err(Refusal::Credentials.into());
    }
    audit::note_author(token.account, Author::BearerToken(sid));
    audit::note_dialect(dialect);
    if !account.is_active() {
        return Err(refuse_suspended(app).await.into());
    }
    let prior = Prior::of(reading);
    Ok(Admitted { who: token, prior })
}
