//! A healthy store is healthy, and each kind of damage is found and named, without a secret in the report.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use async_trait::async_trait;

use crate::doubles::TestParts;
use crate::old_data::samples::device_key;
use crate::old_data::store::{identity, master_key, newest};
use countersign::app::App;
use countersign::crypto::key_ring::KeyRing;
use countersign::crypto::vault::Vault;
use countersign::domain::access_token::AccessToken;
use countersign::domain::account::Account;
use countersign::domain::challenge::{Answer, Challenge, Outcome};
use countersign::domain::credential::{Credential, CredentialKey};
use countersign::domain::entity::{Entity, EntityName};
use countersign::domain::factor::{Factor, FactorKind};
use countersign::domain::opaque::Sealed;
use countersign::domain::sealing::SealedField;
use countersign::domain::service::Service;
use countersign::domain::sid::{AccountSid, EntitySid, FactorSid};
use countersign::domain::time::Timestamp;
use countersign::domain::webhook::{Webhook, WebhookStatus};
use countersign::domain::webhook_secrets::WebhookSecrets;
use countersign::flows::check_store::{StoreReport, check_store};
use countersign::flows::entity;
use countersign::store::keys::{self, KeyParts};
use countersign::store::memory::MemoryStore;
use countersign::store::records::{DeviceRecord, FillSource, Filling, Record, StoreFormat, decode, encode};
use countersign::store::{
    Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, Order, Scan, Statistics, Store,
    StoreError,
};

#[tokio::test]
async fn an_empty_store_is_healthy() {
    let (mut app, _) = newest().await;
    app.store = Arc::new(MemoryStore::new());
    let report = check_store(&app).await.unwrap();
    assert!(report.is_healthy() && report.entries() == 0, "{report}");
    assert_eq!(report.to_string(), "0 entries, no problem");
}

#[tokio::test]
async fn what_a_key_or_a_value_alone_shows_is_found() {
    let mut damaged = Damaged::store().await;
    damaged.put(b"zzz".to_vec(), b"?".to_vec()).await;
    damaged.says("key zzz: it is none of the key map's").await;

    let (account, entry) = damaged.first(is_active_account).await;
    damaged.put(account.clone(), encode(&identity()).unwrap()).await;
    damaged.says("it holds a record of kind n").await;
    damaged
        .put(account.clone(), [b"a\x09", &entry.value[2..]].concat())
        .await;
    damaged
        .says("its format version is 9, which this program does not know")
        .await;
    damaged
        .put(account.clone(), entry.value[..entry.value.len() - 1].to_vec())
        .await;
    damaged.says("its record is damaged").await;
    let batch = Batch::new().put_until(account, entry.value, Timestamp::MAX);
    damaged.commit(batch).await;
    damaged.says("it would expire").await;

    let (challenge, entry) = damaged
        .first(|parts| matches!(parts, KeyParts::Challenge(..)))
        .await;
    damaged.put(challenge, entry.value).await;
    damaged.says("it never expires").await;
    let (marker, _) = damaged
        .first(|parts| matches!(parts, KeyParts::ApiKeyOf(..)))
        .await;
    damaged.put(marker, b"full".to_vec()).await;
    damaged.says("it should be empty").await;

    let another = AccountSid::from_bytes([0xee; 16]);
    damaged
        .edit::<Account>(is_active_account, |account| account.sid = another)
        .await;
    damaged.says("its record belongs under another key").await;
    let factor = FactorSid::from_bytes([0xee; 16]);
    damaged
        .edit::<Factor>(is_factor, |record| record.sid = factor)
        .await;
    damaged.says("its record belongs under another key").await;
}

#[tokio::test]
async fn a_store_that_is_not_whole_says_so() {
    let mut damaged = Damaged::store().await;
    let filling = Filling {
        source: FillSource::Import { sha256: [0xab; 32] },
        entries: 7,
        last_key: b"x".to_vec(),
    };
    let mark = keys::filling().into_bytes();
    damaged.put(mark, encode(&filling).unwrap()).await;
    damaged
        .says("mark of a store that is not whole: `countersign store import` of the export whose ")
        .await;
}

