//! The key map: every kind of key, in one place, and what is stored there.
//!
//! | key | record |
//! | --- | --- |
//! | `a` account | [`Account`] |
//! | `b` account, API key | nothing: the account's keys in order |
//! | `k` API key | [`ApiKey`] |
//! | `s` account, service | [`Service`] |
//! | `w` service, webhook | [`Webhook`] |
//! | `t` service, access token | [`AccessToken`] |
//! | `n` service, entity | the entity's identity: a service's entities in order |
//! | `e` service, identity, NUL | [`Entity`] |
//! | `e` service, identity, NUL, entity, `f` factor | [`Factor`] |
//! | `e` service, identity, NUL, entity, `c` challenge | [`Challenge`] |
//! | `e` service, identity, NUL, entity, `p` factor, challenge | nothing: a factor's pending challenges in order |
//! | `d` credential | [`DeviceAddress`]: where the factor is that a device's `kid` means |
//! | `r` account, credential | [`Credential`]: a push provider's key |
//! | `o` event | [`OutboxRow`] of a program that knew no lanes; moved to its lane when the server starts |
//! | `u` lane, event | [`OutboxRow`]: what one receiver still has to get, in order |
//! | `x` event | [`DeadLetter`] |
//! | `z` due time (8 bytes of milliseconds), challenge | [`ChallengeTimer`]: whose expiry somebody wants to hear of |
//! | `g` service | [`Purge`]: what a deleted service leaves to be reclaimed |
//! | `q` account | [`CreationRate`] |
//! | `v` service, verification | [`Verification`] |
//! | `V` due time (8 bytes of milliseconds), verification | [`VerificationTimer`]: whose plan goes on by itself |
//! | `y` service, destination | [`DestinationRecord`]: what is remembered of a number or an address |
//! | `l` account, attempt | [`Attempt`] |
//! | `i` service, rate limit | [`RateLimit`] with its buckets |
//! | `j` service, rate limit, fingerprint | [`RateLimitUses`] of one value |
//! | `h` service, country or `*` | [`MessagingConfiguration`] |
//! | `f` account, digits | [`SafeNumber`] |
//! | `c` account, kind, window (8 bytes), subject | [`Taken`]: how much of a budget was taken |
//! | `p` account, digits of a prefix | [`PrefixBlock`] |
//! | `m` name | settings of the store itself: [`StoreFormat`], [`VapidKeyRecord`] |
//!
//! Identifiers stand as their 16 bytes, which sort by creation time; a lane as one byte for the kind of its receiver and
//! the receiver's identifier. Everything of one entity shares a prefix, so that a decision touches neighbours only; the
//! entity's own SID is part of its children's keys, so that an entity that is deleted and created anew under the same
//! identity has none of the old one's.

mod key;
mod place;

pub use key::{Key, Marker, Prefix};
pub use place::{Owner, Place};

use std::marker::PhantomData;

use super::records::{
    ChallengeTimer, CreationRate, DeviceAddress, Purge, StoreFormat, VapidKeyRecord, VerificationTimer,
};
use crate::domain::access_token::AccessToken;
use crate::domain::account::{Account, ApiKey};
use crate::domain::attempt::Attempt;
use crate::domain::challenge::Challenge;
use crate::domain::credential::Credential;
use crate::domain::destination::Destination;
use crate::domain::destination_record::DestinationRecord;
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::events::OutboxRow;
use crate::domain::factor::Factor;
use crate::domain::messaging_configuration::{MessagingConfiguration, Region};
use crate::domain::opaque::Fingerprint;
use crate::domain::outbox::{DeadLetter, Lane};
use crate::domain::phone::PhoneNumber;
use crate::domain::rate_limit::{RateLimit, RateLimitUses};
use crate::domain::safe_list::SafeNumber;
use crate::domain::service::Service;
use crate::domain::sid::{
    AccessTokenSid, AccountSid, ApiKeySid, AttemptSid, ChallengeSid, CredentialSid, EntitySid, EventSid,
    FactorSid, RateLimitSid, ServiceSid, VerificationSid, WebhookSid,
};
use crate::domain::text::Identity;
use crate::domain::time::Timestamp;
use crate::domain::toll_fraud::PrefixBlock;
use crate::domain::toll_fraud::budget::{Counter, Taken};
use crate::domain::toll_fraud::prefix::NumberPrefix;
use crate::domain::verification::Verification;
use crate::domain::webhook::Webhook;

