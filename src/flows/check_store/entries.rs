//! What must hold for entries of one kind, besides what the table of kinds says of it.
//!
//! A kind needs a check here if its record says again what its key says, if an index leads to it or from it, or if something
//! is sealed in it.

use super::walk::{Here, Walk};
use crate::crypto::totp::TotpSecret;
use crate::crypto::webhook_secret::WebhookSecret;
use crate::domain::access_token::AccessToken;
use crate::domain::account::Account;
use crate::domain::attempt::Attempt;
use crate::domain::audit::{AuditEntry, AuditHead, AuditSeal};
use crate::domain::challenge::{Challenge, ChallengeStatus, Outcome};
use crate::domain::client_key::ClientKey;
use crate::domain::credential::Credential;
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::events::OutboxRow;
use crate::domain::factor::{Factor, FactorKind, FactorStatus, TotpFactor};
use crate::domain::messaging_configuration::MessagingConfiguration;
use crate::domain::outbox::{DeadLetter, Lane, Receiver};
use crate::domain::safe_list::SafeNumber;
use crate::domain::sealing::SealedField;
use crate::domain::service::Service;
use crate::domain::sid::{
    AccountSid, ChallengeSid, CredentialSid, EntitySid, EventSid, FactorSid, ServiceSid, WebhookSid,
};
use crate::domain::text::Identity;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::domain::webhook::{Webhook, WebhookStatus};
use crate::flows::push::web_push;
use crate::flows::reading::Reading;
use crate::flows::store_format::FORMAT;
use crate::flows::{Fault, credential};
use crate::store::keys::{self, KeyParts, Owner};
use crate::store::records::{
    self, ChallengeTimer, DeviceRecord, Filling, ServiceCount, StoreFormat, Stored, VapidKeyRecord,
};
use crate::store::{Order, Scan};