#[tokio::test]
async fn a_lost_end_of_each_reference_is_found() {
    let mut damaged = Damaged::store().await;
    let (is_pending, is_challenge) = (
        is_kind("challenges in their factors' lists"),
        is_kind("challenges"),
    );
    for (lost, expected) in [
        (is_kind("accounts"), &["its account does not exist"][..]),
        (
            is_kind("API keys"),
            &["in the list of AC01010101010101010101010101010101: it does not exist"],
        ),
        (
            is_kind("API keys in their accounts' lists"),
            &["it is not in its account's list"],
        ),
        (
            is_kind("bearer tokens"),
            &["in the list of AC01010101010101010101010101010101: it does not exist"],
        ),
        (
            is_kind("bearer tokens in their accounts' lists"),
            &["it is not in its account's list"],
        ),
        (is_kind("devices"), &["its device leads nowhere"]),
        (
            is_kind("entities in their services' lists"),
            &["it is not in its service's list"],
        ),
        (
            is_pending,
            &["it waits for an answer, but is not in its factor's list"],
        ),
        (is_kind("formats"), &["format of the store: it is not noted"]),
        (
            is_kind("webhooks"),
            &["it has wishes of a webhook that does not exist"],
        ),
        (is_kind("services"), &["its service does not exist"]),
        (
            is_kind("entities"),
            &["its entity does not exist", "it does not exist"],
        ),
        (
            is_kind("factors"),
            &["its factor does not exist", "but there are 0 and 0"],
        ),
        (is_challenge, &["it does not exist"]),
    ] {
        damaged.lose(lost).await;
        for expected in expected {
            damaged.finds(expected).await;
        }
        damaged.repair().await;
    }
}

#[tokio::test]
async fn entries_that_contradict_each_other_are_found() {
    let mut damaged = Damaged::store().await;
    damaged
        .edit::<Entity>(is_kind("entities"), |entity| entity.totp_factors = 7)
        .await;
    damaged
        .says("it says 1 push and 7 TOTP factors, but there are 1 and 1")
        .await;
    let another = EntitySid::from_bytes([0xee; 16]);
    damaged
        .edit::<Entity>(is_kind("entities"), |entity| entity.sid = another)
        .await;
    damaged.says("another entity has its identity").await;

    let strange_key = device_key();
    damaged
        .edit::<DeviceRecord>(is_kind("devices"), |device| device.public_key = strange_key)
        .await;
    damaged.says("its key is not its factor's").await;
    let stranger = FactorSid::from_bytes([0xee; 16]);
    damaged
        .edit::<DeviceRecord>(is_kind("devices"), |device| device.address.factor = stranger)
        .await;
    damaged
        .says("its device is said to belong to another factor")
        .await;
    let somebody = AccountSid::from_bytes([0xee; 16]);
    damaged
        .edit::<DeviceRecord>(is_kind("devices"), |device| device.address.account = somebody)
        .await;
    damaged.says("its service is another account's").await;
    damaged
        .edit::<AccessToken>(is_kind("access tokens"), |token| token.account = somebody)
        .await;
    damaged.says("its service is another account's").await;

    let answer = Answer {
        at: Timestamp::MAX,
        signed: None,
    };
    let approved = Outcome::Approved(answer);
    damaged
        .edit::<Challenge>(is_kind("challenges"), |challenge| {
            challenge.outcome = approved.clone();
        })
        .await;
    damaged.says("it was answered").await;
    damaged
        .edit::<Challenge>(is_kind("challenges"), |challenge| challenge.factor = stranger)
        .await;
    damaged.says("it is another factor's").await;

    damaged
        .edit::<Service>(is_kind("services"), |service| service.subscriptions.clear())
        .await;
    damaged
        .says("its service does not know whether it is enabled")
        .await;
    let twice = |service: &mut Service| service.subscriptions.extend_from_within(..);
    damaged.edit::<Service>(is_kind("services"), twice).await;
    damaged.says("it has a webhook's wishes twice").await;
    let disable = |webhook: &mut Webhook| webhook.status = WebhookStatus::Disabled;
    damaged.edit::<Webhook>(is_kind("webhooks"), disable).await;
    damaged
        .says("it has other wishes of a webhook than the webhook")
        .await;

    let (key, entry) = damaged.first(is_kind("deleted services")).await;
    let (service, _) = damaged.first(is_kind("services")).await;
    let Some(KeyParts::Service(_, sid)) = KeyParts::parse(&service) else {
        panic!()
    };
    damaged.put(keys::purge(sid).into_bytes(), entry.value).await;
    assert_ne!(key, keys::purge(sid).into_bytes());
    damaged.says("it still exists").await;
}

