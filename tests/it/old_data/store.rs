//! A whole store with every kind of entry: written by the flows, exported, and opened again by later versions.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{codes, files};
use crate::doubles::{ManualClock, SeededEntropy, TestParts};
use crate::support::credentials::service_account;
use countersign::app::{App, Policy};
use countersign::crypto::master_key::MasterKey;
use countersign::crypto::plain_token::ImportedSecret;
use countersign::crypto::service_account::ServiceAccount;
use countersign::crypto::totp::{Code, TotpSecret, code_at};
use countersign::domain::access_token::TokenLife;
use countersign::domain::challenge::{Challenge, ChallengeStatus, Fields};
use countersign::domain::client_key::KeyLives;
use countersign::domain::entity::EntityName;
use countersign::domain::events::{EventType, EventTypes, OutboxRow};
use countersign::domain::factor::{Factor, FactorType, KeyProof, NotificationChannel};
use countersign::domain::opaque::DevicePublicKey;
use countersign::domain::outbox::{DeadLetter, Reason};
use countersign::domain::service::{Change, Service, ServiceChanges};
use countersign::domain::sid::{AccountSid, FactorSid, ServiceSid};
use countersign::domain::text::{
    AppId, DialectName, FriendlyName, Identity, KeyName, Message, NotificationToken, ServiceName,
};
use countersign::domain::time::Timestamp;
use countersign::domain::totp_algorithm::TotpAlgorithm;
use countersign::domain::webhook::{WebhookStatus, WebhookUrl, WebhookVersion};
use countersign::flows::access::{self, Actor};
use countersign::flows::bearer_token::{self, NewBearerToken};
use countersign::flows::challenge::{self, NewChallenge};
use countersign::flows::check_store::check_store;
use countersign::flows::client_key::{self, ClientKeyName};
use countersign::flows::credential::{self, NewCredential, NewKey};
use countersign::flows::factor::{self, EnrolmentProof, FactorChanges, NewPushFactor, NewTotpFactor};
use countersign::flows::nodes::{self, NewNode};
use countersign::flows::outbox::list_waiting;
use countersign::flows::push::web_push::vapid_public_key;
use countersign::flows::reading::Foreseen;
use countersign::flows::store_format;
use countersign::flows::webhook::{self, NewWebhook};
use countersign::flows::{access_token, account, api_key, audit, data_keys, entity, service, witness};
use countersign::store::keys::{self, KeyParts};
use countersign::store::kinds::KINDS;
use countersign::store::memory::MemoryStore;
use countersign::store::records::decode;
use countersign::store::sled::{Options, SledStore};
use countersign::store::{Batch, Order, Scan, Store, transfer};

#[tokio::test]
async fn every_released_store_still_opens() {
    let files = files::all("store", "jsonl");
    assert!(!files.is_empty());
    let newest = files.len();
    for (number, (path, file)) in (1..).zip(files) {
        eprintln!("{}", path.display());
        let directory = tempfile::tempdir().unwrap();
        let on_disk = SledStore::open(&Options::new(directory.path())).unwrap();
        // Later formats may have kinds that the earlier ones lack. The mark of a store that is not whole is never exported.
        let kinds = (number == newest).then_some(KINDS.len() - 1);
        opens(Arc::new(MemoryStore::new()), &file, kinds).await;
        opens(Arc::new(on_disk), &file, kinds).await;
    }
}

async fn opens(store: Arc<dyn Store>, file: &str, kinds: Option<usize>) {
    transfer::import(store.as_ref(), &mut Cursor::new(file), None, None)
        .await
        .unwrap();
    let (app, clock) = app(store).await;
    store_format::check(&app).await.unwrap();
    for later in [Duration::ZERO, Duration::from_hours(24)] {
        clock.set(written_at() + later);
        let report = check_store(&app).await.unwrap();
        assert!(report.is_healthy(), "{report}");
        assert!(
            kinds.is_none_or(|kinds| report.counts().len() == kinds),
            "{report}"
        );
    }
    rows_wait_in_their_lanes(&app).await;

    let account = access::authenticate(&app, &account_sid().to_string(), TOKEN, |_| Foreseen::default())
        .await
        .unwrap()
        .who;
    let (service, factor) = totp_factor(app.store.as_ref()).await;
    let status = async |step| {
        let code = code_at(&secret(), TotpAlgorithm::Sha1, 6, step).unwrap();
        let new = new_challenge(factor, None);
        let (_, challenge) = challenge::create(&app, account, &entity_of(service), &new, Some(code.reveal()))
            .await
            .unwrap();
        challenge.status(written_at())
    };
    clock.set(written_at());
    let step = written_at().seconds() / 30;
    assert_eq!(
        status(step).await,
        ChallengeStatus::Pending,
        "this step's code was used before the export"
    );
    assert_eq!(status(step + 1).await, ChallengeStatus::Approved);
    codes::go_on(&app, account).await;
    let report = check_store(&app).await.unwrap();
    assert!(report.is_healthy(), "{report}");
    app.store.close().await.unwrap();
}

