//! What must hold for each kind of entry.
//!
//! To add one more kind: a variant of [`Place`], and a check here of what its record says of its key, of every index that
//! leads to it or from it, and of what is sealed in it.

use super::walk::{Here, Parent, Walk};
use crate::crypto::totp::TotpSecret;
use crate::crypto::webhook_secret::WebhookSecret;
use crate::domain::access_token::AccessToken;
use crate::domain::account::{Account, ApiKey};
use crate::domain::attempt::Attempt;
use crate::domain::challenge::{Challenge, ChallengeStatus, Outcome};
use crate::domain::credential::Credential;
use crate::domain::destination_record::DestinationRecord;
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::events::OutboxRow;
use crate::domain::factor::{Factor, FactorKind, TotpFactor};
use crate::domain::messaging_configuration::MessagingConfiguration;
use crate::domain::outbox::DeadLetter;
use crate::domain::safe_list::SafeNumber;
use crate::domain::service::Service;
use crate::domain::sid::{
    AccountSid, ChallengeSid, CredentialSid, EntitySid, FactorSid, ServiceSid, WebhookSid,
};
use crate::domain::text::Identity;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Webhook, WebhookStatus};
use crate::domain::webhook_secrets::WebhookSecrets;
use crate::flows::{Error, credential};
use crate::store::keys::{self, Owner, Place};
use crate::store::records::{self, ChallengeTimer, CreationRate, DeviceAddress, Purge, Stored};