#[tokio::test]
async fn a_webhook_secret_that_does_not_open_is_found() {
    let mut damaged = Damaged::store().await;
    let elsewhere = damaged.app.vault.seal(
        damaged.app.entropy.as_ref(),
        b"elsewhere",
        SealedField::WebhookSecret,
        &[7; 32],
    );
    let moved =
        |account: &mut Account| account.webhook_secrets = WebhookSecrets::new(elsewhere.clone(), true);
    damaged.edit::<Account>(is_active_account, moved).await;
    damaged
        .says("a webhook secret does not open: a sealed value was changed or moved")
        .await;
}

#[tokio::test]
async fn a_factor_that_is_wrong_about_its_secrets_strength_is_found() {
    let mut damaged = Damaged::store().await;
    let mark = |factor: &mut Factor| {
        if let FactorKind::Totp(totp) = &mut factor.kind {
            totp.legacy_secret = !totp.legacy_secret;
        }
    };
    damaged.edit::<Factor>(is_factor, mark).await;
    damaged
        .says("it is wrong about whether its secret is a legacy one")
        .await;
}

#[tokio::test]
async fn a_secret_that_does_not_open_is_found() {
    let mut damaged = Damaged::store().await;
    let reseal = |factor: &mut Factor| {
        if let FactorKind::Totp(totp) = &mut factor.kind {
            let mut bytes = totp.secret.as_bytes().to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            totp.secret = Sealed::from_bytes(bytes);
        }
    };
    damaged.edit::<Factor>(is_factor, reseal).await;
    damaged
        .says("its secret does not open: a sealed value was changed or moved")
        .await;

    let moved = |credential: &mut Credential| {
        let mut bytes = Vec::new();
        if let CredentialKey::Fcm { service_account } = &credential.key {
            bytes = service_account.as_bytes().to_vec();
        }
        bytes.rotate_right(1);
        credential.key = CredentialKey::Fcm {
            service_account: Sealed::from_bytes(bytes),
        };
    };
    damaged.edit::<Credential>(is_kind("credentials"), moved).await;
    damaged.says("its key does not open: ").await;

    let (ours, master) = (Arc::clone(&damaged.app.vault), master_key());
    let another = KeyRing::generate(&master, damaged.app.entropy.as_ref(), Timestamp::MAX);
    damaged.app.vault = Arc::new(Vault::new(&another));
    damaged.finds("key ring of the store: its MAC is wrong").await;
    damaged.app.vault = ours;
    damaged
        .edit::<StoreFormat>(is_kind("formats"), |format| format.version = 2)
        .await;
    damaged
        .says("format of the store: it is 2, this program reads 1")
        .await;
}

#[tokio::test]
async fn a_change_in_between_is_no_damage() {
    let (app, _) = newest().await;
    let (busy, _) = newest().await;
    let busy = TestParts {
        store: Arc::new(Busy(app.clone())),
        ..TestParts::of(&busy)
    }
    .wire();
    let before = check_store(&app).await.unwrap();
    let during = check_store(&busy).await.unwrap();
    assert!(during.is_healthy(), "{during}");
    assert_eq!(
        during.counts(),
        before.counts(),
        "all entries are of the moment when the check began"
    );
    let after = check_store(&app).await.unwrap();
    assert!(after.is_healthy(), "{after}");
    assert_ne!(after.counts(), before.counts(), "nothing changed in between");
}

/// A store to damage, to look at, and to repair again.
struct Damaged {
    app: App,
    /// Every entry as it was.
    whole: Vec<(Vec<u8>, Entry)>,
}

impl Damaged {
    async fn store() -> Self {
        let (app, _) = newest().await;
        let whole = everything(app.store.as_ref()).await;
        Self { app, whole }
    }

    async fn commit(&self, batch: Batch) {
        self.app.store.commit(batch).await.unwrap();
    }

