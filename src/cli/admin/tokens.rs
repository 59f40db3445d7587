//! Bearer tokens, as operators administer them.

use super::{AdminRefusal, NewToken, Reply, TokenView, explain};
use crate::app::App;
use crate::domain::sid::AccountSid;
use crate::domain::text::DialectName;
use crate::flows::bearer_token::NewBearerToken;
use crate::flows::{access, bearer_token};

pub(super) fn dialect(name: &str) -> Result<DialectName, AdminRefusal> {
    DialectName::parse(name)
        .map_err(|invalid| AdminRefusal::Misused(format!("{name:?} is no name of a protocol: it {invalid}")))
}

pub(super) async fn create(
    app: &App,
    account: AccountSid,
    new: NewBearerToken,
) -> Result<Reply, AdminRefusal> {
    if let Some(user) = &new.user {
        let checked = app.policy.identities.parse(user.name.as_str());
        checked.map_err(|invalid| AdminRefusal::Misused(format!("the name of a user {invalid}")))?;
    }
    let (token, secret) = bearer_token::create(app, account, new)
        .await
        .map_err(|error| explain(error, "there is no such account"))?;
    Ok(Reply::Token(NewToken {
        sid: token.sid.to_string(),
        account_sid: account.to_string(),
        token: access::presented(token.sid, &secret).to_string(),
    }))
}

pub(super) async fn list(app: &App, account: AccountSid) -> Result<Reply, AdminRefusal> {
    let tokens = bearer_token::list(app, account)
        .await
        .map_err(|error| explain(error, "there is no such account"))?;
    Ok(Reply::Tokens(tokens.iter().map(TokenView::from).collect()))
}

pub(super) async fn revoke(app: &App, token: &str) -> Result<Reply, AdminRefusal> {
    let sid = token
        .parse()
        .map_err(|error| AdminRefusal::Misused(format!("{token} is no bearer token's SID: it {error}")))?;
    bearer_token::revoke(app, sid)
        .await
        .map_err(|error| explain(error, "there is no such bearer token"))?;
    Ok(Reply::Done(format!("revoked {token}")))
}
