//! What must hold for API keys and bearer tokens, their places in their accounts' lists, and the names that keys brought along.

use super::walk::{Here, Walk};
use crate::domain::account::ApiKey;
use crate::domain::bearer_token::BearerToken;
use crate::domain::sid::{AccountSid, ApiKeySid, BearerTokenSid};
use crate::domain::text::KeyName;
use crate::flows::Fault;
use crate::store::keys;
use crate::store::records::ImportedKey;

impl Walk<'_> {
    pub(super) async fn check_api_key(&mut self, here: &Here<'_>, sid: ApiKeySid) -> Result<(), Fault> {
        let key: ApiKey = here.record()?;
        self.check_sid(here, key.sid == sid);
        let account = keys::account(key.account);
        self.refer(here, &account, "its account does not exist", |_| None)
            .await?;
        let listed = keys::api_keys_of(key.account).key(key.sid.as_bytes());
        if self.look(listed.bytes()).await?.is_none() {
            self.confirm(here, "it is not in its account's list").await?;
        }
        if let Some(name) = &key.imported {
            let wrong = |named: &ImportedKey| (named.key != sid).then_some("its name is another key's");
            self.refer(here, &keys::imported_key(name), "its name leads nowhere", wrong)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn check_bearer_token(
        &mut self,
        here: &Here<'_>,
        sid: BearerTokenSid,
    ) -> Result<(), Fault> {
        let token: BearerToken = here.record()?;
        self.check_sid(here, token.sid == sid);
        let account = keys::account(token.account);
        self.refer(here, &account, "its account does not exist", |_| None)
            .await?;
        let listed = keys::bearer_tokens_of(token.account).key(sid.as_bytes());
        if self.look(listed.bytes()).await?.is_none() {
            self.confirm(here, "it is not in its account's list").await?;
        }
        Ok(())
    }

    pub(super) async fn check_imported_key(&mut self, here: &Here<'_>, name: &KeyName) -> Result<(), Fault> {
        let ImportedKey { key } = here.record()?;
        let wrong = |key: &ApiKey| (key.imported.as_ref() != Some(name)).then_some("it has another name");
        self.refer(here, &keys::api_key(key), "its API key does not exist", wrong)
            .await
    }

    pub(super) async fn check_listed_key(
        &mut self,
        here: &Here<'_>,
        account: AccountSid,
        sid: ApiKeySid,
    ) -> Result<(), Fault> {
        let wrong = |key: &ApiKey| (key.account != account).then_some("it is another account's");
        self.refer(here, &keys::api_key(sid), "it does not exist", wrong)
            .await
    }

    pub(super) async fn check_listed_token(
        &mut self,
        here: &Here<'_>,
        account: AccountSid,
        sid: BearerTokenSid,
    ) -> Result<(), Fault> {
        let wrong = |token: &BearerToken| {
            (token.account != account).then_some("the bearer token is another account's")
        };
        self.refer(here, &keys::bearer_token(sid), "it does not exist", wrong)
            .await
    }
}
