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
#[cfg(test)]
mod tests;

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
use crate::domain::fraud::PrefixBlock;
use crate::domain::fraud::budget::{Counter, Taken};
use crate::domain::fraud::prefix::NumberPrefix;
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
