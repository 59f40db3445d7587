//! Administering: what `countersign account`, `key`, `token`, `outbox`, `node` and `user` ask for, and what they are answered, whether a running server does it (over the [`socket`] in its data directory) or the command itself
//! (see [`client`]).

mod audit;
pub(super) mod client;
mod data_keys;
mod named;
mod nodes;
mod outbox;
mod refusal;
mod render;
pub(super) mod socket;
mod tokens;
mod user_reasons;
mod user_view;
mod users;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::ZeroizeOnDrop;

use self::named::{account_named, account_or_only_one};
use self::refusal::AdminRefusal;
use crate::app::App;
use crate::cli::Failure;
use crate::crypto::plain_token::ImportedSecret;
use crate::domain::account::{Account, ApiKey};
use crate::domain::bearer_token::{BearerToken, TokenUser};
use crate::domain::refusal::AreaRefusal;
use crate::domain::sid::AccountSid;
use crate::domain::text::{FriendlyName, KeyName};
use crate::flows::audit::{AuditScope, within};
use crate::flows::bearer_token::NewBearerToken;
use crate::flows::outbox::dead_letters::Disposal;
use crate::flows::{self, account, api_key, webhook_secret};

pub(super) use self::audit::{AuditEntryView, AuditPageView, AuditQuery, ChainPlace, ChainView};
pub(super) use self::data_keys::{DataKeysView, KeyRequest, MasterKeyText};
pub(super) use self::nodes::NodeView;
pub(super) use self::outbox::OutboxView;
pub(super) use self::render::render;
pub(super) use self::user_view::{
    ChallengeView, DestinationView, FactorView, PlaceView, UserView, VerificationView,
};
pub(super) use self::users::{EntityTarget, NumberTarget, UserQuery, UserReply, UserRequest, UserTarget};

/// What is asked for. Identifiers are checked by whoever does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum AdminRequest {
    /// The store's own keys.
    AboutKeys {
        what: KeyRequest,
    },
    /// One user.
    AboutUser {
        what: UserRequest,
    },
    CreateAccount {
        name: String,
    },
    CreateKey {
        /// `None` stands for the only account; with several, one has to be named.
        account: Option<String>,
        name: String,
    },
    CreateToken {
        /// `None` as in [`AdminRequest::CreateKey`].
        account: Option<String>,
        name: String,
        dialect: String,
        /// Whose it is, where the protocol has users.
        user: Option<TokenUser>,
        /// For ever if `None`.
        life_seconds: Option<u64>,
    },
    /// The end of dead letters: of one, of all for a receiver, or of all.
    DropOutbox {
        sid: Option<String>,
        receiver: Option<String>,
    },
    /// Everything that is stored. Not answered with a [`Reply`], but with the lines of an export.
    ExportStore,
    /// An API key that was made elsewhere.
    ImportKey {
        /// `None` as in [`AdminRequest::CreateKey`].
        account: Option<String>,
        name: String,
        /// What it is called there.
        key: String,
        secret: ImportedSecret,
    },
    ListAccounts,
    ListAudit(AuditQuery),
    /// Oldest first.
    ListKeys {
        /// `None` as in [`AdminRequest::CreateKey`].
        account: Option<String>,
    },
    ListNodes,
    ListOutbox {
        /// What waits, rather than what was given up.
        waiting: bool,
        /// Behind this place.
        after: Option<String>,
        /// How many rows at the most: 1 to 1000.
        limit: u16,
    },
    /// Oldest first.
    ListTokens {
        /// `None` as in [`AdminRequest::CreateKey`].
        account: Option<String>,
    },
    ResumeAccount {
        account: String,
    },
    /// Another life for dead letters: for one, for all for a receiver, or for all.
    RetryOutbox {
        sid: Option<String>,
        receiver: Option<String>,
    },
    RevokeKey {
        key: String,
    },
    RevokeToken {
        token: String,
    },
    /// A new auth token.
    RotateToken {
        account: String,
    },
    RotateWebhookSecret {
        account: String,
        /// For how long the old one signs beside it.
        overlap_seconds: u64,
    },
    SuspendAccount {
        account: String,
    },
    /// A part of an account's chain of seals.
    VerifyAudit {
        /// Or `none`.
        account: String,
        place: ChainPlace,
    },
}

/// The answer to an [`AdminRequest`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// All accounts, oldest first.
    Accounts(Vec<AccountView>),
    AuditChain(ChainView),
    AuditPage(AuditPageView),
    DataKeys(DataKeysView),
    /// It is done; there is nothing to show.
    Done(String),
    /// All API keys, oldest first.
    Keys(Vec<KeyView>),
    /// The servers that run on the store.
    Nodes(Vec<NodeView>),
    Outbox(OutboxView),
    /// The command line says nothing that could be done; why.
    Misused(String),
    /// It was not done; why.
    Refused(String),
    Secret(NewSecret),
    Token(NewToken),
    /// All bearer tokens, oldest first.
    Tokens(Vec<TokenView>),
    User(UserReply),
    WebhookSecret(NewWebhookSecret),
}

