//! A data key goes between the read of what it sealed and the opening of that: nobody is refused for it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::crypto::provider_key::P256Pem;
use crate::crypto::totp::{TotpSecret, code_at};
use crate::delivery::DeliveryOutcome;
use crate::domain::client_key::{ClientKey, KeyLives};
use crate::domain::entity::EntityName;
use crate::domain::events::{AccountNotice, EventType, EventTypes, OutboxMessage, OutboxRow};
use crate::domain::factor::{FactorStatus, KeyProof};
use crate::domain::opaque::{DevicePublicKey, Sealed};
use crate::domain::service::{Service, ServiceChanges};
use crate::domain::sid::{AccountSid, EventSid, FactorSid};
use crate::domain::text::{ApnsIdentifier, DialectName, Identity, ServiceName};
use crate::domain::totp_algorithm::TotpAlgorithm;
use crate::domain::webhook::{WebhookStatus, WebhookUrl, WebhookVersion};
use crate::flows::access::Actor;
use crate::flows::client_key::{self, ClientKeyName};
use crate::flows::credential::{self, NewCredential, NewKey};
use crate::flows::event::deliver_webhook;
use crate::flows::factor::{self, EnrolmentProof, FactorChanges, NewTotpFactor};
use crate::flows::push::web_push::{vapid_key, vapid_public_key};
use crate::flows::reading::{Admitted, Prior};
use crate::flows::webhook::{self, NewWebhook};
use crate::flows::{Error, SealedReads, service};
use crate::store::gated::{GatedStore, StoreOperation};
use crate::store::records::{self, Record as _};

const LIVES: KeyLives = KeyLives {
    logged_in: std::time::Duration::from_hours(1),
    otherwise: std::time::Duration::from_hours(1),
};

/// The same server, whose key is replaced behind the next such read: what was read was found to be as it was written.
fn reader(app: &App, operation: StoreOperation) -> (App, Arc<GatedStore>) {
    let gate = Arc::new(GatedStore::new(Arc::clone(&app.store)));
    let other = app.clone();
    gate.at_next(operation, async move { replace_key(&other).await });
    let store: Arc<dyn Store> = Arc::clone(&gate) as _;
    let reader = App { store, ..app.clone() };
    (reader, gate)
}

/// That the key went.
fn assert_gone(app: &App, gate: &GatedStore) {
    let keys = app.vault.data_keys();
    assert!(gate.is_open() && keys.is_single() && keys.active() == KeyNumber(2));
}

async fn an_account(app: &App) -> AccountSid {
    add_account(app, "ada").await;
    account::list(app).await.unwrap()[0].sid
}

async fn a_service(app: &App) -> Service {
    let account = an_account(app).await;
    let name = ServiceName::parse("Owl Bank").unwrap();
    service::create(app, account, name, ServiceChanges::default())
        .await
        .unwrap()
}

fn client_key_name(app: &App) -> ClientKeyName {
    ClientKeyName::of(app, &DialectName::parse("example").unwrap(), &[7; 8])
}

#[tokio::test]
async fn a_client_s_key_opens() {
    let app = server(&engine()).await;
    let name = client_key_name(&app);
    client_key::keep(&app, name, b"a key", LIVES, None).await.unwrap();
    let (reader, gate) = reader(&app, StoreOperation::Get);
    let opened = client_key::open(&reader, name, LIVES).await.unwrap();
    assert_eq!(opened.key.as_slice(), b"a key");
    assert_gone(&app, &gate);
}

#[tokio::test]
async fn the_key_of_a_push_provider_opens() {
    let app = server(&engine()).await;
    let account = an_account(&app).await;
    let chance = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &chance).unwrap();
    let block = BASE64_STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{block}\n-----END PRIVATE KEY-----\n");
    let identifier = |text: &str| ApnsIdentifier::parse(text).unwrap();
    let new = NewCredential {
        friendly_name: None,
        key: NewKey::Apn {
            private_key: P256Pem::parse(&pem).unwrap(),
            key_id: identifier("ABC123DEFG"),
            team_id: identifier("DEF123GHIJ"),
            topic: None,
            sandbox: false,
        },
    };
    let sid = credential::create(&app, account, new).await.unwrap().sid;
    let (reader, gate) = reader(&app, StoreOperation::Get);
    let (_, secret) = credential::opened(&reader, account, sid).await.unwrap().unwrap();
    assert_eq!(*secret, pem);
    assert_gone(&app, &gate);
}

#[tokio::test]
async fn the_key_of_web_push_opens() {
    let app = server(&engine()).await;
    let public = vapid_public_key(&app).await.unwrap();
    let (reader, gate) = reader(&app, StoreOperation::Get);
    assert!(*vapid_key(&reader).await.unwrap().public() == public);
    assert_gone(&app, &gate);
}