/// The account.
#[must_use]
pub fn account(sid: AccountSid) -> Key<Account> {
    Key::new(joined(b"a", &[sid.as_bytes()]))
}

/// All accounts.
#[must_use]
pub fn accounts() -> Prefix<Account> {
    Prefix(b"a".to_vec(), PhantomData)
}

/// The API key.
#[must_use]
pub fn api_key(sid: ApiKeySid) -> Key<ApiKey> {
    Key::new(joined(b"k", &[sid.as_bytes()]))
}

/// The API keys of an account.
#[must_use]
pub fn api_keys_of(account: AccountSid) -> Prefix<Marker> {
    Prefix(joined(b"b", &[account.as_bytes()]), PhantomData)
}

/// The services of an account.
#[must_use]
pub fn services(account: AccountSid) -> Prefix<Service> {
    Prefix(joined(b"s", &[account.as_bytes()]), PhantomData)
}

/// The service, if it is one of this account's.
#[must_use]
pub fn service(account: AccountSid, sid: ServiceSid) -> Key<Service> {
    services(account).key(sid.as_bytes())
}

/// The services of all accounts.
#[must_use]
pub fn all_services() -> Vec<u8> {
    b"s".to_vec()
}

/// The webhooks of a service.
#[must_use]
pub fn webhooks(service: ServiceSid) -> Prefix<Webhook> {
    Prefix(joined(b"w", &[service.as_bytes()]), PhantomData)
}

/// The webhook.
#[must_use]
pub fn webhook(service: ServiceSid, sid: WebhookSid) -> Key<Webhook> {
    webhooks(service).key(sid.as_bytes())
}

/// The access tokens of a service.
#[must_use]
pub fn access_tokens(service: ServiceSid) -> Prefix<AccessToken> {
    Prefix(joined(b"t", &[service.as_bytes()]), PhantomData)
}

/// The access token.
#[must_use]
pub fn access_token(service: ServiceSid, sid: AccessTokenSid) -> Key<AccessToken> {
    access_tokens(service).key(sid.as_bytes())
}

/// The identities of a service's entities.
#[must_use]
pub fn entity_order(service: ServiceSid) -> Prefix<Identity> {
    Prefix(joined(b"n", &[service.as_bytes()]), PhantomData)
}

/// Everything under the entities of a service.
#[must_use]
pub fn entities(service: ServiceSid) -> Vec<u8> {
    joined(b"e", &[service.as_bytes()])
}

/// The entity.
#[must_use]
pub fn entity(service: ServiceSid, identity: &Identity) -> Key<Entity> {
    Key::new(joined(
        b"e",
        &[service.as_bytes(), identity.as_str().as_bytes(), &[0]],
    ))
}

/// The factors of an entity.
#[must_use]
pub fn factors(scope: &EntityScope) -> Prefix<Factor> {
    Prefix(of_entity(scope, &[b"f"]), PhantomData)
}

/// The factor.
#[must_use]
pub fn factor(scope: &EntityScope, sid: FactorSid) -> Key<Factor> {
    factors(scope).key(sid.as_bytes())
}

/// The challenges of an entity.
#[must_use]
pub fn challenges(scope: &EntityScope) -> Prefix<Challenge> {
    Prefix(of_entity(scope, &[b"c"]), PhantomData)
}

/// The challenge.
#[must_use]
pub fn challenge(scope: &EntityScope, sid: ChallengeSid) -> Key<Challenge> {
    challenges(scope).key(sid.as_bytes())
}

/// The pending challenges of a factor.
#[must_use]
pub fn pending(scope: &EntityScope, factor: FactorSid) -> Prefix<Marker> {
    Prefix(of_entity(scope, &[b"p", factor.as_bytes()]), PhantomData)
}

/// The address of the factor that a credential belongs to.
#[must_use]
pub fn device(credential: CredentialSid) -> Key<DeviceAddress> {
    Key::new(joined(b"d", &[credential.as_bytes()]))
}

/// The push providers' keys of an account.
#[must_use]
pub fn credentials(account: AccountSid) -> Prefix<Credential> {
    Prefix(joined(b"r", &[account.as_bytes()]), PhantomData)
}