/// What is shown of an account: nothing that is secret.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AccountView {
    sid: String,
    friendly_name: String,
    status: String,
    date_created: String,
}

/// What is shown of an API key: nothing that is secret.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeyView {
    sid: String,
    account_sid: String,
    /// What an imported key was called before, which is its user name, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imported: Option<String>,
    friendly_name: String,
    date_created: String,
}

/// What is shown of a bearer token: nothing that is secret.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TokenView {
    sid: String,
    account_sid: String,
    dialect: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manages_users: Option<bool>,
    friendly_name: String,
    date_created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// A new bearer token, in the one answer that shows it.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
pub(super) struct NewToken {
    #[zeroize(skip)]
    sid: String,
    #[zeroize(skip)]
    account_sid: String,
    token: String,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewToken({}, ..)", self.sid)
    }
}

/// A new credential, in the one answer that shows it.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
pub(super) struct NewSecret {
    #[zeroize(skip)]
    sid: String,
    #[zeroize(skip)]
    account_sid: String,
    secret: String,
    /// Of a new account: what its webhooks are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
}

/// A new webhook signing secret, in the one answer that shows it.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
pub(super) struct NewWebhookSecret {
    #[zeroize(skip)]
    account_sid: String,
    webhook_secret: String,
    /// Until when older ones sign, too.
    #[zeroize(skip)]
    old_signs_until: Option<String>,
}

impl fmt::Debug for NewWebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewWebhookSecret({}, ..)", self.account_sid)
    }
}

impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewSecret({}, ..)", self.sid)
    }
}

impl Reply {
    /// The reply, unless it says that nothing was done.
    ///
    /// # Errors
    /// Why nothing was done.
    pub(super) fn done(self) -> Result<Self, Failure> {
        match self {
            Self::Misused(why) => Err(Failure::misused(why)),
            Self::Refused(why) => Err(Failure::new(why)),
            done => Ok(done),
        }
    }
}

/// Does what this user of the machine asks for.
pub(super) async fn execute(app: &App, request: AdminRequest, user: u32) -> Reply {
    let attempt = within(AuditScope::of_operator(user), attempt(app, request));
    Box::pin(attempt).await.unwrap_or_else(Reply::from)
}

async fn attempt(app: &App, request: AdminRequest) -> Result<Reply, AdminRefusal> {
    match request {
        AdminRequest::AboutKeys { what } => data_keys::execute(app, what).await,
        AdminRequest::AboutUser { what } => users::execute(app, what).await,
        AdminRequest::CreateAccount { name } => {
            let new = account::create(app, friendly_name(&name)?)
                .await
                .map_err(|fault| fault.to_string())?;
            let sid = new.account.sid.to_string();
            Ok(Reply::Secret(NewSecret {
                account_sid: sid.clone(),
                sid,
                secret: new.token.reveal().to_owned(),
                webhook_secret: Some(new.webhook_secret.reveal().to_string()),
            }))
        }
        AdminRequest::CreateKey { account, name } => {
            let account = account_or_only_one(app, account).await?;
            let (key, token) = api_key::create(app, account, friendly_name(&name)?)
                .await
                .map_err(no_account)?;
            Ok(secret(&key.sid, account, token.reveal()))
        }
        AdminRequest::CreateToken {
            account,
            name,
            dialect,
            user,
            life_seconds,
        } => {
            let account = account_or_only_one(app, account).await?;
            let new = NewBearerToken {
                dialect: tokens::dialect(&dialect)?,
                user,
                friendly_name: friendly_name(&name)?,
                life: life_seconds.map(Duration::from_secs),
            };
            tokens::create(app, account, new).await
        }
        AdminRequest::DropOutbox { sid, receiver } => {
            outbox::decide_on(app, sid, receiver, Disposal::Dropped).await
        }
        AdminRequest::ExportStore => Err("an export is no reply".into()),
        AdminRequest::ImportKey {
            account,
            name,
            key,
            secret,
        } => import_key(app, account, &name, &key, &secret).await,
        AdminRequest::ListAudit(query) => audit::list(app, query).await,
        AdminRequest::VerifyAudit { account, place } => audit::verify(app, &account, place).await,
        AdminRequest::ListAccounts => all_accounts(app).await,
        AdminRequest::ListKeys { account } => {
            let account = account_or_only_one(app, account).await?;
            let keys = api_key::list(app, account).await.map_err(no_account)?;
            Ok(Reply::Keys(keys.iter().map(KeyView::from).collect()))
        }
        AdminRequest::ListNodes => nodes::list(app).await,
        AdminRequest::ListOutbox {
            waiting,
            after,
            limit,
        } => outbox::list(app, waiting, after, limit).await,
        AdminRequest::ListTokens { account } => {
            tokens::list(app, account_or_only_one(app, account).await?).await
        }
        AdminRequest::ResumeAccount { account } => {
            account::resume(app, account_named(app, &account).await?)
                .await
                .map_err(no_account)?;
            Ok(Reply::Done(format!("resumed {account}")))
        }
        AdminRequest::RetryOutbox { sid, receiver } => {
            outbox::decide_on(app, sid, receiver, Disposal::PutBack).await
        }
        AdminRequest::RevokeKey { key } => {
            let sid = key
                .parse()
                .map_err(|error| AdminRefusal::Misused(format!("{key} is no API key's SID: it {error}")))?;
            api_key::revoke(app, sid)
                .await
                .map_err(|error| explain(error, "there is no such API key"))?;
            Ok(Reply::Done(format!("revoked {key}")))
        }
        AdminRequest::RevokeToken { token } => tokens::revoke(app, &token).await,
        AdminRequest::RotateToken { account } => rotate_token(app, &account).await,
        AdminRequest::RotateWebhookSecret {
            account,
            overlap_seconds,
        } => rotate_webhook_secret(app, &account, Duration::from_secs(overlap_seconds)).await,
        AdminRequest::SuspendAccount { account } => {
            account::suspend(app, account_named(app, &account).await?)
                .await
                .map_err(no_account)?;
            Ok(Reply::Done(format!("suspended {account}")))
        }
    }
}

