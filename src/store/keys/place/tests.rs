//! A key is read as the place that it was written for, and as no other.

use proptest::prelude::*;

use super::*;
use crate::domain::entity::EntityScope;
use crate::store::keys;

/// One place of each kind, with its key.
fn each_kind() -> Vec<(Vec<u8>, Place)> {
    let (one, two) = ([1; 16], [2; 16]);
    let (account, service) = (AccountSid::from_bytes(one), ServiceSid::from_bytes(two));
    let (factor, challenge) = (FactorSid::from_bytes([4; 16]), ChallengeSid::from_bytes([5; 16]));
    // A zero byte within an identifier is not the one that ends the identity.
    let entity = EntitySid::from_bytes([0; 16]);
    let identity = Identity::parse("user-001").unwrap();
    let owner = Owner {
        service,
        identity,
        entity,
    };
    let places = [
        Place::AccessToken(service, AccessTokenSid::from_bytes([6; 16])),
        Place::Account(account),
        Place::ApiKey(ApiKeySid::from_bytes(one)),
        Place::ApiKeyOf(account, ApiKeySid::from_bytes(two)),
        Place::Challenge(owner.clone(), challenge),
        Place::CreationRate(account),
        Place::Budget(Counter::of_service(
            account,
            service,
            Timestamp::from_seconds(1_800_000_000),
        )),
        Place::PrefixBlock(account, NumberPrefix::of(&phone(b"3247012345").unwrap())),
        Place::Attempt(account, AttemptSid::from_bytes(two)),
        Place::Destination(service, Destination::Phone(phone(b"3247012345").unwrap())),
        Place::Destination(
            service,
            Destination::Email(EmailAddress::parse("ada@example.com").unwrap()),
        ),
        Place::MessagingConfiguration(service, Region::All),
        Place::MessagingConfiguration(service, Region::Country(Country::parse("BE").unwrap())),
        Place::RateLimit(service, RateLimitSid::from_bytes(one)),
        Place::RateLimitUses(service, RateLimitSid::from_bytes(one), Fingerprint([7; 16])),
        Place::SafeNumber(account, phone(b"3247012345").unwrap()),
        Place::Verification(service, VerificationSid::from_bytes(one)),
        Place::VerificationTimer(
            Timestamp::from_seconds(1_800_000_000),
            VerificationSid::from_bytes(two),
        ),
        Place::Credential(account, CredentialSid::from_bytes(two)),
        Place::Device(CredentialSid::from_bytes(one)),
        Place::Entity(service, owner.identity.clone()),
        Place::EntityOrder(service, entity),
        Place::Factor(owner.clone(), factor),
        Place::OutboxRow(
            Lane::Webhook(WebhookSid::from_bytes(two)),
            EventSid::from_bytes(one),
        ),
        Place::OutboxRowWithoutLane(EventSid::from_bytes(one)),
        Place::DeadLetter(EventSid::from_bytes(one)),
        Place::ChallengeTimer(Timestamp::from_seconds(1_800_000_000), challenge),
        Place::Pending(owner, factor, challenge),
        Place::Purge(service),
        Place::Service(account, service),
        Place::StoreFormat,
        Place::VapidKey,
        Place::Webhook(service, WebhookSid::from_bytes(one)),
    ];
    places.into_iter().map(|place| (written(&place), place)).collect()
}