/// The push provider's key, if it is one of this account's.
#[must_use]
pub fn credential(account: AccountSid, sid: CredentialSid) -> Key<Credential> {
    credentials(account).key(sid.as_bytes())
}

/// The outbox row.
/// All rows of a program that knew no lanes, oldest first.
#[must_use]
pub fn outbox_without_lanes() -> Prefix<OutboxRow> {
    Prefix(b"o".to_vec(), PhantomData)
}

/// What all lanes' keys begin with.
#[must_use]
pub fn lanes() -> Vec<u8> {
    b"u".to_vec()
}

/// The outbox rows of a lane, oldest first.
#[must_use]
pub fn outbox(lane: Lane) -> Prefix<OutboxRow> {
    Prefix(joined(b"u", &[&lane.to_bytes()]), PhantomData)
}

/// The outbox row.
#[must_use]
pub fn outbox_row(lane: Lane, sid: EventSid) -> Key<OutboxRow> {
    outbox(lane).key(sid.as_bytes())
}

/// The lane that the key of an outbox row is in; `None` if it is another key.
#[must_use]
pub fn lane_of(key: &[u8]) -> Option<Lane> {
    let rest = key.strip_prefix(b"u".as_slice())?;
    Lane::from_bytes(rest.first_chunk().filter(|_| rest.len() == 33)?)
}

/// All dead letters, the oldest event first.
#[must_use]
pub fn dead_letters() -> Prefix<DeadLetter> {
    Prefix(b"x".to_vec(), PhantomData)
}

/// The dead letter.
#[must_use]
pub fn dead_letter(sid: EventSid) -> Key<DeadLetter> {
    dead_letters().key(sid.as_bytes())
}

/// All timers of challenges, those that are due first in front.
#[must_use]
pub fn challenge_timers() -> Vec<u8> {
    b"z".to_vec()
}

/// The timer of a challenge.
#[must_use]
pub fn challenge_timer(due: Timestamp, challenge: ChallengeSid) -> Key<ChallengeTimer> {
    Key::new(joined(b"z", &[&due.millis().to_be_bytes(), challenge.as_bytes()]))
}

/// What a deleted service leaves behind.
#[must_use]
pub fn purge(service: ServiceSid) -> Key<Purge> {
    purges().key(service.as_bytes())
}

/// What all deleted services leave behind.
#[must_use]
pub fn purges() -> Prefix<Purge> {
    Prefix(b"g".to_vec(), PhantomData)
}

/// The verifications of a service.
#[must_use]
pub fn verifications(service: ServiceSid) -> Prefix<Verification> {
    Prefix(joined(b"v", &[service.as_bytes()]), PhantomData)
}

/// The verification.
#[must_use]
pub fn verification(service: ServiceSid, sid: VerificationSid) -> Key<Verification> {
    verifications(service).key(sid.as_bytes())
}

/// All timers of verifications, those that are due first in front.
#[must_use]
pub fn verification_timers() -> Vec<u8> {
    b"V".to_vec()
}

/// The timer of a verification.
#[must_use]
pub fn verification_timer(due: Timestamp, verification: VerificationSid) -> Key<VerificationTimer> {
    Key::new(joined(
        b"V",
        &[&due.millis().to_be_bytes(), verification.as_bytes()],
    ))
}

/// What a service remembers of all destinations.
#[must_use]
pub fn destinations(service: ServiceSid) -> Vec<u8> {
    joined(b"y", &[service.as_bytes()])
}

/// What a service remembers of a destination.
#[must_use]
pub fn destination(service: ServiceSid, destination: &Destination) -> Key<DestinationRecord> {
    Key::new(joined(b"y", &[service.as_bytes(), &destination.to_key()]))
}

/// The attempts of an account, in the order of their creation.
#[must_use]
pub fn attempts(account: AccountSid) -> Prefix<Attempt> {
    Prefix(joined(b"l", &[account.as_bytes()]), PhantomData)
}

/// The attempt, if it is one of this account's.
#[must_use]
pub fn attempt(account: AccountSid, sid: AttemptSid) -> Key<Attempt> {
    attempts(account).key(sid.as_bytes())
}

