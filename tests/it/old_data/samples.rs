//! One record of every kind and form: everything that may be empty empty, everything filled, each variant.

use std::time::Duration;

use crate::doubles::SeededEntropy;
use countersign::crypto::key_ring::KeyRing;
use countersign::crypto::master_key::MasterKey;
use countersign::crypto::vault::Vault;
use countersign::domain::access_token::{AccessToken, TokenLife};
use countersign::domain::account::{Account, AccountStatus, ApiKey};
use countersign::domain::attached::{Attached, AttachedChange, AttachedError, Attachment};
use countersign::domain::audit::{
    AuditAct, AuditChange, AuditDecision, AuditEntry, AuditHead, AuditOutcome, AuditRequest, AuditSeal,
    AuditSubject, Author, ChangeKind,
};
use countersign::domain::bearer_token::{BearerToken, TokenUser};
use countersign::domain::challenge::{Answer, Challenge, DenyReason, Details, Field, Fields, Outcome};
use countersign::domain::client_key::{ClientKey, ClientLogin, ClientVersion};
use countersign::domain::credential::{ApnCredential, Credential, CredentialKey};
use countersign::domain::destination::Destination;
use countersign::domain::entity::Entity;
use countersign::domain::events::{AccountNotice, Event, EventType, EventTypes, OutboxMessage, OutboxRow};
use countersign::domain::factor::{
    AcceptedSteps, CodeLength, DriftLimit, Factor, FactorKind, FactorLock, FactorStatus, FactorType,
    LearnedDrift, LockReason, NotificationChannel, PushFactor, Skew, TimeStep, TotpConfig, TotpFactor,
    Unreachable, WebPushSubscription,
};
use countersign::domain::key_ring::{HeldEntries, KeyWalk};
use countersign::domain::limits::{Failures, SlidingLog};
use countersign::domain::node::{ClockOffset, DutyHolder, NodeId, NodeRecord, SettingMark};
use countersign::domain::number_matching::{MatchingNumber, NumberLength};
use countersign::domain::opaque::{DevicePublicKey, P256Point, Sealed};
use countersign::domain::outbox::{DeadLetter, Reason};
use countersign::domain::phone::PhoneNumber;
use countersign::domain::push_guard::{PushGuard, PushLimits};
use countersign::domain::service::{PushSettings, Service, ServiceSettings, Subscription, TotpSettings};
use countersign::domain::sid::{
    AccessTokenSid, AccountSid, ApiKeySid, AuditSid, BearerTokenSid, ChallengeSid, CredentialSid, EntitySid,
    EventSid, FactorSid, ServiceSid, TemplateSid, VerificationSid, WebhookSid,
};
use countersign::domain::store_epoch::StoreEpoch;
use countersign::domain::text::{
    ApnsIdentifier, ApnsTopic, AppId, Attributes, DialectName, FieldLabel, FieldValue, FriendlyName,
    Identity, Issuer, KeyName, Message, NotificationToken, ServiceName,
};
use countersign::domain::time::Timestamp;
use countersign::domain::totp_algorithm::TotpAlgorithm;
use countersign::domain::user::User;
use countersign::domain::verification::SentCodeLength;
use countersign::domain::webhook::{Webhook, WebhookStatus, WebhookUrl, WebhookVersion};
use countersign::domain::webhook_secrets::WebhookSecrets;
use countersign::domain::witness::WitnessCount;
use countersign::store::records::{
    self, ChallengeTimer, CreationRate, DeviceAddress, DeviceRecord, DialectServiceRecord, FillSource,
    Filling, ImportedKey, Purge, Record, ServiceCount, StoreFormat, VapidKeyRecord,
};
use serde_bytes::ByteBuf;
use serde_json::Value;

use super::code_samples;

/// A record as it is written today.
pub(super) struct Sample {
    /// What is special about it.
    pub(super) name: String,
    /// The stored bytes.
    pub(super) bytes: Vec<u8>,
    /// What the bytes say.
    pub(super) value: Value,
}

/// Every sample.
pub(super) fn all() -> Vec<Sample> {
    [
        accounts(),
        services(),
        webhooks(),
        access_tokens(),
        entities(),
        users(),
        totp_factors(),
        push_factors(),
        challenges(),
        credentials(),
        outbox_rows(),
        of_the_store(),
        audit_log(),
    ]
    .into_iter()
    .flatten()
    .chain(code_samples::all())
    .collect()
}

