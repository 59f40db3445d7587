//! A key of each kind, with its bytes.

use super::*;

/// A key as requests write it, its bytes, and what it says.
pub(super) struct Sample {
    pub(super) key: Vec<u8>,
    pub(super) bytes: String,
    pub(super) parts: KeyParts,
}

/// At least one key of each kind.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn samples() -> Vec<Sample> {
    let (ac, va, four, five) = (hex(&[1; 16]), hex(&[2; 16]), hex(&[4; 16]), hex(&[5; 16]));
    // A zero byte within an identifier is not the one that ends the identity.
    let ye = hex(&[0; 16]);
    let user = format!("65{va}757365722d30303100");
    let scope = scope();
    let (account_sid, service_sid, owner) = (scope.account, scope.service, owner());
    let (factor_sid, challenge_sid) = (FactorSid::from_bytes([4; 16]), ChallengeSid::from_bytes([5; 16]));
    let (event, webhook_sid) = (EventSid::from_bytes([5; 16]), WebhookSid::from_bytes([4; 16]));
    let (credential_sid, api_key_sid) = (CredentialSid::from_bytes([4; 16]), ApiKeySid::from_bytes([4; 16]));
    let (verification_sid, limit) = (
        VerificationSid::from_bytes([4; 16]),
        RateLimitSid::from_bytes([4; 16]),
    );
    let (bearer_sid, dialect) = (
        BearerTokenSid::from_bytes([4; 16]),
        DialectName::parse("example").unwrap(),
    );
    let (attempt_sid, token) = (
        AttemptSid::from_bytes([4; 16]),
        AccessTokenSid::from_bytes([4; 16]),
    );
    let audit_sid = AuditSid::from_bytes([4; 16]);
    let node_id = NodeId::from_bytes([4; 16]);
    let key_name = KeyName::parse("abcd1234").unwrap();
    let due = Timestamp::from_millis(0x0102_0304);
    let number = Destination::Phone(phone());
    let address = Destination::Email(EmailAddress::parse("ada@example.com").unwrap());
    let belgium = Region::Country(Country::parse("BE").unwrap());
    let counter = Counter::of_service(account_sid, service_sid, Timestamp::from_seconds(86_400));
    let prefix = DestinationPrefix::of_number(&phone());
    let value = Fingerprint([5; 16]);
    let mut samples = vec![
        sample(store_format(), "6d".to_owned(), KeyParts::StoreFormat()),
        sample(node(node_id), format!("48{four}"), KeyParts::Node(node_id)),
        sample(duty(Duty::Sweep), "4a73".to_owned(), KeyParts::Duty(Duty::Sweep)),
        sample(key_ring(), "4d".to_owned(), KeyParts::KeyRing()),
        sample(filling(), "46".to_owned(), KeyParts::Filling()),
        sample(key_walk(), "51".to_owned(), KeyParts::KeyWalk()),
        sample(store_epoch(), "7e".to_owned(), KeyParts::StoreEpoch()),
        sample(witness_count(), "4f".to_owned(), KeyParts::WitnessCount()),
        sample(vapid_key(), "4b".to_owned(), KeyParts::VapidKey()),
        sample(
            account(account_sid),
            format!("61{ac}"),
            KeyParts::Account(account_sid),
        ),
        sample(
            api_key(api_key_sid),
            format!("6b{four}"),
            KeyParts::ApiKey(api_key_sid),
        ),
        sample(
            imported_key(&key_name),
            format!("49{}00", hex(b"abcd1234")),
            KeyParts::ImportedKey(key_name.clone()),
        ),
        sample(
            device(credential_sid),
            format!("64{four}"),
            KeyParts::Device(credential_sid),
        ),
        sample(
            dead_letter(event),
            format!("78{five}"),
            KeyParts::DeadLetter(event),
        ),
        sample(
            challenge_timer(due, challenge_sid),
            format!("7a0000000001020304{five}"),
            KeyParts::ChallengeTimer(due, challenge_sid),
        ),
        sample(
            verification_timer(due, verification_sid),
            format!("560000000001020304{four}"),
            KeyParts::VerificationTimer(due, verification_sid),
        ),
        sample(
            purge(service_sid),
            format!("67{va}"),
            KeyParts::Purge(service_sid),
        ),
        sample(
            api_key_of(account_sid, api_key_sid),
            format!("62{ac}{four}"),
            KeyParts::ApiKeyOf(account_sid, api_key_sid),
        ),
        sample(
            bearer_token(bearer_sid),
            format!("54{four}"),
            KeyParts::BearerToken(bearer_sid),
        ),
        sample(
            bearer_token_of(account_sid, bearer_sid),
            format!("45{ac}{four}"),
            KeyParts::BearerTokenOf(account_sid, bearer_sid),
        ),
        sample(
            dialect_service(account_sid, &dialect),
            format!("44{ac}6578616d706c6500"),
            KeyParts::DialectService(account_sid, dialect.clone()),
        ),
        sample(
            audit_entry(account_sid, audit_sid),
            format!("41{ac}{four}"),
            KeyParts::AuditEntry(account_sid, audit_sid),
        ),
        sample(
            audit_seal(account_sid, audit_sid),
            format!("55{ac}{four}"),
            KeyParts::AuditSeal(account_sid, audit_sid),
        ),
        sample(
            audit_head(account_sid),
            format!("52{ac}"),
            KeyParts::AuditHead(account_sid),
        ),
        sample(
            client_key(&value),
            format!("43{}", hex(&[5; 16])),
            KeyParts::ClientKey(value),
        ),
        sample(
            begun_sessions(service_sid, &value),
            format!("4c{va}{five}"),
            KeyParts::BegunSessions(service_sid, value),
        ),
        sample(
            service(account_sid, service_sid),
            format!("73{ac}{va}"),
            KeyParts::Service(account_sid, service_sid),
        ),
        sample(
            credential(account_sid, credential_sid),
            format!("72{ac}{four}"),
            KeyParts::Credential(account_sid, credential_sid),
        ),
        sample(
            attempt(account_sid, attempt_sid),
            format!("6c{ac}{four}"),
            KeyParts::Attempt(account_sid, attempt_sid),
        ),
        sample(
            creation_rate(account_sid),
            format!("71{ac}"),
            KeyParts::CreationRate(account_sid),
        ),
        sample(
            service_count(account_sid),
            format!("4e{ac}"),
            KeyParts::ServiceCount(account_sid),
        ),
        sample(
            safe_number(account_sid, &phone()),
            format!("53{ac}33323437303132333435"),
            KeyParts::SafeNumber(account_sid, phone()),
        ),
        sample(
            budget(&counter),
            format!("42{ac}730000000000000001{va}"),
            KeyParts::Budget(counter),
        ),
        sample(
            prefix_block(account_sid, &prefix),
            format!("50{ac}333234373031"),
            KeyParts::PrefixBlock(account_sid, prefix),
        ),
        sample(
            entity(service_sid, &scope.identity),
            user.clone(),
            KeyParts::Entity(service_sid, scope.identity.clone()),
        ),
        sample(
            entity_in_order(service_sid, scope.entity),
            format!("6e{va}{ye}"),
            KeyParts::EntityOrder(service_sid, scope.entity),
        ),
        sample(
            keys::user(service_sid, &scope.identity),
            format!("75{va}757365722d30303100"),
            KeyParts::User(service_sid, scope.identity.clone()),
        ),
        sample(
            webhook(service_sid, webhook_sid),
            format!("77{va}{four}"),
            KeyParts::Webhook(service_sid, webhook_sid),
        ),
        sample(
            access_token(service_sid, token),
            format!("74{va}{four}"),
            KeyParts::AccessToken(service_sid, token),
        ),
        sample(
            verification(service_sid, verification_sid),
            format!("76{va}{four}"),
            KeyParts::Verification(service_sid, verification_sid),
        ),
        sample(
            rate_limit(service_sid, limit),
            format!("69{va}{four}"),
            KeyParts::RateLimit(service_sid, limit),
        ),
        sample(
            rate_limit_uses(service_sid, limit, &value),
            format!("6a{va}{four}{five}"),
            KeyParts::RateLimitUses(service_sid, limit, value),
        ),
        sample(
            factor(&scope, factor_sid),
            format!("{user}{ye}66{four}"),
            KeyParts::Factor(owner.clone(), factor_sid),
        ),
        sample(
            challenge(&scope, challenge_sid),
            format!("{user}{ye}63{five}"),
            KeyParts::Challenge(owner.clone(), challenge_sid),
        ),
        sample(
            pending_challenge(&scope, factor_sid, challenge_sid),
            format!("{user}{ye}70{four}{five}"),
            KeyParts::Pending(owner, factor_sid, challenge_sid),
        ),
    ];
    for (receiver, kind) in [
        (Receiver::Credential(credential_sid), "63"),
        (Receiver::Factor(factor_sid), "66"),
        (Receiver::Webhook(webhook_sid), "77"),
    ] {
        let account = AccountSid::from_bytes([6; 16]);
        let lane = Lane { account, receiver };
        let bytes = format!("{kind}{}{four}", "06".repeat(16));
        let parts = KeyParts::OutboxRow(lane, event);
        samples.push(sample(outbox_row(lane, event), format!("6f{bytes}{five}"), parts));
    }
    for (region, bytes) in [(Region::All, "2a"), (belgium, "4245")] {
        let key = messaging_configuration(service_sid, region);
        let parts = KeyParts::MessagingConfiguration(service_sid, region);
        samples.push(sample(key, format!("68{va}{bytes}"), parts));
    }
    for (to, bytes) in [
        (number, "7033323437303132333435"),
        (address, "65616461406578616d706c652e636f6d"),
    ] {
        samples.push(sample(
            wrong_codes(account_sid, &to),
            format!("57{ac}{bytes}"),
            KeyParts::WrongCodes(account_sid, to.clone()),
        ));
        let key = destination(service_sid, &to);
        samples.push(sample(
            key,
            format!("79{va}{bytes}"),
            KeyParts::Destination(service_sid, to),
        ));
    }
    samples
}

pub(super) fn sample<T>(key: keys::Key<T>, bytes: String, parts: KeyParts) -> Sample {
    Sample {
        key: key.into_bytes(),
        bytes,
        parts,
    }
}

pub(super) fn scope() -> EntityScope {
    EntityScope {
        account: AccountSid::from_bytes([1; 16]),
        service: ServiceSid::from_bytes([2; 16]),
        identity: Identity::parse("user-001").unwrap(),
        entity: EntitySid::from_bytes([0; 16]),
    }
}

pub(super) fn owner() -> Owner {
    Owner {
        service: scope().service,
        identity: scope().identity,
        entity: scope().entity,
    }
}

pub(super) fn phone() -> PhoneNumber {
    PhoneNumber::try_from("+3247012345".to_owned()).unwrap()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
