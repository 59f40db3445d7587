//! Every kind of key has exactly its bytes.

use super::*;
use crate::domain::country::Country;

fn scope() -> EntityScope {
    EntityScope {
        account: AccountSid::from_bytes([1; 16]),
        service: ServiceSid::from_bytes([2; 16]),
        identity: Identity::parse("user-001").unwrap(),
        entity: EntitySid::from_bytes([3; 16]),
    }
}

fn phone() -> PhoneNumber {
    PhoneNumber::try_from("+3247012345".to_owned()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_kind_of_key_has_these_bytes() {
    let (ac, va, ye) = ("01".repeat(16), "02".repeat(16), "03".repeat(16));
    let (four, five) = ("04".repeat(16), "05".repeat(16));
    let s = scope();
    let belgium = Country::parse("be").unwrap();
    let user = format!("65{va}757365722d30303100");
    let yf = FactorSid::from_bytes([4; 16]);
    let yc = ChallengeSid::from_bytes([5; 16]);
    let event = EventSid::from_bytes([5; 16]);
    let expected = [
        (hex(account(s.account).bytes()), format!("61{ac}")),
        (hex(accounts().bytes()), "61".to_owned()),
        (
            hex(api_keys_of(s.account).key(&[4; 16]).bytes()),
            format!("62{ac}{four}"),
        ),
        (
            hex(api_key(ApiKeySid::from_bytes([4; 16])).bytes()),
            format!("6b{four}"),
        ),
        (hex(service(s.account, s.service).bytes()), format!("73{ac}{va}")),
        (hex(&all_services()), "73".to_owned()),
        (
            hex(webhook(s.service, WebhookSid::from_bytes([4; 16])).bytes()),
            format!("77{va}{four}"),
        ),
        (
            hex(access_token(s.service, AccessTokenSid::from_bytes([4; 16])).bytes()),
            format!("74{va}{four}"),
        ),
        (
            hex(entity_order(s.service).key(s.entity.as_bytes()).bytes()),
            format!("6e{va}{ye}"),
        ),
        (hex(&entities(s.service)), format!("65{va}")),
        (hex(entity(s.service, &s.identity).bytes()), user.clone()),
        (hex(factor(&s, yf).bytes()), format!("{user}{ye}66{four}")),
        (hex(challenge(&s, yc).bytes()), format!("{user}{ye}63{five}")),
        (
            hex(pending(&s, yf).key(yc.as_bytes()).bytes()),
            format!("{user}{ye}70{four}{five}"),
        ),
        (
            hex(device(CredentialSid::from_bytes([4; 16])).bytes()),
            format!("64{four}"),
        ),
        (
            hex(credential(s.account, CredentialSid::from_bytes([4; 16])).bytes()),
            format!("72{ac}{four}"),
        ),
        (
            hex(outbox_without_lanes().key(&[4; 16]).bytes()),
            format!("6f{four}"),
        ),
        (hex(&lanes()), "75".to_owned()),
        (
            hex(outbox_row(Lane::Webhook(WebhookSid::from_bytes([4; 16])), event).bytes()),
            format!("7577{four}{five}"),
        ),
        (
            hex(outbox_row(Lane::Credential(CredentialSid::from_bytes([4; 16])), event).bytes()),
            format!("7563{four}{five}"),
        ),
        (
            hex(outbox_row(Lane::Factor(yf), event).bytes()),
            format!("7566{four}{five}"),
        ),
        (hex(dead_letter(event).bytes()), format!("78{five}")),
        (hex(&challenge_timers()), "7a".to_owned()),
        (
            hex(challenge_timer(Timestamp::from_millis(0x0102_0304), yc).bytes()),
            format!("7a0000000001020304{five}"),
        ),
        (hex(&verification_timers()), "56".to_owned()),
        (
            hex(verification_timer(
                Timestamp::from_millis(0x0102_0304),
                VerificationSid::from_bytes([4; 16]),
            )
            .bytes()),
            format!("560000000001020304{four}"),
        ),
        (hex(purge(s.service).bytes()), format!("67{va}")),
        (hex(creation_rate(s.account).bytes()), format!("71{ac}")),
        (
            hex(verification(s.service, VerificationSid::from_bytes([4; 16])).bytes()),
            format!("76{va}{four}"),
        ),
        (
            hex(destination(s.service, &Destination::Phone(phone())).bytes()),
            format!("79{va}7033323437303132333435"),
        ),
        (
            hex(attempt(s.account, AttemptSid::from_bytes([4; 16])).bytes()),
            format!("6c{ac}{four}"),
        ),
        (
            hex(rate_limit(s.service, RateLimitSid::from_bytes([4; 16])).bytes()),
            format!("69{va}{four}"),
        ),
        (
            hex(rate_limit_uses(
                s.service,
                RateLimitSid::from_bytes([4; 16]),
                &Fingerprint([5; 16]),
            )
            .bytes()),
            format!("6a{va}{four}{five}"),
        ),
        (
            hex(messaging_configuration(s.service, Region::All).bytes()),
            format!("68{va}2a"),
        ),
        (
            hex(messaging_configuration(s.service, Region::Country(belgium)).bytes()),
            format!("68{va}4245"),
        ),
        (
            hex(safe_number(s.account, &phone()).bytes()),
            format!("66{ac}33323437303132333435"),
        ),
        (hex(store_format().bytes()), "6d666f726d6174".to_owned()),
        (hex(vapid_key().bytes()), "6d7661706964".to_owned()),
    ];
    for (actual, expected) in expected {
        assert_eq!(actual, expected);
    }
}

#[test]
fn keys_of_toll_fraud_have_these_bytes() {
    let (ac, va) = ("01".repeat(16), "02".repeat(16));
    let s = scope();
    let counter = Counter::of_service(s.account, s.service, Timestamp::from_seconds(86_400));
    assert_eq!(
        hex(budget(&counter).bytes()),
        format!("63{ac}730000000000000001{va}")
    );
    let prefix = NumberPrefix::of(&phone());
    assert_eq!(
        hex(prefix_block(s.account, &prefix).bytes()),
        format!("70{ac}333234373031")
    );
}

#[test]
fn an_identity_is_no_prefix_of_a_longer_one() {
    let short = entity(scope().service, &Identity::parse("user-001").unwrap());
    let long = entity(scope().service, &Identity::parse("user-0011").unwrap());
    assert!(!long.bytes().starts_with(short.bytes()));
}

#[test]
fn factors_are_told_from_their_neighbours() {
    let s = scope();
    assert!(is_factor(
        s.service,
        factor(&s, FactorSid::from_bytes([0; 16])).bytes()
    ));
    assert!(!is_factor(
        s.service,
        challenge(&s, ChallengeSid::from_bytes([b'f'; 16])).bytes()
    ));
    assert!(!is_factor(s.service, entity(s.service, &s.identity).bytes()));
    let pending = pending(&s, FactorSid::from_bytes([b'f'; 16])).key(&[b'f'; 16]);
    assert!(!is_factor(s.service, pending.bytes()));
}