/// A sample with this name.
pub(super) fn sample<T: Record>(name: &str, record: &T) -> Sample {
    Sample {
        name: name.to_owned(),
        bytes: records::encode(record).unwrap(),
        value: serde_json::to_value(record).unwrap(),
    }
}

fn accounts() -> Vec<Sample> {
    let sealed = |byte| Sealed::from_bytes([&[byte; 33][..], &[0; 32]].concat());
    let account = Account {
        sid: AccountSid::from_bytes([1; 16]),
        friendly_name: FriendlyName::parse("Owl Bank, \u{dc}berlingen").unwrap(),
        token: vault().token_hash(&[1; 16], "token"),
        status: AccountStatus::Active,
        date_created: moment(0),
        webhook_secrets: WebhookSecrets::new(sealed(1), false),
    };
    let suspended = Account {
        status: AccountStatus::Suspended { at: moment(1) },
        ..account.clone()
    };
    let rotated = Account {
        webhook_secrets: WebhookSecrets::new(sealed(1), true)
            .rotated(sealed(2), moment(1), Duration::from_hours(1))
            .rotated(sealed(3), moment(2), Duration::from_hours(24)),
        ..account.clone()
    };
    let key = ApiKey {
        sid: ApiKeySid::from_bytes([2; 16]),
        account: account.sid,
        imported: None,
        friendly_name: FriendlyName::parse("deploy").unwrap(),
        secret: vault().token_hash(&[2; 16], "secret"),
        date_created: moment(2),
    };
    let imported = ApiKey {
        imported: Some(KeyName::parse("abcd1234").unwrap()),
        ..key.clone()
    };
    let token = BearerToken {
        sid: BearerTokenSid::from_bytes([3; 16]),
        account: account.sid,
        dialect: DialectName::parse("example").unwrap(),
        user: None,
        friendly_name: FriendlyName::parse("gateway").unwrap(),
        secret: vault().token_hash(&[3; 16], "secret"),
        date_created: moment(2),
        expires_at: None,
    };
    let of_user = BearerToken {
        user: Some(TokenUser {
            name: Identity::parse("user-0001").unwrap(),
            manages_users: true,
        }),
        expires_at: Some(moment(3)),
        ..token.clone()
    };
    let number = Destination::Phone(PhoneNumber::try_from("+12025550123".to_owned()).unwrap());
    let mut client_key = ClientKey {
        key: Sealed::from_bytes(vec![1; 40]),
        login: None,
        version: None,
        date_created: moment(1),
        last_used: moment(2),
        expires_at: Some(moment(3)),
    };
    let fresh_key = client_key.clone();
    client_key.expires_at = None;
    client_key.version = Some(ClientVersion {
        number: 229,
        since: moment(1),
    });
    client_key.login = Some(ClientLogin {
        account: account.sid,
        destination: number,
        user: 5,
        since: moment(2),
    });
    vec![
        sample("key of a client, with an end", &fresh_key),
        sample("key of a client, logged in", &client_key),
        sample("bearer token, of an account", &token),
        sample("bearer token, of a user, with an end", &of_user),
        sample("account, active, with a webhook secret that nobody saw", &account),
        sample("account, suspended", &suspended),
        sample("account, webhook secrets in an overlap", &rotated),
        sample("API key", &key),
        sample("API key, imported", &imported),
        sample("name of an API key", &ImportedKey { key: imported.sid }),
    ]
}

/// Keeps something for a dialect.
#[derive(Debug)]
struct Keep(&'static str, &'static [u8]);

impl AttachedChange for Keep {
    fn dialect(&self) -> &'static str {
        self.0
    }

    fn apply(&self, _: Option<&Attachment>) -> Result<Option<Attachment>, AttachedError> {
        Attachment::new(1, self.1.to_vec()).map(Some)
    }
}

