//! Accounts: who may call the API.

use crate::app::App;
use crate::crypto::plain_token::PlainToken;
use crate::crypto::webhook_secret::WebhookSecret;
use crate::domain::account::{Account, AccountStatus, Refusal};
use crate::domain::sid::AccountSid;
use crate::domain::text::FriendlyName;
use crate::domain::webhook_secrets::WebhookSecrets;
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault, retry_on_conflict, webhook_secret};
use crate::store::{Batch, keys};

/// Whether the account exists and is not suspended.
pub(crate) async fn is_active(reading: &mut Reading<'_>, account: AccountSid) -> Result<bool, Fault> {
    let found = reading.glance(&keys::account(account)).await?;
    Ok(found.is_some_and(|account| account.is_active()))
}

/// A new account, with what is shown this once.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct NewAccount {
    pub account: Account,
    pub token: PlainToken,
    /// What its webhooks are signed with.
    pub webhook_secret: WebhookSecret,
}

/// Creates an account with a new SID, a new auth token and a new webhook signing secret.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn create(app: &App, friendly_name: FriendlyName) -> Result<NewAccount, Fault> {
    // Sealed anew in each attempt: what is sealed with a key that is gone by now is not written.
    retry_on_conflict(app, || async {
        let sid = AccountSid::generate(app.clock.now(), app.sids.as_ref());
        let token = PlainToken::auth_token(app.entropy.as_ref());
        let webhook_secret = WebhookSecret::generate(app.entropy.as_ref());
        let secrets = WebhookSecrets::new(webhook_secret::seal(app, sid, &webhook_secret), true);
        let account = put_new(app, sid, token.reveal(), friendly_name.clone(), secrets).await?;
        Ok(NewAccount {
            account,
            token,
            webhook_secret,
        })
    })
    .await
}

/// Creates an account whose SID and auth token were chosen elsewhere. Its webhook signing secret is shown to nobody:
/// [`webhook_secret::rotate`] makes one that is.
///
/// # Errors
/// [`Fault::Conflict`] when the SID is taken; as [`create`].
pub async fn create_as(
    app: &App,
    sid: AccountSid,
    token: &str,
    friendly_name: FriendlyName,
) -> Result<Account, Fault> {
    let secret = WebhookSecret::generate(app.entropy.as_ref());
    let secrets = WebhookSecrets::new(webhook_secret::seal(app, sid, &secret), false);
    put_new(app, sid, token, friendly_name, secrets).await
}

/// Creates the first account of an empty store, as [`create`] does; `None` if the store has accounts. Of several processes that
/// begin with one store at the same time, one creates it.
///
/// # Errors
/// [`Fault`].
pub async fn create_first(app: &App, friendly_name: &FriendlyName) -> Result<Option<NewAccount>, Fault> {
    retry_on_conflict(app, || async {
        let Some(reading) = empty(app).await? else {
            return Ok(None);
        };
        let sid = AccountSid::generate(app.clock.now(), app.sids.as_ref());
        let token = PlainToken::auth_token(app.entropy.as_ref());
        let webhook_secret = WebhookSecret::generate(app.entropy.as_ref());
        let secrets = WebhookSecrets::new(webhook_secret::seal(app, sid, &webhook_secret), true);
        let account = account(app, sid, token.reveal(), friendly_name.clone(), secrets);
        put_first(reading, &account).await?;
        Ok(Some(NewAccount {
            account,
            token,
            webhook_secret,
        }))
    })
    .await
}

/// Creates the first account of an empty store, as [`create_as`] does; `None` if the store has accounts.
///
/// # Errors
/// [`Fault`].
pub async fn create_first_as(
    app: &App,
    sid: AccountSid,
    token: &str,
    friendly_name: &FriendlyName,
) -> Result<Option<Account>, Fault> {
    retry_on_conflict(app, || async {
        let Some(reading) = empty(app).await? else {
            return Ok(None);
        };
        let secret = WebhookSecret::generate(app.entropy.as_ref());
        let secrets = WebhookSecrets::new(webhook_secret::seal(app, sid, &secret), false);
        let account = account(app, sid, token, friendly_name.clone(), secrets);
        put_first(reading, &account).await?;
        Ok(Some(account))
    })
    .await
}

/// What the first account rests on; `None` if there is one. The format is read before the accounts are and is written with the
/// first one, so whoever found no account either comes in its way.
async fn empty(app: &App) -> Result<Option<Reading<'_>>, Fault> {
    let mut reading = Reading::new(app);
    reading.get(&keys::store_format()).await?;
    let accounts = reading.list(&keys::accounts(), 1).await?;
    Ok(accounts.is_empty().then_some(reading))
}

async fn put_first(mut reading: Reading<'_>, first: &Account) -> Result<(), Fault> {
    let (key, format) = (keys::account(first.sid), keys::store_format());
    if reading.contains(&key).await? {
        return Err(Fault::Conflict(None));
    }
    let mut batch = Batch::new().put_record(key, first)?;
    if let Some(found) = reading.get(&format).await? {
        batch = batch.put_record(format, &found)?;
    }
    reading.commit(batch).await
}

async fn put_new(
    app: &App,
    sid: AccountSid,
    token: &str,
    friendly_name: FriendlyName,
    webhook_secrets: WebhookSecrets,
) -> Result<Account, Fault> {
    let account = account(app, sid, token, friendly_name, webhook_secrets);
    let key = keys::account(sid);
    let mut reading = Reading::new(app);
    if reading.contains(&key).await? {
        return Err(Fault::Conflict(None));
    }
    reading.commit(Batch::new().put_record(key, &account)?).await?;
    Ok(account)
}