#[tokio::test]
async fn an_event_is_signed() {
    let app = server(&engine()).await;
    let service = a_service(&app).await;
    let new = NewWebhook {
        friendly_name: FriendlyName::parse("All").unwrap(),
        event_types: EventTypes::All,
        // Nobody is asked there: it is no public address.
        url: WebhookUrl::parse("https://127.0.0.1/hook").unwrap(),
        status: WebhookStatus::Enabled,
        version: WebhookVersion::V2,
    };
    let webhook = webhook::create(&app, service.account, service.sid, new)
        .await
        .unwrap()
        .sid;
    let now = app.clock.now();
    let notice = AccountNotice {
        event_type: EventType::KeyCreated,
        at: now,
        account: service.account,
        service: service.sid,
        subject: None,
    };
    let message = OutboxMessage::Notice { webhook, notice };
    let row = OutboxRow::new(EventSid::generate(now, app.sids.as_ref()), now, message);
    let failed_of = async |app: &App| match deliver_webhook(app, &row).await {
        DeliveryOutcome::Retry { why, .. } | DeliveryOutcome::Refused { why } => why,
        other => panic!("{other:?}"),
    };
    let expected = failed_of(&app).await;
    let (reader, gate) = reader(&app, StoreOperation::GetMany);
    assert_eq!(failed_of(&reader).await, expected);
    assert_gone(&app, &gate);
}

struct NoProofOfKey;

impl KeyProof for NoProofOfKey {
    fn is_signed(&self, _: FactorSid, _: &DevicePublicKey) -> bool {
        false
    }
}

/// What was read to let somebody in is older than the keys when the code is checked.
#[tokio::test]
async fn a_right_code_is_approved() {
    let app = server(&engine()).await;
    let service = a_service(&app).await;
    let name = EntityName {
        service: service.sid,
        identity: Identity::parse("user-0001").unwrap(),
    };
    let new = NewTotpFactor {
        friendly_name: FriendlyName::parse("A phone").unwrap(),
        secret: None,
        algorithm: None,
        skew: None,
        code_length: None,
        time_step: None,
        metadata: None,
    };
    let enrolled = factor::create_totp(&app, service.account, None, &name, new)
        .await
        .unwrap();
    let secret = TotpSecret::from_base32(&enrolled.secret()).unwrap();
    let step = app.clock.now().seconds() / 30;
    let code = code_at(&secret, TotpAlgorithm::Sha1, 6, step).unwrap();
    let sid = enrolled.factor.sid;

    let mut reading = Reading::new(&app);
    let place = keys::factor(&enrolled.scope, sid);
    reading.prefetch([place.bytes()]).await.unwrap();
    let actor = Admitted {
        who: Actor::Account(service.account),
        prior: Prior::of(reading),
    };
    replace_key(&app).await;
    assert!(app.vault.data_keys().is_single());
    let proof = EnrolmentProof {
        code: code.reveal(),
        key: &NoProofOfKey,
    };
    let verified = factor::update(&app, actor, &name, sid, FactorChanges::default(), Some(proof)).await;
    let (_, verified) = verified.unwrap();
    assert_eq!(verified.status, FactorStatus::Verified);
}

/// What nobody can open is no reason to read it for ever.
#[tokio::test]
async fn what_names_a_key_that_never_was_is_refused_after_a_few_reads() {
    let app = server(&engine()).await;
    let name = client_key_name(&app);
    client_key::keep(&app, name, b"a key", LIVES, None).await.unwrap();
    let place = Scan {
        prefix: vec![ClientKey::KIND],
        after: None,
        order: Order::Ascending,
        limit: 9,
    };
    let (key, entry) = app.store.scan(place).await.unwrap().remove(0);
    let mut record: ClientKey = records::decode(&entry.value).unwrap();
    let mut envelope = record.key.as_bytes().to_vec();
    envelope[1..3].copy_from_slice(&[0, 77]);
    record.key = Sealed::from_bytes(envelope);
    let value = records::encode(&record).unwrap();
    app.store.commit(Batch::new().put(key, value)).await.unwrap();
    let refused = client_key::open(&app, name, LIVES).await.unwrap_err();
    let Error::Failed(fault @ Fault::KeyGone(_)) = refused else {
        panic!("{refused}");
    };
    assert!(fault.is_of_a_record());
    let mut reads = SealedReads::default();
    let again = [(); 4].map(|()| reads.is_to_be_read_again(&fault));
    assert_eq!(again, [true, true, false, false]);
}