    async fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.commit(Batch::new().put(key, value)).await;
    }

    async fn first(&self, wanted: impl Fn(&KeyParts) -> bool) -> (Vec<u8>, Entry) {
        let entries = everything(self.app.store.as_ref()).await;
        let mut found = entries
            .into_iter()
            .filter(|(key, _)| KeyParts::parse(key).as_ref().is_some_and(&wanted));
        found.next().unwrap()
    }

    /// Changes every record of a kind.
    async fn edit<T: Record>(&self, wanted: impl Fn(&KeyParts) -> bool, change: impl Fn(&mut T)) {
        for (key, entry) in &self.whole {
            if KeyParts::parse(key).as_ref().is_some_and(&wanted) {
                let mut record: T = decode(&entry.value).unwrap();
                change(&mut record);
                let bytes = encode(&record).unwrap();
                self.commit(match entry.expires_at {
                    Some(moment) => Batch::new().put_until(key.clone(), bytes, moment),
                    None => Batch::new().put(key.clone(), bytes),
                })
                .await;
            }
        }
    }

    /// Deletes every entry of a kind.
    async fn lose(&self, lost: impl Fn(&KeyParts) -> bool) {
        let keys = self.whole.iter().map(|(key, _)| key);
        let lost: Vec<_> = keys
            .filter(|key| KeyParts::parse(key).as_ref().is_some_and(&lost))
            .collect();
        assert!(!lost.is_empty());
        for key in lost {
            self.commit(Batch::new().delete(key.clone())).await;
        }
    }

    /// That the report names this problem.
    async fn finds(&self, expected: &str) -> StoreReport {
        let report = check_store(&self.app).await.unwrap();
        let found = report.problems().iter().any(|problem| problem.contains(expected));
        assert!(found, "{expected:?} is not in:\n{report}");
        assert!(report.problems().iter().all(|problem| !problem.contains('\n')));
        report
    }

    /// That the report names this problem, and nothing is wrong after the repair.
    async fn says(&mut self, expected: &str) {
        self.finds(expected).await;
        self.repair().await;
    }

    async fn repair(&mut self) {
        let mut batch = Batch::new();
        for (key, _) in everything(self.app.store.as_ref()).await {
            batch = batch.delete(key);
        }
        for (key, entry) in self.whole.clone() {
            batch = match entry.expires_at {
                Some(moment) => batch.put_until(key, entry.value, moment),
                None => batch.put(key, entry.value),
            };
        }
        self.commit(batch).await;
        let report = check_store(&self.app).await.unwrap();
        assert!(report.is_healthy(), "{report}");
    }
}

fn is_kind(kind: &'static str) -> impl Fn(&KeyParts) -> bool {
    move |parts| parts.kind().name == kind
}

fn is_active_account(parts: &KeyParts) -> bool {
    *parts == KeyParts::Account(AccountSid::from_bytes([1; 16]))
}

fn is_factor(parts: &KeyParts) -> bool {
    matches!(parts, KeyParts::Factor(..))
}

async fn everything(store: &dyn Store) -> Vec<(Vec<u8>, Entry)> {
    let scan = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    store.scan(scan).await.unwrap()
}

/// A store in which an entity is deleted and created anew just after an export began.
#[derive(Debug)]
struct Busy(App);

#[async_trait]
impl Store for Busy {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.0.engine.get(key).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.0.engine.get_many(keys).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        self.0.engine.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.0.engine.commit(batch).await
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        self.0.engine.expired(now, after, limit).await
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        let export = self.0.engine.export().await?;
        let entries = everything(self.0.engine.as_ref()).await;
        let mut keys = entries.iter().filter_map(|(key, _)| KeyParts::parse(key));
        let (account, service) = keys
            .find_map(|parts| match parts {
                KeyParts::Service(account, service) => Some((account, service)),
                _ => None,
            })
            .unwrap();
        let name = EntityName {
            service,
            identity: identity(),
        };
        entity::delete(&self.0, account, &name).await.unwrap();
        entity::create(&self.0, account, &name).await.unwrap();
        Ok(export)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.engine.close().await
    }

    fn statistics(&self) -> Statistics {
        self.0.engine.statistics()
    }
}