impl Walk<'_> {
    /// Checks an entry by the rules of its kind.
    pub(super) async fn check(&mut self, here: &Here<'_>) -> Result<(), Error> {
        match here.place {
            Place::AccessToken(service, sid) => {
                if let Some(token) = self.decode::<AccessToken>(here) {
                    self.check_sid(here, token.sid == *sid);
                    self.check_parent(here, *service, Some(token.account)).await?;
                }
            }
            Place::Account(sid) => {
                if let Some(account) = self.decode::<Account>(here) {
                    self.check_sid(here, account.sid == *sid);
                    self.check_webhook_secrets(here, &account);
                }
            }
            Place::ApiKey(_) => self.check_api_key(here).await?,
            Place::ApiKeyOf(account, sid) => {
                self.check_marker(here);
                let wrong = |key: &ApiKey| (key.account != *account).then_some("it is another account's");
                self.refer(here, &keys::api_key(*sid), "it does not exist", wrong)
                    .await?;
            }
            Place::Attempt(account, sid) => {
                if let Some(attempt) = self.decode::<Attempt>(here) {
                    self.check_sid(here, attempt.sid == *sid && attempt.account == *account);
                }
            }
            Place::Destination(service, _) => {
                if self.decode::<DestinationRecord>(here).is_some() {
                    self.check_parent(here, *service, None).await?;
                }
            }
            Place::MessagingConfiguration(service, region) => {
                if let Some(configuration) = self.decode::<MessagingConfiguration>(here) {
                    self.check_sid(here, configuration.region == *region);
                    self.check_parent(here, *service, None).await?;
                }
            }
            Place::RateLimit(service, sid) => self.check_rate_limit(here, *service, *sid).await?,
            Place::RateLimitUses(service, ..) => self.check_rate_limit_uses(here, *service).await?,
            Place::Budget(_) | Place::PrefixBlock(..) => self.check_toll_fraud(here),
            Place::SafeNumber(_, number) => {
                if let Some(safe) = self.decode::<SafeNumber>(here) {
                    self.check_sid(here, safe.number == *number);
                }
            }
            Place::Verification(service, sid) => self.check_verification(here, *service, *sid).await?,
            Place::VerificationTimer(due, sid) => self.check_plan_timer(here, *due, *sid).await?,
            Place::Challenge(owner, sid) => self.check_challenge(here, owner, *sid).await?,
            Place::ChallengeTimer(due, sid) => self.check_timer(here, *due, *sid).await?,
            Place::CreationRate(_) => drop(self.decode::<CreationRate>(here)),
            Place::Credential(account, sid) => self.check_credential(here, *account, *sid).await?,
            Place::DeadLetter(sid) => {
                if let Some(letter) = self.decode::<DeadLetter>(here) {
                    self.check_sid(here, letter.row.sid == *sid);
                }
            }
            Place::Device(_) => self.check_device(here).await?,
            Place::Entity(service, identity) => self.check_entity(here, *service, identity).await?,
            Place::EntityOrder(service, sid) => self.check_entity_order(here, *service, *sid).await?,
            Place::Factor(owner, sid) => self.check_factor(here, owner, *sid).await?,
            Place::OutboxRow(lane, sid) => {
                if let Some(row) = self.decode::<OutboxRow>(here) {
                    self.check_sid(here, row.sid == *sid && row.message.lane() == *lane);
                }
            }
            Place::OutboxRowWithoutLane(sid) => {
                if let Some(row) = self.decode::<OutboxRow>(here) {
                    self.check_sid(here, row.sid == *sid);
                }
            }
            Place::Pending(owner, factor, sid) => self.check_pending(here, owner, *factor, *sid).await?,
            Place::Purge(service) => {
                self.decode::<Purge>(here);
                self.check_gone(here, *service).await?;
            }
            Place::Service(account, sid) => self.check_service(here, *account, *sid).await?,
            Place::StoreFormat => self.check_format(here),
            Place::VapidKey => self.check_vapid_key(here),
            Place::Webhook(service, sid) => self.check_webhook(here, *service, *sid).await?,
        }
        Ok(())
    }

    async fn check_api_key(&mut self, here: &Here<'_>) -> Result<(), Error> {
        let Some(key) = self.decode::<ApiKey>(here) else {
            return Ok(());
        };
        self.check_sid(here, matches!(here.place, Place::ApiKey(sid) if *sid == key.sid));
        let account = keys::account(key.account);
        self.refer(here, &account, "its account does not exist", |_| None)
            .await?;
        let listed = keys::api_keys_of(key.account).key(key.sid.as_bytes());
        if self.app.store.get(listed.bytes()).await?.is_none() {
            self.confirm(here, "it is not in its account's list").await?;
        }
        Ok(())
    }

    async fn check_challenge(
        &mut self,
        here: &Here<'_>,
        owner: &Owner,
        sid: ChallengeSid,
    ) -> Result<(), Error> {
        let Some(challenge) = self.decode::<Challenge>(here) else {
            return Ok(());
        };
        self.check_sid(here, challenge.sid == sid);
        let listed = keys::pending(&scope(owner), challenge.factor).key(sid.as_bytes());
        if self.app.store.get(listed.bytes()).await?.is_some() {
            return Ok(());
        }
        // Only what still waits has to be listed: the sweeper takes the rest off the list.
        if challenge.status(self.app.clock.now()) == ChallengeStatus::Pending {
            self.confirm(here, "it waits for an answer, but is not in its factor's list")
                .await?;
        }
        Ok(())
    }

    async fn check_credential(
        &mut self,
        here: &Here<'_>,
        account: AccountSid,
        sid: CredentialSid,
    ) -> Result<(), Error> {
        let Some(credential) = self.decode::<Credential>(here) else {
            return Ok(());
        };
        self.check_sid(here, credential.sid == sid && credential.account == account);
        if let Err(error) = credential::open_key(self.app, &credential) {
            self.blame(here, format_args!("its key does not open: {error}"));
        }
        let owner = keys::account(account);
        self.refer(here, &owner, "its account does not exist", |_| None)
            .await
    }

    async fn check_device(&mut self, here: &Here<'_>) -> Result<(), Error> {
        let Some(address) = self.decode::<DeviceAddress>(here) else {
            return Ok(());
        };
        if let Some(account) = self.account_of(address.service)
            && account != address.account
        {
            self.blame(here, "its service is another account's");
        }
        let wrong = |factor: &Factor| match (&factor.kind, here.place) {
            (FactorKind::Push(push), Place::Device(credential)) if push.credential == *credential => None,
            _ => Some("its factor is another device's"),
        };
        let factor = keys::factor(&address.scope(), address.factor);
        self.refer(here, &factor, "its factor does not exist", wrong)
            .await
    }

    async fn check_entity(
        &mut self,
        here: &Here<'_>,
        service: ServiceSid,
        identity: &Identity,
    ) -> Result<(), Error> {
        let Some(entity) = self.decode::<Entity>(here) else {
            return Ok(());
        };
        self.open_family(service, identity, &entity).await?;
        if entity.identity != *identity {
            self.blame(here, "its record has another identity");
        }
        if !self.check_parent(here, service, None).await? {
            return Ok(());
        }
        let wrong =
            |listed: &Identity| (listed != identity).then_some("its service's list has another identity");
        let listed = keys::entity_order(service).key(entity.sid.as_bytes());
        self.refer(here, &listed, "it is not in its service's list", wrong)
            .await
    }

    async fn check_entity_order(
        &mut self,
        here: &Here<'_>,
        service: ServiceSid,
        sid: EntitySid,
    ) -> Result<(), Error> {
        let Some(identity) = self.decode::<Identity>(here) else {
            return Ok(());
        };
        if !self.check_parent(here, service, None).await? {
            return Ok(());
        }
        let wrong = |entity: &Entity| (entity.sid != sid).then_some("another entity has its identity");
        let entity = keys::entity(service, &identity);
        self.refer(here, &entity, "it does not exist", wrong).await
    }

    async fn check_factor(&mut self, here: &Here<'_>, owner: &Owner, sid: FactorSid) -> Result<(), Error> {
        let Some(factor) = self.decode::<Factor>(here) else {
            return Ok(());
        };
        self.check_sid(here, factor.sid == sid);
        if !self.count_factor(owner, factor.factor_type()) {
            self.confirm(here, "its entity does not exist").await?;
        }
        match &factor.kind {
            FactorKind::Push(push) => {
                let wrong = |address: &DeviceAddress| {
                    let found = (address.service, &address.identity, address.entity, address.factor);
                    let expected = (owner.service, &owner.identity, owner.entity, sid);
                    (found != expected).then_some("its device is said to belong to another factor")
                };
                let device = keys::device(push.credential);
                self.refer(here, &device, "its device leads nowhere", wrong).await
            }
            FactorKind::Totp(totp) => {
                self.check_secret(here, totp);
                Ok(())
            }
        }
    }

    fn check_webhook_secrets(&mut self, here: &Here<'_>, account: &Account) {
        for sealed in account.webhook_secrets.iter().flat_map(WebhookSecrets::all) {
            let problem = match self.app.vault.open(here.key, sealed) {
                Ok(bytes) if WebhookSecret::from_bytes(&bytes).is_some() => continue,
                Ok(_) => "it has a wrong length".to_owned(),
                Err(error) => error.to_string(),
            };
            self.blame(here, format_args!("a webhook secret does not open: {problem}"));
        }
    }

    fn check_secret(&mut self, here: &Here<'_>, totp: &TotpFactor) {
        let opened = self.app.vault.open(here.key, &totp.secret);
        let problem = match opened.map(TotpSecret::from_bytes) {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.blame(here, format_args!("its secret does not open: {problem}"));
    }

    async fn check_pending(
        &mut self,
        here: &Here<'_>,
        owner: &Owner,
        factor: FactorSid,
        sid: ChallengeSid,
    ) -> Result<(), Error> {
        self.check_marker(here);
        if here
            .entry
            .expires_at
            .is_some_and(|end| end <= self.app.clock.now())
        {
            // The challenge may have been reclaimed already.
            return Ok(());
        }
        let wrong = |challenge: &Challenge| {
            if challenge.factor != factor {
                Some("it is another factor's")
            } else if challenge.outcome != Outcome::Pending {
                Some("it was answered")
            } else {
                None
            }
        };
        let challenge = keys::challenge(&scope(owner), sid);
        self.refer(here, &challenge, "it does not exist", wrong).await
    }

    /// What a timer leads to may be gone: whoever takes it finds out. If it is there, it is due then.
    async fn check_timer(&mut self, here: &Here<'_>, due: Timestamp, sid: ChallengeSid) -> Result<(), Error> {
        let Some(timer) = self.decode::<ChallengeTimer>(here) else {
            return Ok(());
        };
        self.check_sid(here, timer.challenge == sid);
        let found = records::read(self.app.store.as_ref(), &keys::challenge(&timer.scope(), sid)).await;
        if matches!(found, Ok(Some(Stored { record: Challenge { expires_at, .. }, .. })) if expires_at != due)
        {
            self.blame(here, "its challenge expires at another time");
        }
        Ok(())
    }

    async fn check_service(
        &mut self,
        here: &Here<'_>,
        account: AccountSid,
        sid: ServiceSid,
    ) -> Result<(), Error> {
        let Some(service) = self.decode::<Service>(here) else {
            return Ok(());
        };
        self.check_sid(here, service.sid == sid && service.account == account);
        let owner = keys::account(account);
        self.refer(here, &owner, "its account does not exist", |_| None)
            .await?;
        for (position, subscription) in service.subscriptions.iter().enumerate() {
            let earlier = &service.subscriptions[..position];
            if earlier.iter().any(|other| other.webhook == subscription.webhook) {
                self.blame(here, "it has a webhook's wishes twice");
            }
            let wrong = |webhook: &Webhook| {
                let wanted = webhook.status == WebhookStatus::Enabled;
                (!wanted || webhook.event_types != subscription.events)
                    .then_some("it has other wishes of a webhook than the webhook")
            };
            let webhook = keys::webhook(sid, subscription.webhook);
            self.refer(
                here,
                &webhook,
                "it has wishes of a webhook that does not exist",
                wrong,
            )
            .await?;
        }
        Ok(())
    }

    async fn check_webhook(
        &mut self,
        here: &Here<'_>,
        service: ServiceSid,
        sid: WebhookSid,
    ) -> Result<(), Error> {
        let Some(webhook) = self.decode::<Webhook>(here) else {
            return Ok(());
        };
        self.check_sid(here, webhook.sid == sid);
        if !self.check_parent(here, service, None).await? {
            return Ok(());
        }
        let Some(account) = self.account_of(service) else {
            return Ok(());
        };
        let wrong = |service: &Service| {
            let listed = service.subscriptions.iter().any(|wishes| wishes.webhook == sid);
            (listed != (webhook.status == WebhookStatus::Enabled))
                .then_some("its service does not know whether it is enabled")
        };
        let owner = keys::service(account, service);
        self.refer(here, &owner, "its service does not exist", wrong)
            .await
    }

    /// Checks that the service exists and, if the record names an account, that it is that account's. Returns whether
    /// what belongs to the service can be expected to be complete.
    pub(super) async fn check_parent(
        &mut self,
        here: &Here<'_>,
        service: ServiceSid,
        account: Option<AccountSid>,
    ) -> Result<bool, Error> {
        match self.parent(service).await? {
            Parent::Account(owner) => {
                if account.is_some_and(|account| account != owner) {
                    self.blame(here, "its service is another account's");
                }
                Ok(true)
            }
            Parent::Deleted => Ok(false),
            Parent::Unknown => {
                self.confirm(here, "its service does not exist").await?;
                Ok(false)
            }
        }
    }

    /// A service that is to be swept must be gone, or what is swept would be in use.
    async fn check_gone(&mut self, here: &Here<'_>, service: ServiceSid) -> Result<(), Error> {
        let Some(account) = self.account_of(service) else {
            return Ok(());
        };
        if self
            .app
            .store
            .get(keys::service(account, service).bytes())
            .await?
            .is_some()
        {
            self.confirm(here, "it still exists").await?;
        }
        Ok(())
    }

    pub(super) fn check_sid(&mut self, here: &Here<'_>, same: bool) {
        if !same {
            self.blame(here, "its record belongs under another key");
        }
    }

    fn check_marker(&mut self, here: &Here<'_>) {
        if !here.entry.value.is_empty() {
            self.blame(here, "it should be empty");
        }
    }
}

/// Keys of an entity's children, from other such keys. The account is in none of them.
fn scope(owner: &Owner) -> EntityScope {
    EntityScope {
        account: AccountSid::from_bytes([0; 16]),
        service: owner.service,
        identity: owner.identity.clone(),
        entity: owner.entity,
    }
}