impl Walk<'_> {
    /// Checks an entry by the rules of its kind.
    pub(super) async fn check(&mut self, here: &Here<'_>) -> Result<(), Fault> {
        match here.parts {
            KeyParts::AccessToken(service, sid) => {
                let token: AccessToken = here.record()?;
                self.check_sid(here, token.sid == *sid);
                self.check_account(here, *service, token.account);
            }
            KeyParts::Account(sid) => {
                let account: Account = here.record()?;
                self.check_sid(here, account.sid == *sid);
                self.check_webhook_secrets(here, &account).await?;
            }
            KeyParts::ApiKey(sid) => self.check_api_key(here, *sid).await?,
            KeyParts::ImportedKey(name) => self.check_imported_key(here, name).await?,
            KeyParts::BearerToken(sid) => self.check_bearer_token(here, *sid).await?,
            KeyParts::BearerTokenOf(account, sid) => self.check_listed_token(here, *account, *sid).await?,
            KeyParts::ApiKeyOf(account, sid) => self.check_listed_key(here, *account, *sid).await?,
            // Whether they are all there is what `countersign audit verify` finds out.
            KeyParts::AuditEntry(..) => drop(here.record::<AuditEntry>()?),
            KeyParts::AuditSeal(_, last) => {
                let seal: AuditSeal = here.record()?;
                self.check_sid(here, seal.last == *last);
            }
            KeyParts::AuditHead(_) => {
                let _head: AuditHead = here.record()?;
            }
            KeyParts::Attempt(account, sid) => {
                let attempt: Attempt = here.record()?;
                self.check_sid(here, attempt.sid == *sid && attempt.account == *account);
            }
            KeyParts::Challenge(owner, sid) => self.check_challenge(here, owner, *sid).await?,
            KeyParts::ChallengeTimer(due, sid) => self.check_timer(here, *due, *sid).await?,
            KeyParts::Credential(account, sid) => self.check_credential(here, *account, *sid).await?,
            KeyParts::DeadLetter(sid) => {
                let letter: DeadLetter = here.record()?;
                self.check_sid(here, letter.row.sid == *sid);
            }
            KeyParts::Device(_) => self.check_device(here).await?,
            KeyParts::Entity(service, identity) => self.check_entity(here, *service, identity).await?,
            KeyParts::EntityOrder(service, sid) => self.check_entity_order(here, *service, *sid).await?,
            KeyParts::Factor(owner, sid) => self.check_factor(here, owner, *sid).await?,
            KeyParts::MessagingConfiguration(_, region) => {
                let configuration: MessagingConfiguration = here.record()?;
                self.check_sid(here, configuration.region == *region);
            }
            KeyParts::OutboxRow(lane, sid) => self.check_outbox_row(here, *lane, *sid)?,
            KeyParts::Pending(owner, factor, sid) => self.check_pending(here, owner, *factor, *sid).await?,
            KeyParts::Purge(service) => self.check_gone(here, *service).await?,
            KeyParts::RateLimit(service, sid) => self.check_rate_limit(here, *service, *sid).await?,
            KeyParts::RateLimitUses(..) => self.check_rate_limit_uses(here)?,
            KeyParts::SafeNumber(_, number) => {
                let safe: SafeNumber = here.record()?;
                self.check_sid(here, safe.number == *number);
            }
            KeyParts::ClientKey(_) => self.check_client_key(here).await?,
            KeyParts::Service(account, sid) => self.check_service(here, *account, *sid).await?,
            KeyParts::ServiceCount(account) => self.check_service_count(here, *account).await?,
            KeyParts::Filling() => {
                let filling: Filling = here.record()?;
                self.blame(here, filling);
            }
            KeyParts::StoreFormat() => self.check_format(here)?,
            KeyParts::User(service, identity) => {
                let user: User = here.record()?;
                self.check_sid(here, user.identity == *identity && user.service == *service);
                self.check_account(here, *service, user.account);
            }
            KeyParts::VapidKey() => self.check_vapid_key(here).await?,
            KeyParts::Verification(service, sid) => self.check_verification(here, *service, *sid).await?,
            KeyParts::VerificationTimer(due, sid) => self.check_plan_timer(here, *due, *sid).await?,
            KeyParts::Webhook(service, sid) => self.check_webhook(here, *service, *sid).await?,
            // Counters, blocks and leases outlive what they were made for, so there is nothing to look up.
            KeyParts::BegunSessions(..)
            | KeyParts::Budget(_)
            | KeyParts::CreationRate(_)
            | KeyParts::Destination(..)
            // It was verified, and the keys in it are those that verify.
            | KeyParts::KeyRing()
            | KeyParts::KeyWalk()
            | KeyParts::DialectService(..)
            | KeyParts::Duty(_)
            | KeyParts::Node(_)
            | KeyParts::PrefixBlock(..)
            | KeyParts::StoreEpoch()
            | KeyParts::WitnessCount()
            | KeyParts::WrongCodes(..) => {}
        }
        Ok(())
    }

    fn check_format(&mut self, here: &Here<'_>) -> Result<(), Fault> {
        let format: StoreFormat = here.record()?;
        if format.version != FORMAT {
            self.blame(
                here,
                format_args!("it is {}, this program reads {FORMAT}", format.version),
            );
        }
        Ok(())
    }

    async fn check_vapid_key(&mut self, here: &Here<'_>) -> Result<(), Fault> {
        let record: VapidKeyRecord = here.record()?;
        let opened = web_push::open(self.app, &record);
        self.require_open(here, "it", opened).await
    }

    async fn check_challenge(
        &mut self,
        here: &Here<'_>,
        owner: &Owner,
        sid: ChallengeSid,
    ) -> Result<(), Fault> {
        let challenge: Challenge = here.record()?;
        self.check_sid(here, challenge.sid == sid);
        let listed = keys::pending(&scope(owner), challenge.factor).key(sid.as_bytes());
        if self.look(listed.bytes()).await?.is_some() {
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
    ) -> Result<(), Fault> {
        let credential: Credential = here.record()?;
        self.check_sid(here, credential.sid == sid && credential.account == account);
        let opened = credential::open_key(self.app, &credential);
        self.require_open(here, "its key", opened).await?;
        let owner = keys::account(account);
        self.refer(here, &owner, "its account does not exist", |_| None)
            .await
    }

    async fn check_device(&mut self, here: &Here<'_>) -> Result<(), Fault> {
        let DeviceRecord { address, public_key } = here.record()?;
        if let Some(account) = self.account_of(address.service)
            && account != address.account
        {
            self.blame(here, "its service is another account's");
        }
        let wrong = |factor: &Factor| match (&factor.kind, here.parts) {
            (FactorKind::Push(push), KeyParts::Device(credential)) if push.credential == *credential => {
                (push.public_key != public_key).then_some("its key is not its factor's")
            }
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
    ) -> Result<(), Fault> {
        let entity: Entity = here.record()?;
        self.open_family(service, identity, &entity).await?;
        if entity.identity != *identity {
            self.blame(here, "its record has another identity");
        }
        self.check_end(here, entity.is_empty());
        self.check_account(here, service, entity.account);
        if !here.complete {
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
    ) -> Result<(), Fault> {
        let identity: Identity = here.record()?;
        if !here.complete {
            return Ok(());
        }
        let wrong = |entity: &Entity| (entity.sid != sid).then_some("another entity has its identity");
        let entity = keys::entity(service, &identity);
        self.refer(here, &entity, "it does not exist", wrong).await
    }

    async fn check_factor(&mut self, here: &Here<'_>, owner: &Owner, sid: FactorSid) -> Result<(), Fault> {
        let factor: Factor = here.record()?;
        self.check_sid(here, factor.sid == sid);
        self.check_end(here, matches!(factor.status, FactorStatus::Unverified { .. }));
        if !self.count_factor(owner, factor.factor_type()) {
            self.confirm(here, "its entity does not exist").await?;
        }
        match &factor.kind {
            FactorKind::Push(push) => {
                let wrong = |DeviceRecord { address, .. }: &DeviceRecord| {
                    let found = (address.service, &address.identity, address.entity, address.factor);
                    let expected = (owner.service, &owner.identity, owner.entity, sid);
                    (found != expected).then_some("its device is said to belong to another factor")
                };
                let device = keys::device(push.credential);
                self.refer(here, &device, "its device leads nowhere", wrong).await
            }
            FactorKind::Totp(totp) => self.check_secret(here, totp).await,
        }
    }

    async fn check_client_key(&mut self, here: &Here<'_>) -> Result<(), Fault> {
        let key: ClientKey = here.record()?;
        let opened = self.app.vault.open(here.key, SealedField::ClientKey, &key.key);
        self.require_open(here, "it", opened).await
    }

    async fn check_webhook_secrets(&mut self, here: &Here<'_>, account: &Account) -> Result<(), Fault> {
        for sealed in account.webhook_secrets.all() {
            let opened = self.app.vault.open(here.key, SealedField::WebhookSecret, sealed);
            let secret = opened.map_err(|error| error.to_string()).and_then(|bytes| {
                WebhookSecret::from_bytes(&bytes).ok_or_else(|| "it has a wrong length".to_owned())
            });
            self.require_open(here, "a webhook secret", secret).await?;
        }
        Ok(())
    }

    async fn check_secret(&mut self, here: &Here<'_>, totp: &TotpFactor) -> Result<(), Fault> {
        let opened = self
            .app
            .vault
            .open(here.key, SealedField::TotpSecret, &totp.secret);
        let secret = opened
            .map_err(|error| error.to_string())
            .and_then(|bytes| TotpSecret::from_bytes(bytes).map_err(|error| error.to_string()));
        if let Ok(secret) = &secret
            && secret.is_legacy() != totp.legacy_secret
        {
            self.blame(here, "it is wrong about whether its secret is a legacy one");
        }
        self.require_open(here, "its secret", secret).await
    }

    async fn check_pending(
        &mut self,
        here: &Here<'_>,
        owner: &Owner,
        factor: FactorSid,
        sid: ChallengeSid,
    ) -> Result<(), Fault> {
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
    async fn check_timer(&mut self, here: &Here<'_>, due: Timestamp, sid: ChallengeSid) -> Result<(), Fault> {
        let timer: ChallengeTimer = here.record()?;
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
    ) -> Result<(), Fault> {
        let service: Service = here.record()?;
        self.check_sid(here, service.sid == sid && service.account == account);
        let owner = keys::account(account);
        self.refer(here, &owner, "its account does not exist", |_| None)
            .await?;
        let count = keys::service_count(account);
        let zero =
            |found: &ServiceCount| (found.count == 0).then_some("its account is said to have no services");
        self.refer(here, &count, "its account's services are not counted", zero)
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
    ) -> Result<(), Fault> {
        let webhook: Webhook = here.record()?;
        self.check_sid(here, webhook.sid == sid);
        if !here.complete {
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

    async fn check_service_count(&mut self, here: &Here<'_>, account: AccountSid) -> Result<(), Fault> {
        let ServiceCount { count } = here.record()?;
        let scan = Scan {
            prefix: keys::services(account).bytes().to_vec(),
            after: None,
            order: Order::Ascending,
            limit: usize::MAX,
        };
        if Reading::new(self.app).scan_past(scan).await?.len() != count as usize {
            self.confirm(here, "the account has more or fewer services")
                .await?;
        }
        Ok(())
    }

    /// Checks that what is to be reclaimed some day has an end, and what is not has none.
    fn check_end(&mut self, here: &Here<'_>, ends: bool) {
        match (ends, here.entry.expires_at) {
            (true, None) => self.blame(here, "it never expires"),
            (false, Some(_)) => self.blame(here, "it would expire"),
            _ => {}
        }
    }

    /// Pushes end by themselves; the worker gives up what a webhook or a sender does not take.
    fn check_outbox_row(&mut self, here: &Here<'_>, lane: Lane, sid: EventSid) -> Result<(), Fault> {
        let row: OutboxRow = here.record()?;
        self.check_sid(here, row.sid == sid && row.message.lane() == lane);
        match (lane.receiver, here.entry.expires_at) {
            (Receiver::Credential(_) | Receiver::Factor(_), None) => self.blame(here, "it never expires"),
            (Receiver::Sender(_) | Receiver::Webhook(_), Some(_)) => self.blame(here, "it would expire"),
            _ => {}
        }
        Ok(())
    }

    /// A service that is to be swept must be gone, or what is swept would be in use.
    async fn check_gone(&mut self, here: &Here<'_>, service: ServiceSid) -> Result<(), Fault> {
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

    /// Checks that a record names the account that its service belongs to.
    pub(super) fn check_account(&mut self, here: &Here<'_>, service: ServiceSid, account: AccountSid) {
        if here.complete && self.account_of(service).is_some_and(|owner| owner != account) {
            self.blame(here, "its service is another account's");
        }
    }

    pub(super) fn check_sid(&mut self, here: &Here<'_>, same: bool) {
        if !same {
            self.blame(here, "its record belongs under another key");
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