/// The rate limits of a service.
#[must_use]
pub fn rate_limits(service: ServiceSid) -> Prefix<RateLimit> {
    Prefix(joined(b"i", &[service.as_bytes()]), PhantomData)
}

/// The rate limit.
#[must_use]
pub fn rate_limit(service: ServiceSid, sid: RateLimitSid) -> Key<RateLimit> {
    rate_limits(service).key(sid.as_bytes())
}

/// The uses of all values of a service's rate limits.
#[must_use]
pub fn all_rate_limit_uses(service: ServiceSid) -> Vec<u8> {
    joined(b"j", &[service.as_bytes()])
}

/// The uses of one value of a rate limit.
#[must_use]
pub fn rate_limit_uses(service: ServiceSid, limit: RateLimitSid, value: &Fingerprint) -> Key<RateLimitUses> {
    Key::new(joined(
        b"j",
        &[service.as_bytes(), limit.as_bytes(), value.as_bytes()],
    ))
}

/// The messaging configurations of a service.
#[must_use]
pub fn messaging_configurations(service: ServiceSid) -> Vec<u8> {
    joined(b"h", &[service.as_bytes()])
}

/// The messaging configuration of a service for a region.
#[must_use]
pub fn messaging_configuration(service: ServiceSid, region: Region) -> Key<MessagingConfiguration> {
    let region = match &region {
        Region::All => b"*".to_vec(),
        Region::Country(country) => country.as_bytes().to_vec(),
    };
    Key::new(joined(b"h", &[service.as_bytes(), &region]))
}

/// A number of an account's safe list.
#[must_use]
pub fn safe_number(account: AccountSid, number: &PhoneNumber) -> Key<SafeNumber> {
    Key::new(joined(b"f", &[account.as_bytes(), number.digits().as_bytes()]))
}

/// How much of a budget was taken.
#[must_use]
pub fn budget(counter: &Counter) -> Key<Taken> {
    Key::new(joined(
        b"c",
        &[
            counter.account.as_bytes(),
            &[counter.kind.to_byte()],
            &counter.window.to_be_bytes(),
            &counter.subject,
        ],
    ))
}

/// That nothing is sent to a prefix of an account.
#[must_use]
pub fn prefix_block(account: AccountSid, prefix: &NumberPrefix) -> Key<PrefixBlock> {
    Key::new(joined(b"p", &[account.as_bytes(), prefix.digits().as_bytes()]))
}

/// How many entities an account creates.
#[must_use]
pub fn creation_rate(account: AccountSid) -> Key<CreationRate> {
    Key::new(joined(b"q", &[account.as_bytes()]))
}

/// The store's own format.
#[must_use]
pub fn store_format() -> Key<StoreFormat> {
    Key::new(b"mformat".to_vec())
}

/// The key that push services know this server by.
#[must_use]
pub fn vapid_key() -> Key<VapidKeyRecord> {
    Key::new(b"mvapid".to_vec())
}

/// The identifier that a key of a listing ends in.
#[must_use]
pub fn last_sid(key: &[u8]) -> Option<[u8; 16]> {
    key.last_chunk().copied()
}

/// Whether a key below [`entities`] is a factor's, for whoever walks over all of them.
#[must_use]
pub fn is_factor(service: ServiceSid, key: &[u8]) -> bool {
    let Some(rest) = key.strip_prefix(entities(service).as_slice()) else {
        return false;
    };
    let Some(end) = rest.iter().position(|byte| *byte == 0) else {
        return false;
    };
    let child = &rest[end + 1..];
    child.len() == 33 && child[16] == b'f'
}

fn of_entity(scope: &EntityScope, parts: &[&[u8]]) -> Vec<u8> {
    let entity: &EntitySid = &scope.entity;
    let identity = scope.identity.as_str().as_bytes();
    let mut key = Vec::with_capacity(1 + 16 + identity.len() + 1 + 16 + 33);
    key.push(b'e');
    key.extend_from_slice(scope.service.as_bytes());
    key.extend_from_slice(identity);
    key.push(0);
    key.extend_from_slice(entity.as_bytes());
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

fn joined(kind: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(kind.len() + parts.iter().map(|part| part.len()).sum::<usize>() + 17);
    key.extend_from_slice(kind);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

#[cfg(test)]
mod tests {
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
}