/// The key of a place as the key map writes it.
fn written(place: &Place) -> Vec<u8> {
    let scope = |owner: &Owner| EntityScope {
        account: AccountSid::from_bytes([9; 16]),
        service: owner.service,
        identity: owner.identity.clone(),
        entity: owner.entity,
    };
    match place {
        Place::AccessToken(service, sid) => keys::access_token(*service, *sid).into_bytes(),
        Place::Account(sid) => keys::account(*sid).into_bytes(),
        Place::ApiKey(sid) => keys::api_key(*sid).into_bytes(),
        Place::ApiKeyOf(account, sid) => keys::api_keys_of(*account).key(sid.as_bytes()).into_bytes(),
        Place::Attempt(account, sid) => keys::attempt(*account, *sid).into_bytes(),
        Place::Destination(service, destination) => keys::destination(*service, destination).into_bytes(),
        Place::MessagingConfiguration(service, region) => {
            keys::messaging_configuration(*service, *region).into_bytes()
        }
        Place::RateLimit(service, sid) => keys::rate_limit(*service, *sid).into_bytes(),
        Place::RateLimitUses(service, sid, value) => {
            keys::rate_limit_uses(*service, *sid, value).into_bytes()
        }
        Place::SafeNumber(account, number) => keys::safe_number(*account, number).into_bytes(),
        Place::Verification(service, sid) => keys::verification(*service, *sid).into_bytes(),
        Place::VerificationTimer(due, sid) => keys::verification_timer(*due, *sid).into_bytes(),
        Place::Budget(counter) => keys::budget(counter).into_bytes(),
        Place::PrefixBlock(account, prefix) => keys::prefix_block(*account, prefix).into_bytes(),
        Place::Challenge(owner, sid) => keys::challenge(&scope(owner), *sid).into_bytes(),
        Place::CreationRate(account) => keys::creation_rate(*account).into_bytes(),
        Place::Credential(account, sid) => keys::credential(*account, *sid).into_bytes(),
        Place::Device(credential) => keys::device(*credential).into_bytes(),
        Place::Entity(service, identity) => keys::entity(*service, identity).into_bytes(),
        Place::EntityOrder(service, sid) => keys::entity_order(*service).key(sid.as_bytes()).into_bytes(),
        Place::Factor(owner, sid) => keys::factor(&scope(owner), *sid).into_bytes(),
        Place::OutboxRow(lane, sid) => keys::outbox_row(*lane, *sid).into_bytes(),
        Place::OutboxRowWithoutLane(sid) => keys::outbox_without_lanes().key(sid.as_bytes()).into_bytes(),
        Place::DeadLetter(sid) => keys::dead_letter(*sid).into_bytes(),
        Place::ChallengeTimer(due, sid) => keys::challenge_timer(*due, *sid).into_bytes(),
        Place::Pending(owner, factor, sid) => keys::pending(&scope(owner), *factor)
            .key(sid.as_bytes())
            .into_bytes(),
        Place::Purge(service) => keys::purge(*service).into_bytes(),
        Place::Service(account, sid) => keys::service(*account, *sid).into_bytes(),
        Place::StoreFormat => keys::store_format().into_bytes(),
        Place::VapidKey => keys::vapid_key().into_bytes(),
        Place::Webhook(service, sid) => keys::webhook(*service, *sid).into_bytes(),
    }
}

#[test]
fn every_kind_of_key_leads_back_to_its_place() {
    let mut kinds = std::collections::BTreeSet::new();
    for (key, place) in each_kind() {
        assert_eq!(Place::parse(&key).as_ref(), Some(&place), "{place}");
        kinds.insert(place.kind());
    }
    // One of the destinations and of the messaging configurations for each form that they have.
    assert_eq!(kinds.len(), each_kind().len() - 2);
}

#[test]
fn these_bytes_mean_this() {
    let (one, two) = ("01".repeat(16), "02".repeat(16));
    let three = "03".repeat(16);
    let user = "757365722d30303100";
    for (key, expected) in [
        (format!("61{one}"), format!("account AC{one}")),
        (
            format!("62{one}{two}"),
            format!("API key SK{two} in the list of AC{one}"),
        ),
        (format!("73{one}{two}"), format!("service VA{two} of AC{one}")),
        (format!("65{two}{user}"), format!("entity user-001 of VA{two}")),
        (
            format!("65{two}{user}{three}66{one}"),
            format!("factor YF{one} of YE{three} of VA{two}"),
        ),
        (
            format!("65{two}{user}{three}63{one}"),
            format!("challenge YC{one} of YE{three} of VA{two}"),
        ),
        ("6d666f726d6174".to_owned(), "format of the store".to_owned()),
    ] {
        let bytes: Vec<u8> = (0..key.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&key[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(Place::parse(&bytes).unwrap().to_string(), expected);
    }
}

#[test]
fn shortened_and_lengthened_keys_are_no_keys() {
    for (key, place) in each_kind() {
        for length in 0..key.len() {
            // An entity's key is what its children's keys begin with.
            let found = Place::parse(&key[..length]);
            let entity = matches!(found, Some(Place::Entity(..)));
            // A text at the end may be shorter, and is another one then.
            let text = ends_in_text(&place) && found.as_ref().map(Place::kind) == Some(place.kind());
            assert!(found.is_none() || entity || text, "{place}: {length}");
        }
        let longer = [key.as_slice(), &[b'x'; 5]].concat();
        let found = Place::parse(&longer);
        assert!(found.is_none() || ends_in_text(&place), "{place}");
    }
}

fn ends_in_text(place: &Place) -> bool {
    matches!(
        place,
        Place::Destination(..) | Place::PrefixBlock(..) | Place::SafeNumber(..)
    )
}

#[test]
fn an_identity_that_no_caller_may_give_is_no_key() {
    for identity in ["short", "user_001", "", "user-\u{e9}01"] {
        let key = [b"e".as_slice(), &[2; 16], identity.as_bytes(), b"\0"].concat();
        assert_eq!(Place::parse(&key), None, "{identity}");
    }
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_as_the_same_bytes(
        which in 0..21_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut key = each_kind().swap_remove(which).0;
        for (place, byte) in changes {
            let place = place.index(key.len());
            key[place] = byte;
        }
        if let Some(place) = Place::parse(&key) {
            prop_assert_eq!(written(&place), key);
        }
    }
}