/// What waits to be sent waits at its receiver.
async fn rows_wait_in_their_lanes(app: &App) {
    let scan = Scan {
        prefix: keys::lanes(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let rows = app.store.scan(scan).await.unwrap();
    assert!(!rows.is_empty());
    for (key, entry) in rows {
        let row: OutboxRow = decode(&entry.value).unwrap();
        assert_eq!(
            KeyParts::parse(&key),
            Some(KeyParts::OutboxRow(row.message.lane(), row.sid))
        );
        let end = row.message.reclaimed_at();
        assert_eq!(entry.expires_at, end, "only pushes end by themselves");
    }
    let report = check_store(app).await.unwrap();
    assert!(report.is_healthy(), "{report}");
}

/// An export of a new store with every kind of entry.
pub(super) async fn write() -> String {
    let (app, clock) = app(Arc::new(MemoryStore::new())).await;
    clock.set(written_at().before(Duration::from_mins(1)));
    let account = account::create_as(&app, account_sid(), TOKEN, name("owner"))
        .await
        .unwrap()
        .sid;
    api_key::create(&app, account, name("deploy")).await.unwrap();
    let secret = ImportedSecret::try_from(Zeroizing::new("Zwyx9876".to_owned())).unwrap();
    let key = KeyName::parse("abcd1234").unwrap();
    api_key::import(&app, account, name("moved"), key, &secret)
        .await
        .unwrap();
    let token = NewBearerToken {
        dialect: DialectName::parse("example").unwrap(),
        user: None,
        friendly_name: name("gateway"),
        life: None,
    };
    bearer_token::create(&app, account, token).await.unwrap();
    let lives = KeyLives {
        logged_in: Duration::from_hours(24),
        otherwise: Duration::from_hours(24),
    };
    let key = ClientKeyName::of(&app, &DialectName::parse("example").unwrap(), &[7; 8]);
    client_key::keep(&app, key, &[8; 256], lives, None).await.unwrap();
    let suspended = account::create(&app, name("suspended"))
        .await
        .unwrap()
        .account
        .sid;
    account::suspend(&app, suspended).await.unwrap();
    let deleted = service::create(&app, account, service_name("Deleted"), ServiceChanges::default())
        .await
        .unwrap();
    entity::create(&app, account, &entity_of(deleted.sid))
        .await
        .unwrap();
    service::delete(&app, account, deleted.sid).await.unwrap();
    let file = ServiceAccount::parse(&service_account().to_string()).unwrap();
    let new = NewCredential {
        friendly_name: Some(name("Android")),
        key: NewKey::Fcm(file),
    };
    let credential = credential::create(&app, account, new).await.unwrap().sid;
    let changes = ServiceChanges {
        push_fcm_credential_sid: Change::Set(credential),
        custom_code_enabled: Some(true),
        ..ServiceChanges::default()
    };
    let service = service::create(&app, account, service_name("Owl Bank"), changes)
        .await
        .unwrap();
    subscribe(&app, &service).await;
    enrol_device(&app, &service).await;
    enrol_app(&app, &service, &clock).await;
    codes::write(&app, &service).await;
    codes::begin_session(&app, account).await;
    access_token::create(
        &app,
        account,
        &entity_of(service.sid),
        None,
        TokenLife::new(300).unwrap(),
    )
    .await
    .unwrap();
    vapid_public_key(&app).await.unwrap();
    store_format::check(&app).await.unwrap();
    assert_eq!(app.clock.now(), written_at());
    run_beside_others(&app).await;
    witness::advance(&app).await.unwrap();
    give_up_one(&app).await;
    data_keys::rotate(&app).await.unwrap();
    audit::seal::round(&app).await.unwrap();

    let mut file = Vec::new();
    transfer::export(app.engine.as_ref(), None, &mut file)
        .await
        .unwrap();
    String::from_utf8(file).unwrap()
}

/// A server that stands in the register, with its duties.
async fn run_beside_others(app: &App) {
    let new = NewNode {
        host: "one.example".to_owned(),
        version: "0.1.0".to_owned(),
        settings: vec![nodes::mark(
            &app.vault,
            "public_url".to_owned(),
            &Zeroizing::default(),
        )],
        rolling: false,
    };
    nodes::join(app, new).await.unwrap().unwrap();
}

/// A row that nobody took.
async fn give_up_one(app: &App) {
    let (mut rows, _) = list_waiting(app, None, 1).await.unwrap();
    let letter = DeadLetter {
        row: rows.pop().unwrap(),
        why: Reason::new("status 410"),
        date_given_up: written_at(),
    };
    let until = written_at() + app.policy.outbox_dead_retention;
    let key = keys::dead_letter(letter.row.sid);
    let batch = Batch::new()
        .delete(keys::outbox_row(letter.row.message.lane(), letter.row.sid).into_bytes())
        .put_record_until(key, &letter, until);
    app.store.commit(batch.unwrap()).await.unwrap();
}

async fn subscribe(app: &App, service: &Service) {
    for (status, event_types) in [
        (WebhookStatus::Enabled, EventTypes::Only(EventType::ALL.to_vec())),
        (WebhookStatus::Disabled, EventTypes::All),
    ] {
        let new = NewWebhook {
            friendly_name: name("events"),
            event_types,
            url: WebhookUrl::parse("https://owlbank.example/hook").unwrap(),
            status,
            version: WebhookVersion::V2,
        };
        webhook::create(app, service.account, service.sid, new)
            .await
            .unwrap();
    }
}

/// A device that was enrolled with an access token, and has a challenge to answer.
async fn enrol_device(app: &App, service: &Service) {
    const SPKI_HEADER: &[u8] = b"0Y0\x13\x06\x07*\x86H\xce=\x02\x01\x06\x08*\x86H\xce=\x03\x01\x07\x03B\0";
    let (account, entity) = (service.account, entity_of(service.sid));
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let spki = STANDARD.encode([SPKI_HEADER, key.public_key().as_ref()].concat());
    let (permit, _) = access_token::create(
        app,
        account,
        &entity,
        Some(name("phone")),
        TokenLife::new(60).unwrap(),
    )
    .await
    .unwrap();
    let new = NewPushFactor {
        friendly_name: name("phone"),
        public_key: DevicePublicKey::from_spki_base64(&spki).unwrap(),
        app_id: AppId::parse("com.example.owlbank").unwrap(),
        attached: None,
        notification: NotificationChannel::Fcm(NotificationToken::parse(&"f".repeat(64)).unwrap()),
        metadata: None,
    };
    let (_, factor) = factor::create_push(app, account, Some(permit.sid), &entity, new)
        .await
        .unwrap();
    let in_hand = KeyInHand(DevicePublicKey::from_spki_base64(&spki).unwrap());
    prove(app, service, factor.sid, "", &in_hand).await;
    let new = new_challenge(factor.sid, Some(Message::parse("Log in?").unwrap()));
    challenge::create(app, account, &entity, &new, None)
        .await
        .unwrap();
}

/// An authenticator app that has been used until now.
async fn enrol_app(app: &App, service: &Service, clock: &ManualClock) {
    let (account, entity) = (service.account, entity_of(service.sid));
    let new = NewTotpFactor {
        friendly_name: name("authenticator"),
        secret: Some(secret()),
        algorithm: None,
        skew: None,
        code_length: None,
        time_step: None,
        metadata: None,
    };
    let factor = factor::create_totp(app, account, None, &entity, new)
        .await
        .unwrap()
        .factor
        .sid;
    let code = |now: Timestamp| code_at(&secret(), TotpAlgorithm::Sha1, 6, now.seconds() / 30).unwrap();
    prove(app, service, factor, code(app.clock.now()).reveal(), &NoKey).await;
    clock.set(written_at());
    let (now, new) = (written_at(), new_challenge(factor, None));
    for (code, expected) in [
        (Some(code(now)), ChallengeStatus::Approved),
        (None, ChallengeStatus::Pending),
    ] {
        let code = code.as_ref().map(Code::reveal);
        let (_, challenge) = challenge::create(app, account, &entity, &new, code)
            .await
            .unwrap();
        assert_eq!(challenge.status(now), expected);
    }
}

fn entity_of(service: ServiceSid) -> EntityName {
    EntityName {
        service,
        identity: identity(),
    }
}

/// A factor of codes has no key.
struct NoKey;

impl KeyProof for NoKey {
    fn is_signed(&self, _: FactorSid, _: &DevicePublicKey) -> bool {
        false
    }
}

/// The device whose key this is stands by; how it signs is a dialect's.
struct KeyInHand(DevicePublicKey);

impl KeyProof for KeyInHand {
    fn is_signed(&self, _: FactorSid, key: &DevicePublicKey) -> bool {
        self.0 == *key
    }
}

async fn prove(app: &App, service: &Service, factor: FactorSid, code: &str, key: &dyn KeyProof) {
    let (actor, changes) = (Actor::Account(service.account), FactorChanges::default());
    let proof = Some(EnrolmentProof { code, key });
    let (_, factor) = factor::update(app, actor, &entity_of(service.sid), factor, changes, proof)
        .await
        .unwrap();
    factor.require_verified().unwrap();
}

fn new_challenge(factor: FactorSid, message: Option<Message>) -> NewChallenge {
    NewChallenge {
        factor,
        expires_at: message.as_ref().map(|_| written_at() + Challenge::DEFAULT_LIFE),
        message,
        fields: Fields::default(),
        hidden_details: None,
        number_matching: None,
        shows_date: |_| Ok(false),
    }
}

/// The newest of the stores, in memory, at the moment of its export.
pub(crate) async fn newest() -> (App, Arc<ManualClock>) {
    let files = files::all("store", "jsonl");
    let store = Arc::new(MemoryStore::new());
    transfer::import(
        store.as_ref(),
        &mut Cursor::new(&files.last().unwrap().1),
        None,
        None,
    )
    .await
    .unwrap();
    app(store).await
}

async fn app(store: Arc<dyn Store>) -> (App, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(written_at()));
    let entropy = SeededEntropy::new(42);
    let master = master_key();
    let opened = store_format::open_keys(store.as_ref(), &master, &entropy, written_at()).await;
    let vault = opened.unwrap().vault;
    let app = TestParts {
        store,
        clock: clock.clone(),
        vault: Arc::new(vault),
        policy: Policy {
            entity_creations_per_second: Some(100),
            ..crate::doubles::policy()
        },
        ..TestParts::default()
    }
    .wire();
    (app, clock)
}

/// What opens the stores.
pub(crate) fn master_key() -> MasterKey {
    MasterKey::parse(&"42".repeat(32)).unwrap()
}

/// Where the authenticator app's factor is: the last of the entity's factors.
async fn totp_factor(store: &dyn Store) -> (ServiceSid, FactorSid) {
    let everything = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Descending,
        limit: usize::MAX,
    };
    let entries = store.scan(everything).await.unwrap();
    let factors = entries
        .iter()
        .filter_map(|(key, entry)| match KeyParts::parse(key) {
            Some(KeyParts::Factor(owner, sid)) => {
                let factor: Factor = decode(&entry.value).unwrap();
                (factor.factor_type() == FactorType::Totp).then_some((owner.service, sid))
            }
            _ => None,
        });
    factors.max_by_key(|(_, sid)| *sid).unwrap()
}

/// When the store was exported.
fn written_at() -> Timestamp {
    Timestamp::from_seconds(1_790_000_010)
}

fn account_sid() -> AccountSid {
    AccountSid::from_bytes([1; 16])
}

pub(crate) fn identity() -> Identity {
    Identity::parse("user-001").unwrap()
}

fn secret() -> TotpSecret {
    TotpSecret::from_bytes(Zeroizing::new((1..=20).collect())).unwrap()
}

fn name(text: &str) -> FriendlyName {
    FriendlyName::parse(text).unwrap()
}

fn service_name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

const TOKEN: &str = "token-of-the-owner";