fn services() -> Vec<Sample> {
    let of_dialect = DialectServiceRecord {
        service: ServiceSid::from_bytes([3; 16]),
    };
    let empty = Service {
        sid: ServiceSid::from_bytes([3; 16]),
        account: AccountSid::from_bytes([1; 16]),
        settings: ServiceSettings::named(ServiceName::parse("Owl Bank").unwrap()),
        subscriptions: Vec::new(),
        attached: Attached::default(),
        date_created: moment(3),
        date_updated: moment(4),
    };
    let settings = ServiceSettings {
        friendly_name: ServiceName::parse("Owl Bank 2").unwrap(),
        code_length: SentCodeLength::new(10).unwrap(),
        lookup_enabled: true,
        psd2_enabled: true,
        skip_sms_to_landlines: true,
        do_not_share_warning_enabled: true,
        custom_code_enabled: true,
        push: PushSettings {
            apn_credential_sid: Some(CredentialSid::from_bytes([5; 16])),
            fcm_credential_sid: Some(CredentialSid::from_bytes([6; 16])),
            number_matching: number_length(3),
        },
        totp: TotpSettings {
            issuer: Some(Issuer::parse("owlbank.example").unwrap()),
            time_step: Some(TimeStep::new(60).unwrap()),
            code_length: Some(CodeLength::new(8).unwrap()),
            skew: Some(Skew::new(2).unwrap()),
        },
        default_template_sid: Some(TemplateSid::from_bytes([7; 16])),
        new_code_on_resend: true,
    };
    let subscription = |byte, events| Subscription {
        webhook: WebhookSid::from_bytes([byte; 16]),
        events,
    };
    let mut attached = Attached::default();
    attached
        .change(&Keep("twilio", br#"{"tts_name":"Alice"}"#))
        .unwrap();
    attached.change(&Keep("another", &[0, 255])).unwrap();
    let filled = Service {
        settings,
        attached,
        subscriptions: vec![
            subscription(9, EventTypes::All),
            subscription(10, EventTypes::Only(EventType::ALL.to_vec())),
        ],
        ..empty.clone()
    };
    vec![
        sample("service of an account's requests in a protocol", &of_dialect),
        sample("service, only named", &empty),
        sample("service, everything set", &filled),
    ]
}

fn webhooks() -> Vec<Sample> {
    let webhook = |event_types, status, version| Webhook {
        sid: WebhookSid::from_bytes([9; 16]),
        friendly_name: FriendlyName::parse("events").unwrap(),
        event_types,
        url: WebhookUrl::parse("https://owlbank.example/hook?x=1").unwrap(),
        status,
        version,
        date_created: moment(5),
        date_updated: moment(6),
    };
    vec![
        sample(
            "webhook, all events, enabled, V2",
            &webhook(EventTypes::All, WebhookStatus::Enabled, WebhookVersion::V2),
        ),
        sample(
            "webhook, each event, disabled, V1",
            &webhook(
                EventTypes::Only(EventType::ALL.to_vec()),
                WebhookStatus::Disabled,
                WebhookVersion::V1,
            ),
        ),
        sample(
            "webhook, no event",
            &webhook(
                EventTypes::Only(Vec::new()),
                WebhookStatus::Enabled,
                WebhookVersion::V2,
            ),
        ),
    ]
}

fn access_tokens() -> Vec<Sample> {
    let fresh = AccessToken {
        sid: AccessTokenSid::from_bytes([11; 16]),
        account: AccountSid::from_bytes([1; 16]),
        identity: identity(),
        factor_friendly_name: None,
        life: TokenLife::default(),
        date_created: moment(7),
        spent_on: None,
    };
    let spent = AccessToken {
        factor_friendly_name: Some(FriendlyName::parse("Ann's phone").unwrap()),
        life: TokenLife::new(300).unwrap(),
        spent_on: Some(FactorSid::from_bytes([13; 16])),
        ..fresh.clone()
    };
    vec![
        sample("access token, fresh", &fresh),
        sample("access token, spent", &spent),
    ]
}

fn entities() -> Vec<Sample> {
    let empty = Entity::new(
        EntitySid::from_bytes([12; 16]),
        AccountSid::from_bytes([1; 16]),
        identity(),
        moment(8),
    );
    let mut filled = empty.clone();
    filled.add_factor(FactorType::Push, moment(9)).unwrap();
    filled.add_factor(FactorType::Totp, moment(10)).unwrap();
    filled.add_factor(FactorType::Totp, moment(11)).unwrap();
    vec![
        sample("identity", &identity()),
        sample("entity, without factors", &empty),
        sample("entity, with factors", &filled),
    ]
}

fn users() -> Vec<Sample> {
    let (account, service) = (AccountSid::from_bytes([1; 16]), ServiceSid::from_bytes([3; 16]));
    let fresh = User::new(account, service, identity(), moment(8));
    let number = PhoneNumber::try_from("+32470123456".to_owned()).unwrap();
    let mut waits = fresh.clone();
    waits.set_phone(
        number.clone(),
        Some(VerificationSid::from_bytes([41; 16])),
        moment(9),
    );
    let mut filled = fresh.clone();
    filled.set_phone(number, None, moment(9));
    filled.set_code_by_sms(true, moment(10)).unwrap();
    vec![
        sample("user, of whom nothing is known", &fresh),
        sample("user, whose number waits for a code", &waits),
        sample("user, with a number and codes by text message", &filled),
    ]
}

fn totp_factors() -> Vec<Sample> {
    let factor = |status, kind| Factor {
        sid: FactorSid::from_bytes([13; 16]),
        friendly_name: FriendlyName::parse("Ann's phone").unwrap(),
        status,
        kind: FactorKind::Totp(kind),
        metadata: None,
        date_created: moment(12),
        date_updated: moment(13),
        failures: Failures::default(),
        challenge_creations: SlidingLog::default(),
        last_event: None,
    };
    let totp = |algorithm, config: (u8, u8, u8), accepted| TotpFactor {
        secret: Sealed::from_bytes((0..53).collect()),
        fingerprint: vault().fingerprint(&[12; 16], b"secret"),
        legacy_secret: algorithm == TotpAlgorithm::Sha256,
        config: TotpConfig {
            algorithm,
            skew: Skew::new(config.0).unwrap(),
            code_length: CodeLength::new(config.1).unwrap(),
            time_step: TimeStep::new(config.2).unwrap(),
        },
        accepted,
        drift: LearnedDrift::default(),
    };
    let fresh = factor(
        FactorStatus::Unverified { attempts: 0 },
        totp(TotpAlgorithm::Sha1, (1, 6, 30), AcceptedSteps::default()),
    );
    let mut accepted = AcceptedSteps::default();
    (59_666_600..59_666_610).for_each(|step| accepted.accept(step));
    let mut used = factor(
        FactorStatus::Verified,
        totp(TotpAlgorithm::Sha256, (0, 3, 20), accepted),
    );
    used.metadata = Some(attributes());
    used.failures.fail(moment(14));
    used.failures.fail(moment(15));
    used.challenge_creations
        .record(moment(14), Factor::CHALLENGE_MEMORY);
    used.challenge_creations
        .record(moment(15), Factor::CHALLENGE_MEMORY);
    let tried = factor(
        FactorStatus::Unverified { attempts: 5 },
        totp(TotpAlgorithm::Sha512, (2, 8, 60), AcceptedSteps::default()),
    );
    let disabled = Factor {
        status: FactorStatus::Disabled,
        metadata: Some(Attributes::default()),
        ..fresh.clone()
    };
    vec![
        sample("TOTP factor, fresh, SHA-1", &fresh),
        sample("TOTP factor, used, SHA-256", &used),
        sample("TOTP factor, tried, SHA-512", &tried),
        sample("TOTP factor, disabled", &disabled),
    ]
}

fn sdk_version() -> Attached {
    let mut attached = Attached::default();
    let kept = Keep("twilio", br#"{"sdk_version":"1.3.0"}"#);
    attached.change(&kept).unwrap();
    attached
}

fn push_factors() -> Vec<Sample> {
    let token = || NotificationToken::parse(&"0123456789abcdef".repeat(4)).unwrap();
    let guarded = |notification, guard| Factor {
        sid: FactorSid::from_bytes([14; 16]),
        friendly_name: FriendlyName::parse("Ann's tablet").unwrap(),
        status: FactorStatus::Verified,
        kind: FactorKind::Push(Box::new(PushFactor {
            credential: CredentialSid::from_bytes([15; 16]),
            public_key: device_key(),
            fingerprint: vault().fingerprint(&[12; 16], device_key().as_bytes()),
            app_id: AppId::parse("com.example.owlbank").unwrap(),
            attached: sdk_version(),
            notification,
            unreachable: None,
            guard,
        })),
        metadata: Some(attributes()),
        date_created: moment(16),
        date_updated: moment(17),
        failures: Failures::default(),
        challenge_creations: SlidingLog::default(),
        last_event: None,
    };
    let push = |notification| guarded(notification, PushGuard::default());
    let (mut asked, limits) = (PushGuard::default(), PushLimits::default());
    for (byte, at) in [(16, 18), (18, 19)] {
        let challenge = ChallengeSid::from_bytes([byte; 16]);
        asked
            .ask(challenge, moment(300 + at), &[], &limits, moment(at))
            .unwrap();
    }
    for at in 20..23 {
        asked.wrong_number(limits.pause, moment(at));
    }
    let mut lost = push(NotificationChannel::Fcm(token()));
    if let FactorKind::Push(push) = &mut lost.kind {
        push.unreachable = Some(Unreachable {
            since: moment(18),
            why: "UNREGISTERED".to_owned(),
            credential: Some(CredentialSid::from_bytes([6; 16])),
        });
    }
    vec![
        sample("push factor, FCM, unreachable", &lost),
        sample("push factor, APN", &push(NotificationChannel::Apn(token()))),
        sample("push factor, FCM", &push(NotificationChannel::Fcm(token()))),
        sample("push factor, silent", &push(NotificationChannel::None)),
        sample(
            "push factor, Web Push",
            &push(NotificationChannel::WebPush(subscription())),
        ),
        sample(
            "push factor, asked twice, paused",
            &guarded(NotificationChannel::None, asked),
        ),
    ]
}

/// The receiver of the example of RFC 8291.
fn subscription() -> WebPushSubscription {
    let text = r#"{"endpoint": "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV", "keys": {"p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}"#;
    WebPushSubscription::parse(text).unwrap()
}

fn challenges() -> Vec<Sample> {
    let empty = Challenge {
        sid: ChallengeSid::from_bytes([16; 16]),
        factor: FactorSid::from_bytes([13; 16]),
        factor_type: FactorType::Totp,
        outcome: Outcome::Pending,
        details: None,
        hidden_details: None,
        metadata: None,
        date_created: moment(18),
        date_updated: moment(19),
        expires_at: moment(318),
        attempts: 0,
        notifications: 0,
        number: None,
        deny_reason: None,
    };
    let with = |outcome| Challenge {
        outcome,
        ..empty.clone()
    };
    let answer = |signed: Option<&str>| Answer {
        at: moment(20),
        signed: signed.map(str::to_owned),
    };
    let field = |label, value| Field {
        label: FieldLabel::parse(label).unwrap(),
        value: FieldValue::parse(value).unwrap(),
    };
    let filled = Challenge {
        factor_type: FactorType::Push,
        details: Some(Details {
            message: Some(Message::parse("Pay 12 \u{20ac}?\nReally?").unwrap()),
            fields: Fields::new(vec![field("Payee", "Owl Bank"), field("Note", "")]).unwrap(),
            date: Some(moment(18)),
        }),
        hidden_details: Some(attributes()),
        metadata: Some(attributes()),
        attempts: 5,
        notifications: 3,
        number: number_length(2).map(|length| MatchingNumber::draw(length, &SeededEntropy::new(1))),
        ..empty.clone()
    };
    let denied_because = |reason| Challenge {
        outcome: Outcome::Denied(answer(Some("e30.e30.AA"))),
        deny_reason: Some(reason),
        ..filled.clone()
    };
    let without_details = Challenge {
        details: Some(Details {
            message: None,
            fields: Fields::default(),
            date: None,
        }),
        ..empty.clone()
    };
    vec![
        sample("challenge, pending", &empty),
        sample("challenge, pending, everything set", &filled),
        sample("challenge, pending, details empty", &without_details),
        sample(
            "challenge, approved by a code",
            &with(Outcome::Approved(answer(None))),
        ),
        sample(
            "challenge, approved by a device",
            &with(Outcome::Approved(answer(Some("e30.e30.AA")))),
        ),
        sample(
            "challenge, denied",
            &with(Outcome::Denied(answer(Some("e30.e30.AA")))),
        ),
        sample("challenge, reported", &denied_because(DenyReason::NotMe)),
        sample(
            "challenge, denied by a wrong number",
            &denied_because(DenyReason::WrongNumber),
        ),
        sample("challenge, expired for good", &with(Outcome::Expired)),
    ]
}

fn outbox_rows() -> Vec<Sample> {
    let row = |message| OutboxRow::new(EventSid::from_bytes([17; 16]), moment(21), message);
    let event = |event_type, factor_type, challenge| OutboxMessage::Webhook {
        webhook: WebhookSid::from_bytes([9; 16]),
        event: Event {
            event_type,
            at: moment(22),
            account: AccountSid::from_bytes([1; 16]),
            service: ServiceSid::from_bytes([3; 16]),
            entity: EntitySid::from_bytes([12; 16]),
            identity: identity(),
            factor: FactorSid::from_bytes([13; 16]),
            factor_type,
            challenge,
            lock: (event_type == EventType::FactorLocked).then_some(FactorLock {
                reason: LockReason::WrongCodes,
                until: Some(moment(90)),
            }),
        },
    };
    let push = |credential| OutboxMessage::Push {
        service: ServiceSid::from_bytes([3; 16]),
        identity: identity(),
        entity: EntitySid::from_bytes([12; 16]),
        factor: FactorSid::from_bytes([14; 16]),
        challenge: ChallengeSid::from_bytes([16; 16]),
        expires_at: moment(318),
        account: AccountSid::from_bytes([1; 16]),
        credential,
    };
    let challenge = Some(ChallengeSid::from_bytes([16; 16]));
    let tried = OutboxRow {
        attempts: 7,
        next_at: moment(100),
        lease: Some(moment(24)),
        last_error: Some(Reason::new("status 500")),
        ..row(push(None))
    };
    let letter = DeadLetter {
        row: OutboxRow {
            lease: None,
            ..tried.clone()
        },
        why: Reason::new("status 410, \u{2026}"),
        date_given_up: moment(25),
    };
    let mut samples = vec![
        sample(
            "outbox row, push",
            &row(push(Some(CredentialSid::from_bytes([6; 16])))),
        ),
        sample("outbox row, push, leased", &tried),
        sample("dead letter", &letter),
        sample(
            "outbox row, webhook, of a push challenge",
            &row(event(EventType::ChallengeDenied, FactorType::Push, challenge)),
        ),
    ];
    samples.extend(EventType::ALL.map(|event_type| {
        let name = format!("outbox row, webhook, {}", event_type.name());
        sample(&name, &row(event(event_type, FactorType::Totp, None)))
    }));
    samples.extend([None, Some("API key SK1")].map(|subject| {
        let notice = AccountNotice {
            event_type: EventType::KeyCreated,
            at: moment(22),
            account: AccountSid::from_bytes([1; 16]),
            service: ServiceSid::from_bytes([3; 16]),
            subject: subject.map(str::to_owned),
        };
        let message = OutboxMessage::Notice {
            webhook: WebhookSid::from_bytes([9; 16]),
            notice,
        };
        sample(&format!("outbox row, notice of {subject:?}"), &row(message))
    }));
    samples
}

fn of_the_store() -> Vec<Sample> {
    let address = DeviceAddress {
        account: AccountSid::from_bytes([1; 16]),
        service: ServiceSid::from_bytes([3; 16]),
        identity: identity(),
        entity: EntitySid::from_bytes([12; 16]),
        factor: FactorSid::from_bytes([14; 16]),
    };
    let device = DeviceRecord {
        address,
        public_key: device_key(),
    };
    let format = StoreFormat { version: 1 };
    let ring = vault().sealed_ring();
    let id = NodeId::from_bytes([17; 16]);
    let node = NodeRecord {
        host: "one.example".to_owned(),
        version: "0.1.0".to_owned(),
        started: moment(24),
        until: moment(25),
        clock: ClockOffset::measured(moment(24), moment(25), moment(24)),
        settings: vec![SettingMark {
            name: "limits.max_pending_challenges".to_owned(),
            mark: [18; 8],
        }],
    };
    let duty = DutyHolder {
        node: id,
        until: moment(26),
    };
    let conversion = FillSource::Conversion { store: ring.store };
    let filling = |source| Filling {
        source,
        entries: 70_000,
        last_key: vec![b'a', 0, 0xff],
    };
    let held = |count| HeldEntries {
        count,
        first: vec![ByteBuf::from(vec![b'W', 0, 0xff])],
    };
    let vapid_key = VapidKeyRecord {
        public_key: P256Point::from_sec1(device_key().as_bytes()).unwrap(),
        private_key: Sealed::from_bytes(vec![1; 1 + 4 + 12 + 32 + 16]),
    };
    let timer = ChallengeTimer {
        account: AccountSid::from_bytes([1; 16]),
        service: ServiceSid::from_bytes([3; 16]),
        identity: identity(),
        entity: EntitySid::from_bytes([12; 16]),
        challenge: ChallengeSid::from_bytes([16; 16]),
    };
    vec![
        sample("timer of a challenge", &timer),
        sample(
            "epoch",
            &StoreEpoch {
                number: 2,
                began: moment(24),
                drift: DriftLimit::of_steps(3),
            },
        ),
        sample("count of the witness", &WitnessCount { count: 25 }),
        sample("device", &device),
        sample("deleted service", &Purge { since: moment(23) }),
        sample(
            "creation rate",
            &CreationRate {
                second: 1_790_000_000,
                count: 41,
            },
        ),
        sample("service count", &ServiceCount { count: 3 }),
        sample("store format", &format),
        sample("key ring", &ring),
        sample(
            "walk of the data keys",
            &KeyWalk {
                generation: 3,
                after: vec![b'f', 0, 0xff],
                seen: 70_000,
                written: 69_000,
                found: true,
                held: held(2),
                still_held: held(1),
                is_done: false,
            },
        ),
        sample("server", &node),
        sample("duty of a server", &duty),
        sample("VAPID key", &vapid_key),
        sample(
            "half an import",
            &filling(FillSource::Import { sha256: [0xaa; 32] }),
        ),
        sample("half a conversion", &filling(conversion)),
    ]
}

fn number_length(digits: u8) -> Option<NumberLength> {
    NumberLength::parse(digits).unwrap()
}

fn credentials() -> Vec<Sample> {
    let sealed = || Sealed::from_bytes((0..64).collect());
    let id = |text| ApnsIdentifier::parse(text).unwrap();
    let fcm = Credential {
        sid: CredentialSid::from_bytes([6; 16]),
        account: AccountSid::from_bytes([1; 16]),
        friendly_name: None,
        key: CredentialKey::Fcm {
            service_account: sealed(),
        },
        date_created: moment(24),
        date_updated: moment(25),
    };
    let apn = |topic, sandbox| Credential {
        sid: CredentialSid::from_bytes([5; 16]),
        friendly_name: Some(FriendlyName::parse("Owl Bank, iOS").unwrap()),
        key: CredentialKey::Apn(ApnCredential {
            private_key: sealed(),
            key_id: id("ABC123DEFG"),
            team_id: id("DEF123GHIJ"),
            topic,
            sandbox,
        }),
        ..fcm.clone()
    };
    vec![
        sample("credential, FCM", &fcm),
        sample("credential, APN", &apn(None, false)),
        sample(
            "credential, APN, sandbox",
            &apn(Some(ApnsTopic::parse("com.example.owlbank").unwrap()), true),
        ),
    ]
}

/// This many seconds after the samples' beginning.
pub(super) fn moment(seconds: u64) -> Timestamp {
    Timestamp::from_millis((1_790_000_000 + seconds) * 1000 + 7)
}

fn identity() -> Identity {
    Identity::parse("user-001").unwrap()
}

pub(super) fn attributes() -> Attributes {
    Attributes::new(pairs()).unwrap()
}

pub(super) fn pairs() -> Vec<(String, String)> {
    vec![
        ("os".to_owned(), "\u{1F989} 17".to_owned()),
        (String::new(), String::new()),
    ]
}

pub(super) fn vault() -> Vault {
    let (master, entropy) = (
        MasterKey::parse(&"42".repeat(32)).unwrap(),
        SeededEntropy::new(42),
    );
    Vault::new(&KeyRing::generate(&master, &entropy, moment(0)))
}

/// The first point whose x is the SHA-256 of `countersign fuzz` and a counter byte (7): nobody knows its private key.
pub(crate) fn device_key() -> DevicePublicKey {
    let text = concat!(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaN4VafLBgiouJgrr02i2o2N8t+TO",
        "Ucv56DDXjzgIOpk4BeasGuGV0Lid6wxt0St1phzZLiqxR2/wpPsesFWkCw=="
    );
    DevicePublicKey::from_spki_base64(text).unwrap()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn audit_log() -> Vec<Sample> {
    let plain = AuditEntry {
        author: Author::Server,
        request: None,
        decision: None,
        changes: Vec::new(),
        unwritten: 0,
    };
    let of = |author| AuditEntry {
        author,
        ..plain.clone()
    };
    let full = AuditEntry {
        author: Author::ApiKey(ApiKeySid::from_bytes([2; 16])),
        request: Some(AuditRequest {
            id: [19; 16],
            dialect: "example".to_owned(),
            address: "2001:db8::1".to_owned(),
            agent: Some("owlbank/1.0".to_owned()),
        }),
        decision: Some(AuditDecision {
            act: AuditAct::CheckCode,
            subject: AuditSubject {
                service: Some(ServiceSid::from_bytes([3; 16])),
                identity: Some(identity()),
                factor: Some(FactorSid::from_bytes([13; 16])),
                challenge: Some(ChallengeSid::from_bytes([16; 16])),
                verification: Some(VerificationSid::from_bytes([20; 16])),
                destination: Some(Destination::Phone(
                    PhoneNumber::parse("+4915112345678", None).unwrap(),
                )),
            },
            outcome: AuditOutcome::Refused,
            reason: Some("wrong code".to_owned()),
        }),
        changes: [ChangeKind::Created, ChangeKind::Changed, ChangeKind::Deleted]
            .map(|change| AuditChange {
                change,
                what: "webhook".to_owned(),
            })
            .to_vec(),
        unwritten: 3,
    };
    let decided = |act, outcome| AuditEntry {
        decision: Some(AuditDecision {
            act,
            subject: AuditSubject::default(),
            outcome,
            reason: None,
        }),
        ..plain.clone()
    };
    let seal = AuditSeal {
        number: 2,
        previous: [21; 32],
        first: AuditSid::from_bytes([22; 16]),
        last: AuditSid::from_bytes([23; 16]),
        entries: 500,
        digest: [24; 32],
        whole_until: moment(27),
        ends_at: moment(28),
        previous_ends_at: Some(moment(26)),
    };
    let first = AuditSeal {
        number: 1,
        previous: [0; 32],
        previous_ends_at: None,
        ..seal.clone()
    };
    let head = AuditHead {
        seals: 2,
        hash: [25; 32],
        last: seal.last,
        ends_at: seal.ends_at,
        entries: 1000,
    };
    let by = [
        ("the account", Author::Account),
        (
            "a bearer token",
            Author::BearerToken(BearerTokenSid::from_bytes([3; 16])),
        ),
        (
            "an access token",
            Author::AccessToken(AccessTokenSid::from_bytes([3; 16])),
        ),
        ("a device", Author::Device(FactorSid::from_bytes([13; 16]))),
        ("an operator", Author::Operator(1000)),
        ("anyone", Author::Anyone),
        ("a stranger", Author::Unknown),
    ]
    .map(|(name, author)| sample(&format!("audit entry of {name}"), &of(author)));
    let decisions = [
        (AuditAct::AnswerChallenge, AuditOutcome::Denied),
        (AuditAct::CheckVerification, AuditOutcome::Approved),
        (AuditAct::Authenticate, AuditOutcome::Refused),
        (AuditAct::Change, AuditOutcome::Done),
    ]
    .map(|(act, outcome)| {
        let name = format!("audit entry, {} {}", act.name(), outcome.name());
        sample(&name, &decided(act, outcome))
    });
    let rest = [
        sample("audit entry of the server", &plain),
        sample("audit entry, full", &full),
        sample("audit seal", &seal),
        sample("audit seal, first", &first),
        sample("audit head", &head),
    ];
    by.into_iter().chain(decisions).chain(rest).collect()
}