fn account(
    app: &App,
    sid: AccountSid,
    token: &str,
    friendly_name: FriendlyName,
    webhook_secrets: WebhookSecrets,
) -> Account {
    Account {
        sid,
        friendly_name,
        token: app.vault.token_hash(sid.as_bytes(), token),
        status: AccountStatus::Active,
        date_created: app.clock.now(),
        webhook_secrets,
    }
}

/// All accounts, oldest first. Accounts are few: one for each team that shares the server.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn list(app: &App) -> Result<Vec<Account>, Fault> {
    Reading::new(app).list(&keys::accounts(), usize::MAX).await
}

/// The account `sid`, or the only one there is if none is named.
///
/// # Errors
/// [`Fault`].
pub async fn find(app: &App, sid: Option<AccountSid>) -> Result<FoundAccount, Fault> {
    let mut reading = Reading::new(app);
    let Some(sid) = sid else {
        let mut some = reading.list(&keys::accounts(), 2).await?;
        return Ok(match (some.pop(), some.pop()) {
            (Some(only), None) => FoundAccount::One(only),
            (None, _) => FoundAccount::None,
            (Some(_), Some(_)) => FoundAccount::Several,
        });
    };
    let found = reading.get(&keys::account(sid)).await?;
    Ok(found.map_or(FoundAccount::None, FoundAccount::One))
}

/// What there is of accounts.
#[derive(Clone, Debug)]
pub enum FoundAccount {
    /// None, or not the one that is named.
    None,
    /// The one that is meant.
    One(Account),
    /// It is not said which one is meant.
    Several,
}

/// Gives the account a new auth token; the old one is refused from the next request on.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn rotate_token(app: &App, account: AccountSid) -> Result<PlainToken, Error<Refusal>> {
    let token = PlainToken::auth_token(app.entropy.as_ref());
    retry_on_conflict(app, || rotate_token_once(app, account, &token)).await?;
    Ok(token)
}

async fn rotate_token_once(app: &App, account: AccountSid, token: &PlainToken) -> Result<(), Error<Refusal>> {
    let key = keys::account(account);
    let mut reading = Reading::new(app);
    let mut record = reading.require(&key).await?;
    record.token = app.vault.token_hash(account.as_bytes(), token.reveal());
    reading.commit(Batch::new().put_record(key, &record)?).await?;
    app.memory.waiters.account_changed(account);
    Ok(())
}

/// From the next request on, the credentials of a suspended account, its API keys and its devices are refused.
///
/// # Errors
/// [`Refusal::NotFound`] without such an account, [`Error::Failed`].
pub async fn suspend(app: &App, account: AccountSid) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || {
        set_status(app, account, AccountStatus::Suspended { at: app.clock.now() })
    })
    .await
}

/// Accepts the account's credentials again.
///
/// # Errors
/// As [`suspend`].
pub async fn resume(app: &App, account: AccountSid) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || set_status(app, account, AccountStatus::Active)).await
}

async fn set_status(app: &App, account: AccountSid, status: AccountStatus) -> Result<(), Error<Refusal>> {
    let key = keys::account(account);
    let mut reading = Reading::new(app);
    let mut record = reading.require(&key).await?;
    record.status = status;
    reading.commit(Batch::new().put_record(key, &record)?).await?;
    app.memory.waiters.account_changed(account);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::TestParts;
    use crate::flows::store_format;

    async fn two_nodes() -> [App; 2] {
        let one = TestParts::default().wire();
        store_format::check(&one).await.unwrap();
        let other = TestParts::of(&one).wire();
        [one, other]
    }

    fn name() -> FriendlyName {
        FriendlyName::parse("First account").unwrap()
    }

    #[tokio::test]
    async fn of_two_nodes_that_found_no_account_one_creates_the_first() {
        let [one, other] = two_nodes().await;
        let (reads_first, reads_second) = (empty(&one).await.unwrap(), empty(&other).await.unwrap());
        let new = async |app: &App| create(app, name()).await.unwrap().account;
        // Two accounts as they would be created, of another store.
        let elsewhere = TestParts::default().wire();
        let accounts = [new(&elsewhere).await, new(&elsewhere).await];
        put_first(reads_first.unwrap(), &accounts[0]).await.unwrap();
        let second = put_first(reads_second.unwrap(), &accounts[1]).await;
        assert!(matches!(second, Err(Fault::Conflict(_))), "{second:?}");
        assert!(create_first(&other, &name()).await.unwrap().is_none());
        let found: Vec<_> = list(&one)
            .await
            .unwrap()
            .iter()
            .map(|account| account.sid)
            .collect();
        assert_eq!(found, [accounts[0].sid]);
    }

    #[tokio::test]
    async fn nodes_that_are_told_the_same_first_account_all_begin() {
        let [one, other] = two_nodes().await;
        let sid = AccountSid::from_bytes([7; 16]);
        let first = async |app: &App| create_first_as(app, sid, "a token of our own", &name()).await;
        assert_eq!(first(&one).await.unwrap().unwrap().sid, sid);
        assert!(first(&other).await.unwrap().is_none());
        assert_eq!(list(&other).await.unwrap().len(), 1);
        let [one, other] = two_nodes().await;
        let (reads_first, reads_second) = (empty(&one).await.unwrap(), empty(&other).await.unwrap());
        let secrets = || {
            let secret = WebhookSecret::generate(one.entropy.as_ref());
            WebhookSecrets::new(webhook_secret::seal(&one, sid, &secret), false)
        };
        let account = account(&one, sid, "a token of our own", name(), secrets());
        put_first(reads_first.unwrap(), &account).await.unwrap();
        let second = put_first(reads_second.unwrap(), &account).await;
        assert!(matches!(second, Err(Fault::Conflict(_))), "{second:?}");
        assert!(first(&other).await.unwrap().is_none());
    }
}