async fn all_accounts(app: &App) -> Result<Reply, AdminRefusal> {
    let accounts = account::list(app).await.map_err(|fault| fault.to_string())?;
    Ok(Reply::Accounts(accounts.iter().map(AccountView::from).collect()))
}

async fn import_key(
    app: &App,
    account: Option<String>,
    name: &str,
    key: &str,
    secret: &ImportedSecret,
) -> Result<Reply, AdminRefusal> {
    let account = account_or_only_one(app, account).await?;
    let key_name =
        KeyName::parse(key).map_err(|invalid| AdminRefusal::Misused(format!("the key's name {invalid}")))?;
    let imported = api_key::import(app, account, friendly_name(name)?, key_name, secret)
        .await
        .map_err(no_account)?;
    Ok(Reply::Done(format!("imported {key} as {}", imported.sid)))
}

async fn rotate_token(app: &App, account: &str) -> Result<Reply, AdminRefusal> {
    let account = account_named(app, account).await?;
    let token = account::rotate_token(app, account).await.map_err(no_account)?;
    Ok(secret(&account, account, token.reveal()))
}

async fn rotate_webhook_secret(app: &App, account: &str, overlap: Duration) -> Result<Reply, AdminRefusal> {
    let account = account_named(app, account).await?;
    let (secret, alone_from) = webhook_secret::rotate(app, account, overlap)
        .await
        .map_err(no_account)?;
    Ok(Reply::WebhookSecret(NewWebhookSecret {
        account_sid: account.to_string(),
        webhook_secret: secret.reveal().to_string(),
        old_signs_until: alone_from.map(|moment| moment.to_string()),
    }))
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        Self {
            sid: account.sid.to_string(),
            friendly_name: account.friendly_name.to_string(),
            status: if account.is_active() {
                "active"
            } else {
                "suspended"
            }
            .to_owned(),
            date_created: account.date_created.to_string(),
        }
    }
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            sid: key.sid.to_string(),
            account_sid: key.account.to_string(),
            imported: key.imported.as_ref().map(ToString::to_string),
            friendly_name: key.friendly_name.to_string(),
            date_created: key.date_created.to_string(),
        }
    }
}

impl From<&BearerToken> for TokenView {
    fn from(token: &BearerToken) -> Self {
        Self {
            sid: token.sid.to_string(),
            account_sid: token.account.to_string(),
            dialect: token.dialect.to_string(),
            user: token.user.as_ref().map(|user| user.name.to_string()),
            manages_users: token.user.as_ref().map(|user| user.manages_users),
            friendly_name: token.friendly_name.to_string(),
            date_created: token.date_created.to_string(),
            expires: token.expires_at.map(|end| end.to_string()),
        }
    }
}

fn secret(sid: &dyn fmt::Display, account: AccountSid, secret: &str) -> Reply {
    let (sid, account_sid) = (sid.to_string(), account.to_string());
    Reply::Secret(NewSecret {
        sid,
        account_sid,
        secret: secret.to_owned(),
        webhook_secret: None,
    })
}

fn friendly_name(text: &str) -> Result<FriendlyName, AdminRefusal> {
    FriendlyName::parse(text).map_err(|error| AdminRefusal::Misused(format!("--name {error}")))
}

fn no_account<R: AreaRefusal + PartialEq>(error: flows::Error<R>) -> String {
    explain(error, "there is no such account")
}

fn explain<R: AreaRefusal + PartialEq>(error: flows::Error<R>, not_found: &str) -> String {
    match error {
        flows::Error::Refused(refusal) if refusal == R::NOT_FOUND => not_found.to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
